//! AppArmor, where the kernel has it: the profile really holds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::{host, tests};

tests![
    p14_apparmor_profile_confines_the_program,
    p14_apparmor_profile_of_an_exec,
    p14_apparmor_profile_that_is_not_loaded_is_refused,
    stricter exec_labels_without_a_security_module_are_refused,
];

/// A loaded profile that forbids writing to /tmp/denied; unloaded when dropped.
struct Profile {
    name: String,
    file: PathBuf,
}

fn parser(flag: &str, file: &PathBuf) -> i32 {
    #[allow(clippy::zombie_processes)]
    let child = Command::new("apparmor_parser").arg(flag).arg(file).spawn().expect("apparmor_parser");
    let pid = child.id() as i32;
    host::wait_for("apparmor_parser", || crate::reaper::ended(pid)).code()
}

impl Profile {
    fn load(cx: &Context) -> Result<Self, crate::case::Skip> {
        cx.need(host::has_apparmor(), "no AppArmor in this kernel")?;
        let found = ["/sbin", "/usr/sbin"].iter().any(|d| PathBuf::from(d).join("apparmor_parser").exists());
        cx.need(found, "no apparmor_parser on this machine")?;
        let name = format!("{}-profile", cx.token());
        let file = cx.fresh_path("profile");
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n file,\n capability,\n \
             network,\n signal,\n ptrace,\n mount,\n umount,\n unix,\n deny /tmp/denied w,\n}}\n"
        );
        fs::write(&file, text).expect("write");
        assert_eq!(parser("-r", &file), 0, "load the profile");
        Ok(Profile { name, file })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        parser("-R", &self.file);
    }
}

const LOOK: &str = "cat /proc/self/attr/current; touch /tmp/denied 2>/dev/null || echo refused; touch /tmp/fine && echo written";

fn p14_apparmor_profile_confines_the_program(cx: &Context) -> Done {
    let profile = Profile::load(cx)?;
    for no_new_privileges in [true, false] {
        let mut bundle = cx.bundle();
        bundle.set("/process/apparmorProfile", json!(profile.name));
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges)).shell(LOOK);
        let expected = format!("{} (enforce)\nrefused\nwritten", profile.name);
        assert_eq!(cx.run(&bundle).ok(), expected);
    }
    Ok(())
}

fn p14_apparmor_profile_of_an_exec(cx: &Context) -> Done {
    let profile = Profile::load(cx)?;
    let mut bundle = cx.bundle();
    bundle.set("/process/apparmorProfile", json!(profile.name)).args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let expected = format!("{} (enforce)\nrefused\nwritten", profile.name);
    assert_eq!(container.exec(&["sh", "-c", LOOK]), expected);
    container.delete_force();
    let container = cx.sleeper();
    let out = container.exec_call(&["--apparmor", &profile.name], &["sh", "-c", LOOK]).run();
    assert_eq!(out.ok(), expected);
    container.delete_force();
    Ok(())
}

fn p14_apparmor_profile_that_is_not_loaded_is_refused(cx: &Context) -> Done {
    cx.need(host::has_apparmor(), "no AppArmor in this kernel")?;
    let mut bundle = cx.bundle();
    bundle.set("/process/apparmorProfile", json!("no-such-profile"));
    let text = cx.run(&bundle).refused().to_lowercase();
    assert!(text.contains("apparmor"), "{text}");
    Ok(())
}

fn exec_labels_without_a_security_module_are_refused(cx: &Context) -> Done {
    let container = cx.sleeper();
    if !host::has_apparmor() {
        let out = container.exec_call(&["--apparmor", "some-profile"], &["true"]).run();
        assert!(!matches!(out.code, Some(0) | None), "{out}");
    }
    if !host::has_selinux() {
        let label = "system_u:system_r:container_t:s0";
        let out = container.exec_call(&["--process-label", label], &["true"]).run();
        assert!(!matches!(out.code, Some(0) | None), "{out}");
    }
    Ok(())
}
