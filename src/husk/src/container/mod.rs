//! Containers as they are on disk and in the process table: the runtime root, state, locks,
//! liveness.
//!
//! Nothing here is remembered between calls: every question is answered by the directory of the
//! container, its first process and its control group.

mod cgroups;
mod destroy;
pub mod dir;
pub mod gate;
mod id;
mod init;
pub mod pid_file;
mod root;
mod state;

pub use destroy::{abandon, destroy, kill_and_wait};
pub use dir::{Locked, StateDir};
pub use id::ContainerId;
pub use init::{Identity, Init};
pub use root::Root;
pub use state::{Document, Later, SPEC_VERSION, State, Status, for_hooks};

pub(crate) use cgroups::Processes;

use crate::error::{Code, Error};

/// The words for an id that has no container.
pub fn unknown() -> Error {
    Error::said(Code::CONTAINER_UNKNOWN, "container does not exist")
}

/// A container: its directory, and the state read from it.
#[derive(Debug)]
pub struct Container<D = StateDir> {
    dir: D,
    state: State,
}

/// What stands under an id.
#[derive(Debug)]
pub enum Found<D> {
    /// A container.
    Whole(Container<D>),
    /// A directory without a state that can be read: making it was interrupted, or it is broken.
    HalfMade(D, Error),
}

/// What [`Container::look`] finds.
#[derive(Debug)]
pub enum Look {
    /// A container.
    Whole(Container),
    /// Another command is making it at this moment.
    BeingMade,
    /// As [`Found::HalfMade`].
    HalfMade(Error),
}

impl Container {
    /// Reads the state of a container that others may be changing meanwhile.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub fn look(dir: StateDir) -> Result<Look, Error> {
        let dir = match Self::read(dir)? {
            Found::Whole(container) => return Ok(Look::Whole(container)),
            Found::HalfMade(dir, _) if dir.is_being_changed() => return Ok(Look::BeingMade),
            Found::HalfMade(dir, _) => dir,
        };
        // Its maker may have finished between the two questions.
        Ok(match Self::read(dir)? {
            Found::Whole(container) => Look::Whole(container),
            Found::HalfMade(_, error) => Look::HalfMade(error),
        })
    }
}

impl<D: AsRef<StateDir>> Container<D> {
    /// Reads the state of a container.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn read(dir: D) -> Result<Found<D>, Error> {
        let id = dir.as_ref().id().clone();
        let half_made = |code, why: String| {
            let hint = "remove what is left with `delete --force`";
            Error::said(code, format!("container {id} {why}; {hint}"))
        };
        let text = match dir.as_ref().state() {
            Ok(Some(text)) => text,
            Ok(None) => {
                let why = "does not exist: its creation was interrupted";
                let error = half_made(Code::CONTAINER_UNKNOWN, why.into());
                return Ok(Found::HalfMade(dir, error));
            }
            Err(e) => {
                return Ok(Found::HalfMade(dir, half_made(e.code(), format!("is broken: {e}"))));
            }
        };
        Ok(match State::from_json(&text) {
            Ok(state) if state.id == id.as_str() => Found::Whole(Self { dir, state }),
            Ok(state) => {
                let why = format!("is broken: its state is that of {:?}", state.id);
                Found::HalfMade(dir, half_made(Code::CONTAINER_BROKEN, why))
            }
            Err(e) => {
                let why = format!("is broken: its state cannot be read: {e}");
                Found::HalfMade(dir, half_made(Code::CONTAINER_BROKEN, why))
            }
        })
    }

    /// The state as it is on disk.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The directory.
    pub fn dir(&self) -> &StateDir {
        self.dir.as_ref()
    }

    /// The directory and the state.
    pub fn into_parts(self) -> (D, State) {
        (self.dir, self.state)
    }

    /// Where the container is in its life, now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn status(&self) -> Result<Status, Error> {
        if !self.state.init().is_alive()? {
            Ok(Status::Stopped)
        } else if self.processes()?.is_frozen()? {
            Ok(Status::Paused)
        } else if self.dir().gate()?.is_some() {
            Ok(Status::Created)
        } else {
            Ok(Status::Running)
        }
    }

    /// The container's processes, as far as a control group knows them.
    ///
    /// # Errors
    /// When the control group's record cannot be understood.
    pub(crate) fn processes(&self) -> Result<Processes, Error> {
        Processes::new(self.state.cgroup.as_deref())
    }
}

impl Root {
    /// The container of that id.
    ///
    /// # Errors
    /// `container does not exist`, or what is wrong with it.
    pub fn container(&self, id: &ContainerId) -> Result<Container, Error> {
        match Container::look(self.find(id)?.ok_or_else(unknown)?)? {
            Look::Whole(container) => Ok(container),
            Look::BeingMade => {
                let words = format!("container {id} does not exist yet: it is being created");
                Err(Error::said(Code::CONTAINER_UNKNOWN, words))
            }
            Look::HalfMade(error) => Err(error),
        }
    }

    /// The container of that id, while nobody else changes it.
    ///
    /// # Errors
    /// As [`Self::container`]; also when another command does not let go of it.
    pub fn locked_container(&self, id: &ContainerId) -> Result<Container<Locked>, Error> {
        let dir = self.find(id)?.ok_or_else(unknown)?;
        match Container::read(dir.lock()?.ok_or_else(unknown)?)? {
            Found::Whole(container) => Ok(container),
            Found::HalfMade(_, error) => Err(error),
        }
    }
}

impl AsRef<StateDir> for StateDir {
    fn as_ref(&self) -> &StateDir {
        self
    }
}

impl AsRef<StateDir> for Locked {
    fn as_ref(&self) -> &StateDir {
        self
    }
}

/// A directory for a test, removed with it.
#[cfg(test)]
pub(crate) fn test_root() -> TestRoot {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("husk-test-{}-{n}", std::process::id()));
    std::fs::create_dir(&path).expect("a directory for the test");
    TestRoot(path)
}

#[cfg(test)]
pub(crate) struct TestRoot(std::path::PathBuf);

#[cfg(test)]
impl TestRoot {
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for TestRoot {
    #[allow(clippy::disallowed_methods)]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn id() -> ContainerId {
        ContainerId::new(OsStr::new("c")).unwrap()
    }

    #[test]
    fn half_made_and_broken_containers_say_so() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        assert_eq!(root.container(&id()).unwrap_err(), unknown());
        let dir = root.reserve(&id()).unwrap();
        let error = root.container(&id()).unwrap_err();
        assert_eq!(error.code(), Code::CONTAINER_UNKNOWN);
        assert!(error.to_string().contains("does not exist yet"), "{error}");
        let dir = dir.unlock();
        let error = root.container(&id()).unwrap_err();
        assert_eq!(error.code(), Code::CONTAINER_UNKNOWN);
        assert!(error.to_string().contains("does not exist: its creation"), "{error}");
        let file = dir.path().join("state.json");
        for content in ["", "{", "[]", "{\"husk\":1}"] {
            std::fs::write(&file, content).unwrap();
            let error = root.container(&id()).unwrap_err().to_string();
            assert!(error.contains("broken") && error.contains("delete --force"), "{error}");
        }
        let init = Identity::of(nix::unistd::Pid::this()).unwrap();
        let other = ContainerId::new(OsStr::new("other")).unwrap();
        let dir = dir.lock().unwrap().unwrap();
        dir.commit(&State::new(&other, init, String::new())).unwrap();
        drop(dir);
        assert!(root.container(&id()).unwrap_err().to_string().contains("\"other\""));
    }

    #[test]
    fn status_follows_gate_and_init() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = root.reserve(&id()).unwrap();
        let init = Identity::of(nix::unistd::Pid::this()).unwrap();
        dir.commit(&State::new(&id(), init, String::new())).unwrap();
        let status = || root.container(&id()).unwrap().status().unwrap();
        assert_eq!(status(), Status::Running);
        let gate = dir.make_gate().unwrap();
        assert_eq!(status(), Status::Created);
        drop(gate);
        assert_eq!(status(), Status::Running, "nobody waits at the gate");
        let gone = Identity { start_time: init.start_time + 1, ..init };
        dir.commit(&State::new(&id(), gone, String::new())).unwrap();
        assert_eq!(status(), Status::Stopped, "the number belongs to another process");
    }
}
