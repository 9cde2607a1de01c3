//! The server as a service of systemd.

use crate::documents::{help, options};
use crate::harness::{DEADLINE, Server, server_command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory of this test, for its sockets. The names of sockets are short, so it is not below the target directory.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("chat-service-{name}-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    path
}

/// The next datagram.
#[track_caller]
fn next(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 200];
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let count = manager.recv(&mut buffer).expect("the server reports");
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

#[track_caller]
fn expect(manager: &UnixDatagram, report: &str) {
    let mut before = Vec::new();
    loop {
        let next = next(manager);
        if next == report {
            return;
        }
        assert!(before.len() < 100, "no {report} after {before:?}");
        before.push(next);
    }
}

#[test]
fn the_service_manager_is_told_of_start_users_and_end() {
    let directory = directory("notify");
    let path = directory.join("manager");
    let abstract_name = format!("chat-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    for (manager, name) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap()),
        (
            UnixDatagram::bind_addr(&address).unwrap(),
            &format!("@{abstract_name}"),
        ),
    ] {
        let mut command = server_command();
        command.args(["127.0.0.1", "0"]).env("NOTIFY_SOCKET", name);
        let mut server = Server::start_command(&mut command);
        assert_eq!(next(&manager), "READY=1");
        assert_eq!(next(&manager), "STATUS=0 users");
        let user = server.plain("alice");
        assert_eq!(next(&manager), "STATUS=1 user");
        drop(user);
        assert_eq!(next(&manager), "STATUS=0 users");
        server.stop();
        assert_eq!(next(&manager), "STOPPING=1");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_waits_resets_the_watchdog() {
    let directory = directory("watchdog");
    let path = directory.join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut command = server_command();
    command.args(["127.0.0.1", "0"]).env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", "50000");
    let _server = Server::start_command(&mut command);
    for _ in 0..3 {
        expect(&manager, "WATCHDOG=1");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn an_unreachable_service_manager_is_logged_once() {
    for name in [Path::new("/dev/null/manager"), Path::new("manager")] {
        let mut command = server_command();
        command.args(["127.0.0.1", "0"]).env("NOTIFY_SOCKET", name);
        command.env("WATCHDOG_USEC", "1000");
        let mut server = Server::start_command(&mut command);
        assert_eq!(server.log_so_far("service manager not told: ").len(), 1);
        server.stop();
        server.log().expect_count(1, "service manager not told: ");
    }
}

#[test]
fn lines_have_a_priority_only_in_the_journal() {
    let directory = directory("journal");
    let path = directory.join("log");
    for (is_journal, begins) in [(true, "<6>listen 127.0.0.1:"), (false, "20")] {
        let log = fs::File::create(&path).unwrap();
        let file = log.metadata().unwrap();
        let inode = file.ino() + u64::from(!is_journal);
        let mut command = server_command();
        command.args(["127.0.0.1", "0"]);
        command.env("JOURNAL_STREAM", format!("{}:{inode}", file.dev()));
        command.env("NOTIFY_SOCKET", "nowhere");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
        let log = fs::read_to_string(&path).unwrap();
        assert!(log.starts_with(begins), "{log}");
        assert_eq!(
            log.contains("\n<4>service manager not told: "),
            is_journal,
            "{log}"
        );
        assert_eq!(log.contains("\n<6>stop "), is_journal, "{log}");
    }
    fs::remove_dir_all(directory).unwrap();
}

const UNIT: &str = include_str!("../crates/server/chat-server.service");
const INSTANCE: &str = include_str!("../crates/server/chat-server@.service");

#[test]
fn the_units_start_the_server_with_options_that_exist() {
    let known = options(&help(server_command()));
    for unit in [UNIT, INSTANCE] {
        let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let mut words = command.unwrap().split(' ');
        assert_eq!(words.next(), Some("chat-server"));
        let named: Vec<_> = words.filter_map(|word| word.strip_prefix("--")).collect();
        assert!(!named.is_empty());
        for option in named {
            assert!(known.iter().any(|known| known == option), "--{option}");
        }
    }
}

#[test]
fn the_instance_differs_from_the_unit_by_its_port_alone() {
    let pairs = UNIT.lines().zip(INSTANCE.lines());
    for (unit, instance) in pairs.filter(|(unit, instance)| unit != instance) {
        assert!(
            instance.contains("%i") || instance.starts_with('#'),
            "{unit} {instance}"
        );
    }
    assert_eq!(UNIT.lines().count(), INSTANCE.lines().count());
}

#[test]
fn the_units_are_exposed_to_at_most_1_5() {
    for unit in ["chat-server.service", "chat-server@.service"] {
        let path = format!("{}/../crates/server/{unit}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("systemd-analyze");
        let Ok(output) = command
            .args(["security", "--offline=yes", "--threshold=15", &path])
            .output()
        else {
            eprintln!("skipped: there is no systemd-analyze");
            return;
        };
        assert!(output.status.success(), "{output:?}");
    }
}
