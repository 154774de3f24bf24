//! `bench [--rounds N] [ITEM...]`: time, system calls and memory of husk beside
//! runc and crun.
//!
//! All runtimes take turns in every round (A B C, B C A, ...), so that whatever
//! else the machine does hits them alike. CPU time is that of the command and of
//! the children that it waited for; it is the number to trust, since wall time
//! swings with the machine's load.

mod items;
mod measure;
mod memory;
mod peers;
mod stage;
mod syscalls;
mod table;

use std::process::ExitCode;

use items::Item;
use stage::Stage;
use table::Table;

const HELP: &str = "\
usage: bench [--rounds N] [ITEM...]

Measures the ITEMs (default: all, 40 rounds) and prints a Markdown table.
ITEM: run-minimal run-default run-docker run-docker-userns create start state exec
      kill delete (these on the docker bundle) syscalls memory
Environment: HUSK_BIN; RUNC, CRUN (default: those in PATH; empty leaves one out)
";

struct Options {
    rounds: usize,
    items: Vec<String>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { rounds: 40, items: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--rounds" => {
                let number = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                options.rounds = number.ok_or("--rounds needs a number above 0")?;
            }
            name if items::NAMES.contains(&name) => options.items.push(word),
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), String> {
    let wanted = |name: &str| options.items.is_empty() || options.items.iter().any(|i| i == name);
    let peers = peers::find()?;
    let stage = Stage::set_up()?;
    println!("{}", peers::heading(&peers, options.rounds, stage.remark()));

    let mut table = Table::new(&peers);
    for item in Item::runs().into_iter().filter(|i| wanted(i.name)) {
        eprintln!("bench: {}", item.name);
        table.add(item.name, &items::foreground(&stage, &peers, &item, options.rounds)?);
    }
    let life: Vec<&str> = items::LIFE.into_iter().filter(|n| wanted(n)).collect();
    if !life.is_empty() {
        eprintln!("bench: {}", life.join(", "));
        for (name, samples) in items::life(&stage, &peers, options.rounds)? {
            if wanted(name) {
                table.add(name, &samples);
            }
        }
    }
    print!("{}", table.markdown());

    let (counts, sizes) = (wanted("syscalls"), wanted("memory"));
    let calls = if counts { syscalls::table(&stage, &peers)? } else { String::new() };
    let memory = if sizes { memory::table(&stage, &peers)? } else { String::new() };
    print!("{calls}{memory}");
    Ok(())
}
