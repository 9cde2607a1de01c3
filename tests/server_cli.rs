//! How the server starts, and its errors when it cannot.

use crate::harness::{Journal, Process, SERVER_STATE, Server, chat_server, has_ipv6, server_command};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::process::Command;

#[track_caller]
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = server_command();
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
        &["127.0.0.1", "0", "--ping-interval", "0"],
        &["127.0.0.1:0", "0"],
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
fn the_printed_address_is_an_argument() {
    for words in ["localhost:0", "127.0.0.1:0"] {
        let mut server = Server::start_command(server_command().arg(words));
        let address = server.address.to_string();
        server.stop();
        let again = Server::start_command(server_command().arg(&address));
        assert_eq!(again.address.to_string(), address);
    }
}

#[test]
fn a_foreign_address_is_an_error() {
    // An address for documentation, which no machine has (RFC 5737).
    let (code, _, stderr) = run(&["192.0.2.1", "0"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("192.0.2.1"), "{stderr}");
    assert!(stderr.contains("it has 127.0.0.1, "), "{stderr}");
}

/// The command that starts the server with a limit on descriptors.
fn with_descriptors(descriptors: u32, options: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\" 127.0.0.1 0 {options}");
    shell
        .args(["-c", &script])
        .arg(chat_server())
        .env("XDG_STATE_HOME", SERVER_STATE);
    shell
}

#[test]
fn too_few_descriptors_are_an_error_that_names_the_number() {
    let mut none = Process::start("server", &Journal::new(), &mut with_descriptors(64, ""));
    assert_eq!(none.exit_code(), 1);
    let said = none.stderr.lines().join("\n");
    assert!(said.contains("64") && said.contains("1000 users"), "{said:?}");

    let mut few = Process::start("server", &Journal::new(), &mut with_descriptors(128, ""));
    assert_eq!(few.exit_code(), 1);
    let said = few.stderr.lines().join("\n");
    let advice = said
        .split("--max-users ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let fit: usize = advice.unwrap().parse().unwrap_or_else(|_| panic!("{said:?}"));

    let server = Server::start_command(&mut with_descriptors(128, &format!("--max-users {fit}")));
    let _users: Vec<_> = (0..fit).map(|n| server.plain(&format!("user{n}"))).collect();
    for _ in 0..10 {
        assert_eq!(server.connect("refused").until_end(), ["too many users"]);
    }
}

#[test]
fn a_low_soft_limit_on_descriptors_is_raised() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -S -n 32 && exec \"$0\" 127.0.0.1 0 --max-users 100"])
        .arg(chat_server())
        .env("XDG_STATE_HOME", SERVER_STATE);
    let server = Server::start_command(&mut shell);
    let _users: Vec<_> = (0..60).map(|n| server.plain(&format!("user{n}"))).collect();
}

#[test]
fn a_hangup_or_a_closed_output_is_no_crash() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" 127.0.0.1 0 </dev/null"])
        .arg(chat_server())
        .env("XDG_STATE_HOME", SERVER_STATE);
    let mut server = Server::start_command(&mut shell);
    server.process.signal(Signal::SIGPIPE);
    server.plain("alice").sync("hello");
    server.stop();
}

#[test]
fn a_link_local_address_is_rejected_with_an_alternative() {
    let (code, _, said) = run(&["fe80::1", "0"]);
    assert_eq!(code, 1);
    assert!(said.contains("link-local address (use :: instead)"), "{said:?}");
}

/// Whether this process has a socket at the port of multicast DNS.
fn is_at_multicast_dns(process: Pid) -> bool {
    let tables = ["udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
    let tables: String = tables.into_iter().flatten().collect();
    let sockets = tables.lines().filter(|line| line.contains(":14E9 "));
    let inodes: Vec<_> = sockets
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    files.flatten().any(|file| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        let names = inodes.iter().map(|inode| format!("socket:[{inode}]"));
        names.into_iter().any(|name| target.as_os_str() == name.as_str())
    })
}

#[test]
fn a_server_that_nobody_else_can_reach_is_not_announced() {
    let here = ["127.0.0.1"].into_iter().chain(has_ipv6().then_some("::1"));
    let servers = here.map(|address| Server::start_on(address, &[]));
    for server in servers.chain([Server::start_on("0.0.0.0", &["--no-announce"])]) {
        assert!(!is_at_multicast_dns(server.process.id()), "{}", server.address);
    }
}
