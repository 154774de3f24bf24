//! The suite as a program of its own, for the guest and for hand use.

fn main() -> std::process::ExitCode {
    integration_tests::main()
}
