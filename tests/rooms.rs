//! Rooms of the LAN, in networks of their own: nothing of these tests reaches the network of this machine.

use crate::harness::{Journal, Process, Terminal, in_a_new_network};
use std::path::PathBuf;

const USUAL: (u16, u16) = (80, 24);

#[test]
fn without_a_server_the_terminal_shows_a_list_of_rooms() {
    let journal = Journal::new();
    for (key, status) in [("q", 0), ("\x1b", 0), ("\x03", 130)] {
        let Some(command) = in_a_new_network("exec $client") else {
            return;
        };
        let mut terminal = Terminal::start_command("client", command, USUAL, &journal);
        terminal.expect("Looking for rooms on this network");
        terminal.expect("chat-client --doctor     says why no room may be found");
        terminal.resize(40, 10);
        terminal.expect("  The client goes on looking.");
        terminal.resize(1, 1);
        terminal.resize(80, 6);
        terminal.expect_line("q: leave");
        terminal.keys(key);
        assert_eq!(terminal.process.exit_code(), status);
        terminal.expect_restored();
    }
}

#[test]
fn a_server_of_this_machine_is_joined_at_once() {
    let script = "ip link set lo up; timeout 60 $server 127.0.0.1 9000 >/dev/null 2>&1 & server=$!
        until $client --fingerprint >/dev/null 2>&1; do sleep 0.05; done
        $client; status=$?; kill $server; exit $status";
    let Some(command) = in_a_new_network(script) else {
        return;
    };
    let mut terminal = Terminal::start_command("client", command, USUAL, &Journal::new());
    terminal.expect("you are 127.0.0.1:");
    terminal.keys("/quit\r");
    assert_eq!(terminal.process.exit_code(), 0);
    terminal.expect_restored();
}

#[test]
fn a_room_of_the_lan_is_chosen_and_joined() {
    let script = "ip link set lo up; ip link add lan type veth peer name other
        ip address add 192.0.2.7/24 dev lan; ip link set lan up; ip link set other up
        timeout 60 $server 192.0.2.7 9001 --name Kitchen --sealed-only >/dev/null 2>&1 & server=$!
        $client; status=$?; kill $server; exit $status";
    let Some(command) = in_a_new_network(script) else {
        return;
    };
    let mut terminal = Terminal::start_command("client", command, USUAL, &Journal::new());
    terminal.expect("> 1  Kitchen  192.0.2.7:9001  sealed");
    terminal.keys("1");
    terminal.expect("you are 192.0.2.7:");
    terminal.expect("in 192.0.2.7:9001");
    terminal.keys("/quit\r");
    assert_eq!(terminal.process.exit_code(), 0);
    terminal.expect_restored();
}

/// Its server is replaced after the list shows it: whoever can announce rooms can also announce one of others at an own address.
#[test]
fn a_room_with_another_key_than_listed_is_not_joined() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("listed-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let script = "ip link set lo up; ip link add lan type veth peer name other; cd $directory
        ip address add 192.0.2.7/24 dev lan; ip link set lan up; ip link set other up
        timeout 60 sh -c 'echo $$ >listed; exec $server 192.0.2.7 9001 --name Kitchen' >/dev/null 2>&1 &
        (until [ -e go ]; do sleep 0.05; done; kill -KILL $(cat listed)
        exec timeout 60 $server 192.0.2.7 9001 --no-announce 2>/dev/null) & server=$!
        $client; status=$?; kill $server; exit $status";
    let Some(mut command) = in_a_new_network(script) else {
        return;
    };
    command.env("directory", &directory);
    let mut terminal = Terminal::start_command("client", command, USUAL, &Journal::new());
    terminal.expect("> 1  Kitchen  192.0.2.7:9001");
    std::fs::write(directory.join("go"), "").unwrap();
    terminal.expect("to check its key: ");
    terminal.keys("1");
    terminal.expect("this is not the room that you chose");
    assert_eq!(terminal.process.exit_code(), 6);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn in_a_pipe_the_host_is_this_machine() {
    let Some(mut command) = in_a_new_network("ip link set lo up; exec $client") else {
        return;
    };
    let mut client = Process::start("client", &Journal::new(), &mut command);
    client
        .stderr
        .expect("chat-client: nobody listens at 127.0.0.1:9000");
    assert_eq!(client.exit_code(), 1);
}

#[test]
fn without_a_room_the_exit_status_says_so() {
    let Some(mut command) = in_a_new_network("exec $client --rooms") else {
        return;
    };
    let mut client = Process::start("client", &Journal::new(), &mut command);
    client
        .stderr
        .expect("no room answered within 1.5 s; to find out why, run `chat-client --doctor`");
    assert_eq!(client.exit_code(), 1);
    assert_eq!(client.stdout.lines(), [""; 0]);
}
