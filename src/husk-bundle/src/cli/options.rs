//! The table of options. Everything that the program takes stands here once.

/// Names an option within the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    AllowNoArgs,
    Annotation,
    BundleMode,
    CapAdd,
    CapDrop,
    Cwd,
    Entrypoint,
    Env,
    EnvFile,
    Force,
    GidMap,
    Help,
    Hostname,
    Json,
    KeepDirlinks,
    MaxDocument,
    MaxEntries,
    MaxFileSize,
    MaxSize,
    Mount,
    NoDevices,
    NoNewPrivileges,
    Platform,
    Profile,
    Quiet,
    ReadOnly,
    Seccomp,
    Tmpfs,
    Tty,
    UidMap,
    UnsetEnv,
    User,
    Verbose,
    Version,
    Volumes,
}

/// One option.
pub struct Spec {
    /// See [`Id`].
    pub id: Id,
    /// Without the dashes.
    pub long: &'static str,
    /// A single letter, if it has one.
    pub short: Option<char>,
    /// What its value is called, if it has one.
    pub value: Option<&'static str>,
    /// The heading it stands under.
    pub group: Group,
    /// One or two lines for the help.
    pub help: &'static str,
}

/// Commands that take options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Unpack,
    Verify,
}

impl Spec {
    /// Whether a command takes the option.
    pub fn serves(&self, verb: Verb) -> bool {
        verb == Verb::Unpack
            || self.group == Group::Image
            || matches!(
                self.id,
                Id::MaxDocument | Id::Json | Id::Quiet | Id::Verbose | Id::Help | Id::Version
            )
    }
}

/// Headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Image,
    Process,
    Isolation,
    Files,
    Limits,
    Output,
}

impl Group {
    /// All of them, in order, with their titles.
    pub const ALL: [(Group, &'static str); 6] = [
        (Group::Image, "Which image"),
        (Group::Process, "What is run (in place of what the image says)"),
        (Group::Isolation, "How it is confined"),
        (Group::Files, "What it sees"),
        (Group::Limits, "Limits"),
        (Group::Output, "Output"),
    ];
}

const fn option(
    id: Id,
    long: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    group: Group,
    help: &'static str,
) -> Spec {
    Spec { id, long, short, value, group, help }
}

/// All options, in the order of the help.
pub const OPTIONS: [Spec; 35] = [
    option(
        Id::Platform,
        "platform",
        None,
        Some("OS/ARCH[/VARIANT]"),
        Group::Image,
        "choose from an image for several platforms (default: this machine's)",
    ),
    option(
        Id::User,
        "user",
        Some('u'),
        Some("USER[:GROUP]"),
        Group::Process,
        "names, looked up in the image, or numbers",
    ),
    option(
        Id::Env,
        "env",
        Some('e'),
        Some("NAME[=VALUE]"),
        Group::Process,
        "set a variable; without a value, take it from the caller (repeatable)",
    ),
    option(
        Id::EnvFile,
        "env-file",
        None,
        Some("FILE"),
        Group::Process,
        "the same, one a line; # begins a comment (repeatable)",
    ),
    option(
        Id::UnsetEnv,
        "unset-env",
        None,
        Some("NAME"),
        Group::Process,
        "take a variable out (repeatable)",
    ),
    option(Id::Cwd, "cwd", Some('w'), Some("PATH"), Group::Process, "start in this directory"),
    option(
        Id::Entrypoint,
        "entrypoint",
        None,
        Some("WORD|JSON"),
        Group::Process,
        "the command's first word, or words as a JSON array; \"\" for none",
    ),
    option(Id::Tty, "tty", Some('t'), None, Group::Process, "with a terminal"),
    option(
        Id::AllowNoArgs,
        "allow-no-args",
        None,
        None,
        Group::Process,
        "do not refuse an image that does not say what to run",
    ),
    option(
        Id::Profile,
        "profile",
        None,
        Some("docker|runc|umoci"),
        Group::Isolation,
        "whose defaults to follow (default: docker)",
    ),
    option(
        Id::CapAdd,
        "cap-add",
        None,
        Some("NAME"),
        Group::Isolation,
        "add a capability, or ALL (repeatable)",
    ),
    option(
        Id::CapDrop,
        "cap-drop",
        None,
        Some("NAME"),
        Group::Isolation,
        "take a capability out, or ALL (repeatable)",
    ),
    option(
        Id::NoNewPrivileges,
        "no-new-privileges",
        None,
        None,
        Group::Isolation,
        "set-id programs and file capabilities give nothing",
    ),
    option(
        Id::Seccomp,
        "seccomp",
        None,
        Some("default|none|FILE"),
        Group::Isolation,
        "the system call filter (default: that of the profile)",
    ),
    option(Id::ReadOnly, "read-only", None, None, Group::Isolation, "the root file system is"),
    option(
        Id::UidMap,
        "uid-map",
        None,
        Some("C:H[:N]"),
        Group::Isolation,
        "user id C of the image is H on the host, and N from there on;\n\
         gives a user namespace (repeatable)",
    ),
    option(Id::GidMap, "gid-map", None, Some("C:H[:N]"), Group::Isolation, "the same for groups"),
    option(Id::Hostname, "hostname", None, Some("NAME"), Group::Files, "the host name inside"),
    option(
        Id::Mount,
        "mount",
        None,
        Some("SPEC"),
        Group::Files,
        "type=bind,src=PATH,dst=PATH[,readonly] or type=tmpfs,dst=PATH (repeatable)",
    ),
    option(
        Id::Tmpfs,
        "tmpfs",
        None,
        Some("PATH[:OPTIONS]"),
        Group::Files,
        "an empty file system in memory (repeatable)",
    ),
    option(
        Id::Volumes,
        "volumes",
        None,
        Some("HOW"),
        Group::Files,
        "volumes of the image: anonymous (a copy in the bundle, the default),\n\
         tmpfs (empty), ignore (part of the root file system)",
    ),
    option(
        Id::Annotation,
        "annotation",
        None,
        Some("KEY=VALUE"),
        Group::Files,
        "on top of the image's labels (repeatable)",
    ),
    option(
        Id::NoDevices,
        "no-devices",
        None,
        None,
        Group::Files,
        "leave an empty file in the place of a device of the image",
    ),
    option(
        Id::KeepDirlinks,
        "keep-dirlinks",
        None,
        None,
        Group::Files,
        "a directory over a link to a directory goes into that directory",
    ),
    option(
        Id::MaxSize,
        "max-size",
        None,
        Some("SIZE"),
        Group::Limits,
        "of all files together, unpacked; SIZE is a number with K, M, G or T",
    ),
    option(
        Id::MaxFileSize,
        "max-file-size",
        None,
        Some("SIZE"),
        Group::Limits,
        "of one file, unpacked",
    ),
    option(Id::MaxEntries, "max-entries", None, Some("N"), Group::Limits, "of all layers together"),
    option(
        Id::MaxDocument,
        "max-document",
        None,
        Some("SIZE"),
        Group::Limits,
        "of one index, manifest or config (default: 4M)",
    ),
    option(
        Id::Force,
        "force",
        None,
        None,
        Group::Output,
        "replace what is there; it stays until the new bundle is complete",
    ),
    option(
        Id::BundleMode,
        "bundle-mode",
        None,
        Some("MODE"),
        Group::Output,
        "of the bundle's directory, octal (default: 700, for set-id programs are in it;\n\
         710 and the group of the container's root with --gid-map)",
    ),
    option(Id::Json, "json", None, None, Group::Output, "print what was done as one JSON object"),
    option(Id::Quiet, "quiet", Some('q'), None, Group::Output, "no warnings"),
    option(Id::Verbose, "verbose", Some('v'), None, Group::Output, "say what was done"),
    option(Id::Help, "help", Some('h'), None, Group::Output, "this text"),
    option(Id::Version, "version", None, None, Group::Output, "the version"),
];
