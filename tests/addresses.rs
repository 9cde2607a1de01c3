//! IPv4, IPv6, and both at once.

use crate::harness::{Client, Journal, Server, Wire, has_ipv6};

#[test]
fn users_over_ipv6_have_ids_in_brackets() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start_on("::1", &[]);
    assert!(server.address.is_ipv6());
    let mut alice = server.plain_named("alice");
    assert!(alice.id().starts_with("[::1]:"));
    let rich = server.rich("rich");
    assert_eq!(rich.who, format!("rich@{}", rich.id()));
    alice.line("/msg rich hello");
    alice.expect("* ");
    let client = server.client("client");
    assert!(client.id().starts_with("[::1]:"), "{}", client.id());
    assert_eq!(
        server
            .log_so_far(" join ")
            .iter()
            .filter(|line| line.contains("[::1]:"))
            .count(),
        3
    );
}

#[test]
fn ipv4_users_of_a_dual_stack_server_have_ipv4_ids() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start_on("::", &["--no-announce"]);
    let port = server.address.port();
    let four = Wire::connect("four", ([127, 0, 0, 1], port).into(), &server.journal);
    let mut four = crate::harness::Plain::join(four);
    assert!(four.id().starts_with("127.0.0.1:"));
    let six = server.plain("six");
    assert!(six.id().starts_with("[::1]:"));
    assert_eq!(four.until(" is online"), [format!("{} is online", six.id())]);
    assert_eq!(server.log_so_far("ffff").len(), 0);
}

#[test]
fn the_server_prints_the_address_it_listens_on() {
    let server = Server::start(&[]);
    let lines = server.process.stdout.lines();
    let check = format!(
        "to check its key: chat-client HOST {} --server-key ",
        server.address.port()
    );
    assert_eq!(lines[0], format!("listening on {}", server.address));
    server.process.stdout.expect(&check);
    assert_ne!(server.address.port(), 0);
}

#[test]
fn the_server_prints_how_to_join_it() {
    let server = Server::start(&[]);
    let port = server.address.port();
    let join = format!("join: chat-client 127.0.0.1 {port}   or: nc 127.0.0.1 {port}");
    assert_eq!(server.process.stdout.expect("join: "), join);
    let sealed = Server::start(&["--sealed-only"]);
    let join = format!("join: chat-client 127.0.0.1 {}", sealed.address.port());
    assert_eq!(sealed.process.stdout.expect("join: "), join);
    // Nobody else can use the loopback address of a server that listens everywhere.
    let open = Server::start_on("0.0.0.0", &["--no-announce"]);
    open.process.stdout.expect("to check its key: ");
    let lines = open.process.stdout.with("join: ");
    assert!(lines.iter().all(|line| !line.contains(" 127.")), "{lines:?}");
}

#[test]
fn the_client_resolves_the_name_of_the_server() {
    let server = Server::start(&[]);
    let journal = Journal::new();
    let mut command = crate::harness::client_command();
    command.args(["localhost", &server.address.port().to_string(), "--nick", "alice"]);
    let mut client = Client::start_command("alice", &mut command, &journal);
    client.wait_until_online("alice");
}
