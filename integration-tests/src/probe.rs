//! A small static tool that tests start inside a container, where busybox has
//! no applet for the question. It is this same program under the name `probe`.

use std::ffi::CString;
use std::fs;
use std::process::ExitCode;

use crate::sys;

/// Runs one sub-command; the answer is on stdout.
pub fn main(args: &[String]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    match words.as_slice() {
        ["args", rest @ ..] => {
            for word in rest {
                println!("{word}");
            }
        }
        ["alloc", mib] => {
            sys::touch(number(mib) as usize * 1024 * 1024);
            println!("allocated");
        }
        ["fds"] => print!("{}", descriptors()),
        ["fds", file] => {
            let _ = fs::write(file, descriptors());
        }
        ["syscall", nr, rest @ ..] => {
            let values: Vec<u64> = rest.iter().map(|t| number(t)).collect();
            match sys::syscall(number(nr) as i64, &values) {
                Ok(value) => println!("ok {value}"),
                Err(errno) => println!("errno {errno}"),
            }
        }
        ["tty"] => terminal(),
        ["spawn", count] => spawn(number(count)),
        ["bomb", count] => bomb(number(count)),
        ["open", path, how] => open(path, how),
        ["keyring"] => keyring(),
        ["notify", socket, word] => {
            let sent = std::os::unix::net::UnixDatagram::unbound()
                .and_then(|own| own.send_to(word.as_bytes(), socket));
            println!("{}", if sent.is_ok() { "sent" } else { "not sent" });
        }
        ["session"] => {
            println!("pid={}", std::process::id());
            println!("sid={}", nix::unistd::getsid(None).map_or(-1, |p| p.as_raw()));
            println!("pgid={}", nix::unistd::getpgrp());
        }
        ["exec", path, rest @ ..] => {
            let path = CString::new(*path).unwrap_or_default();
            let rest: Vec<CString> =
                rest.iter().map(|a| CString::new(*a).unwrap_or_default()).collect();
            let mut all = vec![path.as_c_str()];
            all.extend(rest.iter().map(|a| a.as_c_str()));
            println!("errno {}", sys::exec(&path, &all));
        }
        _ => {
            eprintln!("probe: unknown {words:?}");
            return ExitCode::from(99);
        }
    }
    ExitCode::SUCCESS
}

fn descriptors() -> String {
    let Ok(dir) = fs::read_dir("/proc/self/fd") else { return String::new() };
    let mut all: Vec<(u32, String)> = dir
        .flatten()
        .filter_map(|e| {
            let number = e.file_name().to_string_lossy().parse().ok()?;
            Some((number, fs::read_link(e.path()).ok()?.to_string_lossy().into_owned()))
        })
        .filter(|(_, target)| !target.ends_with("/fd"))
        .collect();
    all.sort();
    all.iter().map(|(number, target)| format!("{number} {target}\n")).collect()
}

fn terminal() {
    for fd in 0..3 {
        let size = sys::winsize(fd).map_or("none".to_owned(), |(c, r)| format!("{c}x{r}"));
        println!("fd{fd}={size}");
    }
    let name = fs::read_link("/proc/self/fd/0").unwrap_or_default();
    println!("name={}", name.display());
    // Only the controlling terminal can be opened under this name.
    let controlling = fs::File::open("/dev/tty").is_ok();
    println!("controlling={controlling}");
}

fn spawn(count: u64) {
    let mut made = 0;
    let mut errno = 0;
    for _ in 0..count {
        match sys::fork_sleeper() {
            Ok(_) => made += 1,
            Err(e) => {
                errno = e;
                break;
            }
        }
    }
    println!("made={made}");
    println!("errno={errno}");
}

/// Every process forks without end, up to `count` tries each; together with a
/// pids limit this is a fork bomb that does not reach the host.
fn bomb(count: u64) {
    println!("bomb");
    let mut tries = 0;
    while tries < count {
        match sys::fork_both() {
            // The grandchildren go on from the beginning.
            Some(true) => tries = 0,
            Some(false) => tries += 1,
            None => std::thread::yield_now(),
        }
    }
}

fn open(path: &str, how: &str) {
    let mut options = fs::File::options();
    match how {
        "r" => options.read(true),
        "w" => options.write(true),
        _ => options.read(true).write(true),
    };
    match options.open(path) {
        Ok(_) => println!("ok"),
        Err(e) => println!("errno {}", e.raw_os_error().unwrap_or(0)),
    }
}

fn keyring() {
    // KEYCTL_DESCRIBE of KEY_SPEC_SESSION_KEYRING.
    let mut text = [0_u8; 256];
    let session = -3_i64 as u64;
    let result =
        sys::syscall(libc::SYS_keyctl, &[6, session, text.as_mut_ptr() as u64, text.len() as u64]);
    match result {
        Ok(_) => {
            let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
            println!("{}", String::from_utf8_lossy(&text[..end]));
        }
        Err(errno) => println!("errno {errno}"),
    }
}
