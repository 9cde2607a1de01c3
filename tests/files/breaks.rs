//! Users who leave, programs that are killed, and a server that goes away.

use super::{Directory, LONG, Room, length, noise, until};
use crate::harness::{Client, Terminal, in_a_new_network};
use nix::sys::signal::Signal;
use std::fs::{self, File};

impl Room {
    /// Bob starts again, with the key that he had.
    fn restart_bob(&mut self) {
        self.bob = self.directory.client(&self.server, "bob", &[]);
        self.alice
            .shows()
            .expect(&format!("bob@{} is online", self.bob.id()));
    }

    fn kill(&mut self, of: fn(&mut Self) -> &mut Client) {
        of(self).signal(Signal::SIGKILL);
        of(self).wait();
    }
}

#[test]
fn a_user_who_leaves_goes_on_under_the_same_key_alone() {
    let mut room = Room::new("leaves");
    let bytes = noise(LONG);
    // While it is offered.
    room.offer("long.bin", &bytes);
    room.bob.line("/quit");
    room.bob.wait();
    room.alice.complains().expect(", long.bin, to bob@");
    room.alice.complains().expect("paused until that user is back");
    room.restart_bob();
    room.bob
        .complains()
        .expect("offers you a file: long.bin (20 MB); /accept 1");
    room.bob.line("/decline");
    // In the middle.
    let caught = room.catch("middle", &bytes);
    room.kill(|room| &mut room.bob);
    let before = length(&caught.part);
    room.alice.signal(Signal::SIGCONT);
    room.alice.complains().expect_all(&[
        &format!("{}, to bob@", caught.name),
        "paused until that user is back",
    ]);
    // Somebody else, with the same directory.
    let mut other = room.directory.client(&room.server, "erin", &[]);
    room.alice.shows().expect("erin@");
    room.alice.line("/msg erin hello");
    other.expect_private(&format!("alice@{}", room.alice.id()), "hello");
    other.line("/files");
    other.complains().expect("no file is offered, sent or received");
    assert_eq!(other.complains().with("offers you"), [""; 0]);
    other.line("/quit");
    other.wait();
    room.restart_bob();
    let offer = room.bob.complains().expect("offers you a file: middle");
    assert!(offer.contains("/accept 1"), "{offer}");
    assert_eq!(length(&caught.part), before);
    room.bob.line("/accept");
    room.bob.complains().expect("goes on where it stopped");
    room.expect_kept(&caught.name, &bytes);
    assert_eq!(room.directory.names(), [caught.name.as_str()]);
}

#[test]
fn a_killed_sender_goes_on_from_what_is_on_the_disk() {
    let mut room = Room::new("sender");
    let bytes = noise(LONG);
    let caught = room.catch("long", &bytes);
    room.kill(|room| &mut room.alice);
    room.bob.complains().expect("paused until that user is back");
    room.alice = room.directory.client(&room.server, "alice", &[]);
    room.bob
        .complains()
        .expect("paused until that user sends it again");
    room.bob.line("/files");
    room.bob
        .complains()
        .expect("(20 MB): paused until that user sends it again");
    assert!(length(&caught.part) > 0);
    room.send(&caught.name);
    // The user has accepted it before.
    room.bob.complains().expect("goes on where it stopped");
    room.expect_kept(&caught.name, &bytes);
    assert_eq!(room.directory.names(), [caught.name.as_str()]);
}

#[test]
fn a_part_with_other_bytes_begins_anew() {
    let mut room = Room::new("anew");
    let bytes = noise(LONG);
    // Another program changes the part while bob is away.
    let caught = room.catch("changed", &bytes);
    room.kill(|room| &mut room.bob);
    fs::write(&caught.part, "other bytes").unwrap();
    room.alice.signal(Signal::SIGCONT);
    room.restart_bob();
    room.bob.complains().expect("offers you");
    room.bob.line("/accept");
    room.expect_kept(&caught.name, &bytes);
    // Carol's file has the same name, size and time, and other bytes.
    let caught = room.catch("carols", &bytes);
    room.kill(|room| &mut room.alice);
    room.bob.complains().expect("paused until that user is back");
    let others: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    let (of_alice, of_carol) = (
        room.directory.path(&caught.name),
        room.directory.path(&format!("of-carol/{}", caught.name)),
    );
    fs::create_dir(room.directory.path("of-carol")).unwrap();
    fs::write(&of_carol, &others).unwrap();
    let modified = fs::metadata(of_alice).unwrap().modified().unwrap();
    File::options()
        .write(true)
        .open(&of_carol)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let mut carol = room.directory.client(&room.server, "carol", &[]);
    carol.line(&format!("/send bob {}", of_carol.display()));
    let offer = room.bob.complains().expect("carol@");
    assert!(offer.contains("offers you a file"), "{offer}");
    let number = offer.split("/accept ").nth(1).unwrap().split(' ').next().unwrap();
    room.bob.line(&format!("/accept {number}"));
    carol.complains().expect(" has carols");
    assert!(fs::read(room.directory.kept(&caught.name)).unwrap() == others);
}

#[test]
fn a_user_whose_network_is_gone_goes_on_later() {
    let mut room = Room::with("network", &["--ping-interval", "1"], &[]);
    let bytes = noise(LONG);
    let caught = room.catch("long", &bytes);
    room.bob.signal(Signal::SIGSTOP);
    room.alice.signal(Signal::SIGCONT);
    room.alice
        .complains()
        .expect_all(&[&caught.name, "paused until that user is back"]);
    room.bob.signal(Signal::SIGCONT);
    room.bob.wait();
    room.restart_bob();
    room.bob.complains().expect("offers you a file: long");
    room.bob.line("/accept");
    room.bob.complains().expect("goes on where it stopped");
    room.expect_kept(&caught.name, &bytes);
}

/// The full screen, because line mode ends with its connection.
#[test]
fn a_file_arrives_though_the_server_is_killed() {
    let mut room = Room::new("server");
    let bytes = noise(LONG);
    fs::write(room.directory.path("long.bin"), &bytes).unwrap();
    let within = room.directory.path("in");
    let start = |nick: &str| {
        let options = ["--nick", nick, "--files-dir", within.to_str().unwrap()];
        let journal = &room.server.journal;
        Terminal::start(nick, room.server.address, &options, (120, 24), journal)
    };
    let (mut dave, mut erin) = (start("dave"), start("erin"));
    for user in [&dave, &erin] {
        user.expect("you are ");
    }
    dave.expect("erin");
    dave.keys(&format!(
        "/send erin {}\r",
        room.directory.path("long.bin").display()
    ));
    erin.expect("/accept 1");
    erin.keys("/accept\r");
    until("part", || {
        room.directory.part_of("long.bin").filter(|part| length(part) > 0)
    });
    dave.process.signal(Signal::SIGSTOP);
    room.server.process.signal(Signal::SIGKILL);
    room.server.process.wait();
    dave.process.signal(Signal::SIGCONT);
    erin.expect("is complete");
    dave.expect("has long.bin");
    let kept = fs::read(room.directory.kept("long.bin")).unwrap();
    assert!(kept == bytes);
}

/// The network drops what a small queue of the sender's host does not hold, and the system says so.
#[test]
fn a_full_queue_of_this_host_does_not_end_a_path() {
    let script = "ip link set lo mtu 1500 up
        tc qdisc add dev lo root tbf rate 16mbit burst 16k limit 20k 2>&1 || exit 77
        head -c 4000000 /dev/urandom > file && mkfifo keys
        timeout 60 $server 127.0.0.1 9000 & server=$!
        until $client --fingerprint 127.0.0.1 9000 >/dev/null 2>&1; do sleep 0.05; done
        timeout 60 $client 127.0.0.1 9000 --nick bob --files-dir in <>keys >bob 2>&1 & bob=$!
        until grep -q 'bob@.* is online' bob; do sleep 0.05; done
        timeout 60 $client 127.0.0.1 9000 --to bob --file file 2>&1 & alice=$!
        until grep -q '/accept 1' bob; do sleep 0.05; done
        echo /accept >keys
        wait $alice; echo \"status $?\"; cmp file in/file && echo equal
        kill $bob $server; tc -s qdisc show dev lo | grep -o 'Sent [0-9]*'";
    let directory = Directory::new("queue");
    let Some(mut command) = in_a_new_network(script) else {
        return;
    };
    let output = command.current_dir(directory.path("")).output().unwrap();
    if output.status.code() == Some(77) {
        return eprintln!("skipped: this system has no tbf");
    }
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("status 0\nequal\n"), "{said}");
    let (_, sent) = said.trim_end().rsplit_once("Sent ").unwrap();
    // When a path ends, all that is under way on it is lost, and sent again.
    assert!(sent.parse::<u64>().unwrap() < 5_200_000, "{said}");
}
