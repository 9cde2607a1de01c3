//! The server as a service of systemd.

use crate::documents::{help, options};
use crate::harness::{DEADLINE, Journal, Process, Server, server_command, with_sockets};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
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

/// A listener, and a socket for UDP at the same port.
fn sockets() -> (TcpListener, UdpSocket) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            return (listener, socket);
        }
    }
}

#[test]
fn the_server_takes_the_sockets_of_the_service_manager() {
    let (listener, socket) = sockets();
    let address = listener.local_addr().unwrap();
    // The manager's own ends stay open, and what connects meanwhile waits.
    let early = TcpStream::connect(address).unwrap();
    let own = (listener.try_clone().unwrap(), socket.try_clone().unwrap());
    // The address of the command line counts for nothing.
    let mut server = Server::start_with_sockets(listener.into(), socket.into(), &["127.0.0.1", "1"]);
    assert_eq!(server.address, address);
    let join = format!("join: chat-client 127.0.0.1 {} ", address.port());
    server.process.stdout.expect(&join);
    let mut alice = server.plain_named("alice");
    let mut line = String::new();
    BufReader::new(early).read_line(&mut line).unwrap();
    assert!(line.starts_with("* chat version 1: "), "{line}");
    // Both sockets serve clients.
    let bob = server.client("bob");
    alice.expect(" is online");
    let mut asker = server_command();
    asker.args(["--status", "127.0.0.1", &address.port().to_string()]);
    let mut asker = Process::start("asker", &Journal::new(), &mut asker);
    assert_eq!(asker.exit_code(), 0);
    drop((alice, bob));
    server.stop();
    // The next server goes on at the same port.
    let mut again = Server::start_with_sockets(own.0.into(), own.1.into(), &[]);
    assert_eq!(again.address, address);
    again.plain("carol").sync("still here");
    again.stop();
}

#[test]
fn a_passed_listener_is_enough() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = with_sockets(Stdio::from(std::os::fd::OwnedFd::from(listener)), None);
    let mut server = Process::start_as_set_up("server", &Journal::new(), &mut command);
    server.stdout.expect(&format!("listening on {address}"));
    server.stderr.expect(&format!(" listen {address} "));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn other_descriptors_of_the_service_manager_are_an_error() {
    let directory = directory("passed");
    let connected = TcpStream::connect(sockets().0.local_addr().unwrap()).unwrap();
    let unix = UnixListener::bind(directory.join("listener")).unwrap();
    for (descriptor, expected) in [
        (Stdio::null(), "neither a TCP listener nor one for UDP"),
        (
            Stdio::from(std::os::fd::OwnedFd::from(connected)),
            "neither a TCP listener",
        ),
        (
            Stdio::from(std::os::fd::OwnedFd::from(unix)),
            "neither a TCP listener",
        ),
        (
            Stdio::from(std::os::fd::OwnedFd::from(sockets().1)),
            "no socket for TCP",
        ),
    ] {
        let mut command = with_sockets(descriptor, None);
        let mut server = Process::start_as_set_up("server", &Journal::new(), &mut command);
        assert_eq!(server.exit_code(), 1);
        let said = server.stderr.lines().join("\n");
        assert!(said.contains(expected) && !said.contains("panicked"), "{said}");
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
fn the_units_verify_and_the_socket_has_one_port() {
    let unit = include_str!("../crates/server/chat-server.socket");
    let port = |kind: &str| unit.lines().find_map(|line| line.strip_prefix(kind));
    assert_eq!(port("ListenStream=").unwrap(), port("ListenDatagram=").unwrap());
    // systemd-analyze looks for the program, which is installed only on machines that run it.
    let directory = directory("units");
    let service = directory.join("chat-server.service");
    let installed = UNIT.replace("ExecStart=chat-server ", "ExecStart=/bin/true ");
    fs::write(&service, installed).unwrap();
    let socket = directory.join("chat-server.socket");
    fs::write(&socket, unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    match command.arg("verify").args([service, socket]).output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{output:?}"),
        Err(_) => eprintln!("skipped: there is no systemd-analyze"),
    }
    fs::remove_dir_all(directory).unwrap();
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
