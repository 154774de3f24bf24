//! `dependencies`: holds the packages against `deny.toml` and `policy.toml`.

use std::path::Path;
use std::process::ExitCode;

use checks::dependencies::check;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match check(&root) {
        Ok(findings) => {
            let mut failed = 0;
            for rule in &findings {
                if rule.problems.is_empty() {
                    println!("rule {} ... ok", rule.name);
                    continue;
                }
                failed += 1;
                println!("rule {} ... FAILED", rule.name);
                for problem in &rule.problems {
                    println!("    {problem}");
                }
            }
            println!("{} passed, {failed} failed", findings.len() - failed);
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            println!("the packages could not be checked: {why}");
            ExitCode::FAILURE
        }
    }
}
