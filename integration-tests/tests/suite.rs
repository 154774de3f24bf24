//! The door for `cargo test`; the table of tests lives in the library.

fn main() -> std::process::ExitCode {
    integration_tests::main()
}
