//! The program that becomes the container.
//!
//! `husk` writes this small static executable into a sealed memory file and executes it from
//! there, so that no process that is visible inside a container ever runs from the host's `husk`
//! binary, holds the caller's environment, or shares a page with it. It reads no configuration
//! and decides nothing: it receives a *plan*, a list of [operations](wire::Op) with descriptors
//! that the host side opened, and carries it out from top to bottom.
//!
//! Two processes walk one plan. The **launcher** runs on the host: it joins namespaces and clones.
//! The **init** runs in the new namespaces: it carries out the rest and executes the program.
//!
//! The crate is both a library (the plan's format, used by the host side to write it) and, when
//! compiled with `--cfg husk_init_program` by husk's build script, the program itself.

#![no_std]
#![cfg_attr(husk_init_program, no_main, no_builtins)]

pub mod wire;

// The program is compiled into the library too, so that every tool checks it; only the entry
// point is left out.
#[allow(dead_code)]
mod sys;

#[allow(dead_code)]
mod program;
