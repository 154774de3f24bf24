//! Words to options: which option was given, with which text. Nothing is checked beyond that.
//!
//! Engines rely on the habits of runc's parser: long options with one dash or two, `--name value`
//! and `--name=value`, switches with `=true` and `=false`, the last of several values.

use super::table::{self, Command, Opt};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The options that were given, in order.
#[derive(Debug, Default)]
pub struct Given {
    list: Vec<(&'static Opt, OsString)>,
}

impl Given {
    /// Whether a switch is on.
    pub fn switch(&self, long: &str) -> bool {
        self.last(long).is_some_and(|value| value == "true")
    }

    /// The last value of an option.
    pub fn last(&self, long: &str) -> Option<&OsStr> {
        self.list.iter().rev().find(|(o, _)| o.long == long).map(|(_, v)| v.as_os_str())
    }

    /// Every value of an option.
    pub fn all<'g>(&'g self, long: &'g str) -> impl Iterator<Item = &'g OsStr> {
        self.list.iter().filter(move |(o, _)| o.long == long).map(|(_, v)| v.as_os_str())
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Help for a command, or for the program.
    Help(Option<&'static Command>),
    /// The version.
    Version,
    /// A command.
    Command {
        /// Options before the command.
        global: Given,
        /// The command.
        command: &'static Command,
        /// Options of the command.
        own: Given,
        /// Positional arguments, as many as the command takes.
        arguments: Vec<OsString>,
    },
}

/// A command line that cannot be understood.
#[derive(Debug)]
pub struct Usage {
    /// What is wrong with it.
    pub message: String,
    /// The command whose help the reader needs.
    pub command: Option<&'static Command>,
    /// Options before the command, as far as they were read.
    pub global: Given,
}

/// Reads the words after the program's name.
///
/// # Errors
/// [`Usage`] for an unknown command or option, a missing value or a wrong number of arguments.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Usage> {
    let mut words = words.into_iter();
    let mut global = Given::default();
    let name = loop {
        match next(&mut words, table::GLOBAL) {
            Ok(Word::Option(option, value)) => global.list.push((option, value)),
            Ok(Word::Argument(word)) => break Some(word),
            Ok(Word::EndOfOptions) => break words.next(),
            Ok(Word::Nothing) => break None,
            Err(message) => return Err(Usage { message, command: None, global }),
        }
    };
    if global.switch("version") {
        return Ok(Request::Version);
    }
    let Some(name) = name.filter(|_| !global.switch("help")) else {
        return Ok(Request::Help(None));
    };
    if name == "help" || name == "h" {
        return match words.next() {
            None => Ok(Request::Help(None)),
            Some(topic) => {
                let found = find(&topic, global)?.0;
                Ok(Request::Help(Some(found)))
            }
        };
    }
    let (command, global) = find(&name, global)?;
    match own(command, words) {
        Ok(None) => Ok(Request::Help(Some(command))),
        Ok(Some((own, arguments))) => Ok(Request::Command { global, command, own, arguments }),
        Err(message) => Err(Usage { message, command: Some(command), global }),
    }
}

fn find(name: &OsStr, global: Given) -> Result<(&'static Command, Given), Usage> {
    match name.to_str().and_then(table::command) {
        Some(command) => Ok((command, global)),
        None => {
            let message = format!("there is no command {:?}", name.to_string_lossy());
            Err(Usage { message, command: None, global })
        }
    }
}

type Own = (Given, Vec<OsString>);

/// The options and arguments of a command; `None` when its help is wanted.
fn own(
    command: &'static Command,
    mut words: impl Iterator<Item = OsString>,
) -> Result<Option<Own>, String> {
    let mut given = Given::default();
    let mut arguments = Vec::new();
    loop {
        match next(&mut words, command.options)? {
            Word::Option(option, value) => given.list.push((option, value)),
            Word::Argument(word) => {
                arguments.push(word);
                if command.ends_at_first {
                    // A `--` between the id and the program's words ends nothing any more.
                    arguments.extend(words);
                    break;
                }
            }
            Word::EndOfOptions => {
                arguments.extend(words);
                break;
            }
            Word::Nothing => break,
        }
    }
    if given.switch("help") {
        return Ok(None);
    }
    let count = arguments.len();
    let name = command.name;
    if count < command.least {
        let least = command.least;
        Err(match command.most {
            Some(most) if most == least => {
                format!("{name:?} requires exactly {least} argument(s), not {count}")
            }
            _ => format!("{name:?} requires a minimum of {least} argument(s)"),
        })
    } else if let Some(most) = command.most.filter(|most| count > *most) {
        Err(match command.least {
            least if least == most => {
                format!("{name:?} requires exactly {most} argument(s), not {count}")
            }
            _ => format!("{name:?} requires a maximum of {most} argument(s), not {count}"),
        })
    } else {
        Ok(Some((given, arguments)))
    }
}

enum Word {
    Option(&'static Opt, OsString),
    Argument(OsString),
    EndOfOptions,
    Nothing,
}

fn next(
    words: &mut impl Iterator<Item = OsString>,
    options: &'static [Opt],
) -> Result<Word, String> {
    let Some(word) = words.next() else { return Ok(Word::Nothing) };
    let bytes = word.as_bytes();
    let rest = match bytes {
        b"--" => return Ok(Word::EndOfOptions),
        [b'-', b'-', rest @ ..] => rest,
        [b'-', rest @ ..] if !rest.is_empty() => rest,
        _ => return Ok(Word::Argument(word)),
    };
    let (name, value) = match rest.iter().position(|b| *b == b'=') {
        Some(at) => {
            let (name, value) = rest.split_at(at);
            (name, value.get(1..).map(|v| OsString::from_vec(v.to_vec())))
        }
        None => (rest, None),
    };
    let shown = String::from_utf8_lossy(name);
    let Some(option) = lookup(name, options) else {
        return Err(format!("flag provided but not defined: -{shown}"));
    };
    let value = match (option.value, value) {
        (None, None) => OsString::from("true"),
        (None, Some(value)) => match boolean(&value) {
            Some(on) => OsString::from(if on { "true" } else { "false" }),
            None => {
                let value = value.to_string_lossy();
                return Err(format!("{value:?} is neither true nor false, for the flag -{shown}"));
            }
        },
        (Some(_), Some(value)) => value,
        (Some(_), None) => {
            words.next().ok_or_else(|| format!("flag needs an argument: -{shown}"))?
        }
    };
    Ok(Word::Option(option, value))
}

fn lookup(name: &[u8], options: &'static [Opt]) -> Option<&'static Opt> {
    let name = std::str::from_utf8(name).ok()?;
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    let found = |o: &&Opt| o.long == name || (letter.is_some() && o.short == letter);
    options.iter().find(found).or_else(|| Some(&table::HELP).filter(found))
}

fn boolean(text: &OsStr) -> Option<bool> {
    match text.to_str()? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, Usage> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn command(line: &str) -> (Given, &'static Command, Given, Vec<String>) {
        match request(line) {
            Ok(Request::Command { global, command, own, arguments }) => {
                let arguments =
                    arguments.into_iter().map(|a| a.into_string().expect("UTF-8")).collect();
                (global, command, own, arguments)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn lines_that_engines_write() {
        let (global, create, own, arguments) = command(
            "--root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b \
             --pid-file /b/init.pid --console-socket /s --preserve-fds 2 id",
        );
        assert_eq!(global.last("root").unwrap(), "/r");
        assert_eq!(global.last("log-format").unwrap(), "json");
        assert!(global.switch("systemd-cgroup") && !global.switch("debug"));
        assert_eq!(create.name, "create");
        assert_eq!(own.last("preserve-fds").unwrap(), "2");
        assert_eq!(arguments, ["id"]);

        let (global, ..) = command("--log-format=json --log /l exec -p f --detach id");
        assert_eq!(global.last("log").unwrap(), "/l");
        let (.., own, arguments) = command("run -no-subreaper -bundle=/b=c id");
        assert!(own.switch("no-subreaper"));
        assert_eq!((own.last("bundle").unwrap(), arguments.len()), (OsStr::new("/b=c"), 1));
    }

    #[test]
    fn options_end_at_the_id_where_a_program_follows() {
        let (.., own, arguments) = command("exec -e A=1 -e B=2 id ls -l --cwd / -- x");
        assert_eq!(own.all("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert!(own.last("cwd").is_none());
        assert_eq!(arguments, ["id", "ls", "-l", "--cwd", "/", "--", "x"]);
        let (.., arguments) = command("ps -f json id -o pid");
        assert_eq!(arguments, ["id", "-o", "pid"]);
        let (.., arguments) = command("exec -- id -x");
        assert_eq!(arguments, ["id", "-x"]);
    }

    #[test]
    fn elsewhere_options_may_follow_the_id() {
        let (.., own, arguments) = command("delete id --force");
        assert!(own.switch("force"));
        assert_eq!(arguments, ["id"]);
        let (.., own, arguments) = command("kill id -- -9");
        assert!(!own.switch("all"));
        assert_eq!(arguments, ["id", "-9"]);
    }

    #[test]
    fn switches_take_a_value_after_equals_only() {
        for (text, on) in [("true", true), ("1", true), ("T", true), ("false", false), ("0", false)]
        {
            assert_eq!(command(&format!("delete --force={text} id")).2.switch("force"), on);
        }
        assert!(!command("delete --force --force=false id").2.switch("force"));
        assert!(request("delete --force=maybe id").is_err());
        assert_eq!(request("delete --force false id").unwrap_err().command.unwrap().name, "delete");
    }

    #[test]
    fn refusals_in_words_that_engines_know() {
        let table = [
            ("--frobnicate", "flag provided but not defined: -frobnicate"),
            ("list -Z", "flag provided but not defined: -Z"),
            ("create --bundle", "flag needs an argument: -bundle"),
            ("--root", "flag needs an argument: -root"),
            ("frobnicate", "there is no command \"frobnicate\""),
            ("state", "\"state\" requires exactly 1 argument(s), not 0"),
            ("state a b", "\"state\" requires exactly 1 argument(s), not 2"),
            ("kill", "\"kill\" requires a minimum of 1 argument(s)"),
            ("kill a b c", "\"kill\" requires a maximum of 2 argument(s), not 3"),
            ("list x", "\"list\" requires exactly 0 argument(s), not 1"),
        ];
        for (line, message) in table {
            assert_eq!(request(line).unwrap_err().message, message, "{line}");
        }
        let usage = request("--log /l --log-format json list --nope").unwrap_err();
        assert_eq!(usage.global.last("log").unwrap(), "/l");
    }

    #[test]
    fn help_and_version() {
        assert!(matches!(request(""), Ok(Request::Help(None))));
        assert!(matches!(request("-h state x y z"), Ok(Request::Help(None))));
        assert!(matches!(request("state --help"), Ok(Request::Help(Some(c))) if c.name == "state"));
        assert!(matches!(request("help kill"), Ok(Request::Help(Some(c))) if c.name == "kill"));
        assert!(matches!(request("-v"), Ok(Request::Version)));
        assert!(matches!(request("exec id --help"), Ok(Request::Command { .. })));
    }

    #[test]
    fn odd_words() {
        assert!(request("state -").is_ok_and(|r| matches!(r, Request::Command { .. })));
        assert!(request("state ---x id").is_err());
        assert!(request("state -= id").is_err());
        let raw = OsString::from_vec(vec![b'-', 0xff, b'=', 0xfe]);
        assert!(parse([OsString::from("state"), raw.clone()]).is_err());
        assert!(parse([raw]).is_err());
    }

    use proptest::prelude::*;

    /// Words that mean something, words that almost do, and any bytes.
    fn word() -> impl Strategy<Value = OsString> {
        let names = table::COMMANDS.iter().flat_map(|command| {
            let options = command.options.iter().map(|option| option.long);
            options.chain([command.name])
        });
        let mut known: Vec<String> = names.map(str::to_owned).collect();
        known.extend(["", "-", "--", "=", "help", "id", "e=x", "force=maybe"].map(str::to_owned));
        let dashes = prop::sample::select(vec!["", "-", "--", "---"]);
        let meant = (dashes, prop::sample::select(known))
            .prop_map(|(d, w)| OsString::from(d.to_owned() + &w));
        let any = prop::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec);
        prop_oneof![4 => meant, 1 => any]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_line_is_too_odd(words in prop::collection::vec(word(), 0..10)) {
            match parse(words.clone()) {
                Ok(Request::Command { command, arguments, .. }) => {
                    prop_assert!(arguments.len() >= command.least);
                    prop_assert!(command.most.is_none_or(|most| arguments.len() <= most));
                    prop_assert!(arguments.iter().all(|argument| words.contains(argument)));
                }
                Ok(Request::Help(_) | Request::Version) => {}
                Err(usage) => prop_assert!(!usage.message.is_empty()),
            }
        }

        #[test]
        fn what_is_read_from_a_line_is_checked_without_panic(
            words in prop::collection::vec(word(), 0..8),
            command in prop::sample::select(vec!["create", "run", "exec"]),
        ) {
            let line = [OsString::from(command)].into_iter().chain(words);
            if let Ok(Request::Command { own, arguments, global, .. }) = parse(line) {
                let _ = crate::commands::exec::ExecOptions::new(&own, &arguments);
                let _ = crate::commands::run::RunOptions::new(&own, &arguments);
                let _ = crate::cli::Global::new(&global, |_| None);
            }
        }
    }
}
