//! What a person at `nc` reads: words, and no tokens of the protocol.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_proto::rich::{ErrorCode, Reason};
use chat_proto::{LINE_MAX, TEXT_MAX};
use chat_server::room::Limits;

/// Words in capitals that stand for what a person types.
const PLACEHOLDERS: [&str; 4] = ["NAME", "TEXT", "WHO", "ACTION"];

/// Nobody at `nc` can know what a verb, an error code, a key or a list in brackets means.
fn assert_for_people(line: &str) {
    let words = line.split(|character: char| !character.is_alphanumeric() && character != '-');
    for word in words {
        let is_verb = word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase());
        assert!(!is_verb || PLACEHOLDERS.contains(&word), "{word} in {line:?}");
        assert!(word.len() < 22, "{word} in {line:?} may be a token or a key");
        let codes = ErrorCode::ALL.iter().map(ToString::to_string);
        let mut codes = codes.chain(Reason::ALL.iter().map(ToString::to_string));
        let is_code = word.contains('-') && codes.any(|code| code == word);
        assert!(!is_code, "{word} in {line:?}");
    }
    assert!(!line.contains(['[', ']']), "brackets in {line:?}");
    let ids = line.replace("//", "").replace(" /", " ");
    assert!(!ids.contains('/'), "a slash of no command in {line:?}");
}

/// Everything that this peer received.
fn lines(sim: &Sim, peer: PeerNo) -> Vec<String> {
    let received = String::from_utf8(sim.peers[peer].received.clone()).unwrap();
    received.lines().map(str::to_owned).collect()
}

#[test]
fn a_person_at_nc_reads_no_protocol_tokens() {
    let mut sim = Sim::new(Limits {
        max_users: 6,
        max_per_address: 4,
        ..limits()
    });
    let person = sim.plain("10.0.0.1:1");
    let client = sim.connect("10.0.0.2:1");
    sim.send(client, "HELLO 1 rick 5000 -\n");
    sim.run(ms(10));
    let quiet = sim.connect("10.0.0.1:2");
    let stopped = sim.plain("10.0.0.3:1");
    // Everything that a client can do to others.
    sim.send(
        client,
        "NICK morty\nSAY 1 hello\nSAY 2 /me waves\nWHISPER 10.0.0.1:1 3 psst\nRELAY 10.0.0.1:1 AAAA\n\
         PUNCH 10.0.0.1:1\nPING 7\nSPARKLE\nSAY\n",
    );
    // Everything that a person can ask for, right and wrong.
    for line in [
        "hello",
        "/help",
        "/who",
        "/nick alice",
        "/nick alice",
        "/nick morty",
        "/nick",
        "/nick a b",
        "/nick a/b",
        "/nick 7",
        "/nick server",
        "/msg morty psst",
        "/msg bob psst",
        "/msg bob",
        "/me waves",
        "/me",
        "//slash",
        "/quti",
        "",
        &"x".repeat(TEXT_MAX + 1),
        &"x".repeat(LINE_MAX + 1),
        &format!("/nick {}", "x".repeat(200)),
    ] {
        sim.send(person, &format!("{line}\n"));
        sim.run(ms(10));
    }
    // One that does not read, and is written to until it is disconnected.
    sim.peers[stopped].reading = Reading::Stopped;
    for seq in 10..90 {
        sim.send(
            client,
            &format!("WHISPER 10.0.0.3:1 {seq} {}\n", "y ".repeat(1900)),
        );
        sim.send(person, &format!("/msg 10.0.0.3:1 {}\n", "z ".repeat(1900)));
        sim.run(ms(10));
    }
    for seq in 100..400 {
        sim.send(client, &format!("SAY {seq} {}\n", "y ".repeat(1900)));
    }
    sim.run_until(|sim| sim.departure("10.0.0.3:1").is_some());
    sim.peers[stopped].reading = Reading::Freely;
    sim.send(client, "QUIT\n");
    // Another protocol; a full room, and the limit of an address.
    let page = sim.connect("10.0.0.4:1");
    sim.send(page, "GET / HTTP/1.1\r\n\r\n");
    sim.run(ms(10));
    let neighbours: Vec<PeerNo> = (3..6)
        .map(|port| sim.connect(&format!("10.0.0.1:{port}")))
        .collect();
    sim.run(ms(300));
    let resumable = sim.rich("10.0.0.5:1", "rick");
    let late: Vec<PeerNo> = (1..4)
        .map(|port| sim.connect(&format!("10.0.0.6:{port}")))
        .collect();
    sim.run(ms(300));
    sim.run(ms(12_000));
    let evicts = sim.connect("10.0.0.7:1");
    sim.run(ms(300));
    sim.send(person, "/quit\n");
    sim.run(ms(10));
    sim.send(resumable, "QUIT\n");
    sim.shut_down();
    sim.run(ms(3000));

    let mut all = Vec::new();
    for peer in [person, quiet, stopped, page, evicts]
        .into_iter()
        .chain(neighbours)
        .chain(late)
    {
        all.extend(lines(&sim, peer));
    }
    for line in &all {
        assert_for_people(line);
    }
    // Each of these was said, so that the list above leaves nothing out.
    let unread = [
        "* chat version 1: you are 10.0.0.1:1; ",
        "* chat version 1: no place is free",
        "too many users",
        "* too many users from your address",
        "10.0.0.1:1 is online",
        "10.0.0.1:1 is now alice@10.0.0.1:1",
        "from 10.0.0.1:1: hello",
        "* morty@10.0.0.2:1 waves",
        "private from morty@10.0.0.2:1: psst",
        "* private to morty@10.0.0.2:1: psst",
        "* type to talk to everybody",
        "* 4 users are here, of at most 6:",
        "* you are alice@10.0.0.1:1 already",
        "* the nick morty is taken by morty@10.0.0.2:1",
        "* usage: /me ACTION",
        "* a nick has no spaces",
        "* a nick can't have / there: ",
        "* a nick needs a letter",
        "* that nick is reserved",
        "* a nick takes at most 32 columns",
        "* no such user: bob; ",
        "* not sent: no such command: /quti; ",
        "* not sent: a message has at most 4000 bytes",
        "* not sent: a line has at most 4096 bytes",
        "* not sent: 10.0.0.3:1 does not read its messages",
        "* disconnected: you were reading too slowly",
        "* disconnected: your first line belongs to another protocol",
        "* disconnected: the room is full, and you have sent nothing",
        "alice@10.0.0.1:1 is offline",
        "* goodbye",
        "* the server is shutting down",
    ]
    .into_iter()
    .filter(|said| !all.iter().any(|line| line.starts_with(said)));
    assert_eq!(unread.collect::<Vec<_>>(), [""; 0]);
}
