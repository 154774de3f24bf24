//! Compiles the container-side program, which `husk` carries inside itself.
//!
//! The program needs neither the standard library nor a C library nor a C linker, so it is
//! compiled by one call of the compiler for whatever target husk itself is built for.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let source = Path::new(&var("CARGO_MANIFEST_DIR")).join("../husk-init/src");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let program = Path::new(&var("OUT_DIR")).join("husk-init");
    let architecture = var("CARGO_CFG_TARGET_ARCH");
    let status = Command::new(var("RUSTC"))
        .args(["--crate-name", "husk_init", "--crate-type", "bin", "--edition", "2024"])
        .args(["--target", &format!("{architecture}-unknown-linux-musl")])
        .args(["--cfg", "husk_init_program", "--check-cfg", "cfg(husk_init_program)"])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "lto=fat", "-C", "strip=symbols"])
        .args(["-C", "codegen-units=1", "-C", "relocation-model=static"])
        .args(["-C", "target-feature=+crt-static", "-C", "link-self-contained=no"])
        .args(["-C", "linker=rust-lld", "-C", "linker-flavor=ld.lld"])
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=--gc-sections"])
        .args(["-C", "link-arg=--no-rosegment", "-C", "link-arg=-znorelro"])
        .args(["-A", "dead_code", "-o"])
        .arg(&program)
        .arg(source.join("lib.rs"))
        // The flags of husk's own build (instrumentation, another linker) are not for it.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => stop(&format!("the container-side program does not compile: {status}")),
        Err(error) => stop(&format!("the compiler cannot be run: {error}")),
    }
    match fs::metadata(&program) {
        Ok(file) => println!("cargo::rustc-env=HUSK_INIT_SIZE={}", file.len()),
        Err(error) => stop(&format!("the container-side program is not there: {error}")),
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

#[allow(clippy::exit)] // the way for a build script to fail without a panic's backtrace
fn stop(why: &str) -> ! {
    println!("cargo::error={why}");
    std::process::exit(1)
}
