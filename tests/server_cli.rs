//! How the server is started, and what it says when it can't be.

use crate::harness::{Journal, Process, Server, chat_server};
use nix::sys::signal::Signal;
use std::process::Command;

#[track_caller]
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(chat_server());
    let mut process = Process::start("server", &Journal::new(), command.args(arguments));
    let code = process.exit_code();
    (
        code,
        process.stdout.lines().join("\n"),
        process.stderr.lines().join("\n"),
    )
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    for arguments in [
        &["--no-such-option"][..],
        &["127.0.0.1", "port"],
        &["127.0.0.1", "65536"],
        &["127.0.0.1", "0", "more"],
        &["not an address", "0"],
        &["127.0.0.1", "0", "--max-users", "-1"],
        &["127.0.0.1", "0", "--max-users", "many"],
        &["127.0.0.1", "0", "--rate", "0"],
        &["127.0.0.1", "0", "--ping-interval", "0"],
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty() && stdout.is_empty(), "{arguments:?}: {stdout}");
    }
}

#[test]
fn help_and_version_go_to_the_standard_output() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for option in [
        "--max-users",
        "--max-per-address",
        "--history",
        "--rate",
        "--burst",
        "--ping-interval",
    ] {
        assert!(help.contains(option), "no {option} in {help}");
    }
    let (code, version, _) = run(&["--version"]);
    assert_eq!(code, 0);
    assert!(version.starts_with("chat-server "), "{version}");
}

#[test]
fn an_address_that_is_not_ours_is_an_error() {
    // Addresses for documentation (RFC 5737), which no machine has.
    let (code, _, stderr) = run(&["192.0.2.1", "0"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("192.0.2.1"), "{stderr}");
}

#[test]
fn too_few_descriptors_for_the_users_is_an_error_at_the_start() {
    let (code, stderr) = {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "ulimit -n 64 && exec \"$0\" 127.0.0.1 0"])
            .arg(chat_server());
        let mut process = Process::start("server", &Journal::new(), &mut shell);
        (process.exit_code(), process.stderr.lines().join("\n"))
    };
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("64") && stderr.contains("--max-users"),
        "{stderr:?} does not say what to do"
    );
}

#[test]
fn as_many_users_as_the_descriptors_allow_can_be_had() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 64 && exec \"$0\" 127.0.0.1 0 --max-users 20"])
        .arg(chat_server());
    let server = Server::start_command(&mut shell);
    let _users: Vec<_> = (0..20).map(|n| server.plain(&format!("user{n}"))).collect();
    let heard = server.connect("refused").until_end();
    assert_eq!(heard, ["too many users"]);
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -S -n 32 && exec \"$0\" 127.0.0.1 0 --max-users 100"])
        .arg(chat_server());
    let server = Server::start_command(&mut shell);
    let _users: Vec<_> = (0..60).map(|n| server.plain(&format!("user{n}"))).collect();
}

#[test]
fn the_terminal_that_hangs_up_or_a_closed_output_does_not_crash_it() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" 127.0.0.1 0 </dev/null"])
        .arg(chat_server());
    let mut server = Server::start_command(&mut shell);
    server.process.signal(Signal::SIGPIPE);
    server.plain("alice").sync("hello");
    server.stop();
}
