//! The help texts, made from the table.

use super::table::{COMMANDS, Command, GLOBAL, HELP, Opt};
use std::fmt::Write as _;

/// Widest line that descriptions are wrapped to.
const WIDTH: usize = 96;

/// Help for the whole program.
pub fn program() -> String {
    let mut text = String::from(
        "husk - runs containers as the Open Container Initiative specifies them\n\n\
         USAGE:\n   husk [global options] COMMAND [options] [arguments]\n\nCOMMANDS:\n",
    );
    for command in COMMANDS {
        entry(&mut text, command.name, 10, command.about);
    }
    entry(&mut text, "help", 10, "show help for a command");
    text.push_str("\nGLOBAL OPTIONS:\n");
    options(&mut text, GLOBAL.iter());
    text
}

/// Help for one command.
pub fn command(command: &Command) -> String {
    let mut text = String::new();
    let Command { name, about, arguments, details, .. } = command;
    // Writing to a string cannot fail.
    let _ = write!(text, "husk {name} - {about}\n\nUSAGE:\n   husk {name} [options]");
    if !arguments.is_empty() {
        let _ = write!(text, " {arguments}");
    }
    text.push('\n');
    if !details.is_empty() {
        text.push('\n');
        wrap(&mut text, details, 0);
    }
    text.push_str("\nOPTIONS:\n");
    options(&mut text, command.options.iter().chain([&HELP]));
    text
}

fn options<'o>(text: &mut String, list: impl Iterator<Item = &'o Opt> + Clone) {
    let name = |option: &Opt| {
        let mut name = format!("--{}", option.long);
        if let Some(short) = option.short {
            let _ = write!(name, ", -{short}");
        }
        if let Some(value) = option.value {
            let _ = write!(name, " {value}");
        }
        name
    };
    let width = list.clone().map(|o| name(o).len()).max().unwrap_or(0);
    for option in list {
        entry(text, &name(option), width, option.help);
    }
}

fn entry(text: &mut String, name: &str, width: usize, about: &str) {
    let _ = write!(text, "   {name:width$}  ");
    wrap(text, about, width.saturating_add(5));
}

/// Appends `words`, broken into lines that begin at column `indent`.
fn wrap(text: &mut String, words: &str, indent: usize) {
    let mut column = indent;
    for (n, word) in words.split_whitespace().enumerate() {
        let end = column.saturating_add(word.len()).saturating_add(1);
        if n > 0 && end > WIDTH {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if n > 0 {
            text.push(' ');
            column = column.saturating_add(1);
        }
        text.push_str(word);
        column = column.saturating_add(word.len());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_in_the_help() {
        let whole = program();
        for c in COMMANDS {
            assert!(whole.contains(&format!("   {} ", c.name)), "{}", c.name);
            let own = command(c);
            for option in c.options {
                assert!(own.contains(&format!("--{}", option.long)), "{} {}", c.name, option.long);
            }
        }
        for option in GLOBAL {
            assert!(whole.contains(&format!("--{}", option.long)), "{}", option.long);
        }
    }

    #[test]
    fn lines_are_short() {
        for text in COMMANDS.iter().map(command).chain([program()]) {
            for line in text.lines() {
                assert!(line.len() <= WIDTH.saturating_add(1), "{line}");
            }
        }
    }
}
