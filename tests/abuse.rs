//! Connections that misbehave: floods, silence, resets, endless lines.

use crate::harness::{End, Plain, Rich, Server, Wire, can_open, part_of};
use nix::sys::signal::Signal;
use std::time::Duration;

const FAST: [&str; 4] = ["--rate", "1000000", "--burst", "1000000"];

/// Growth of memory that a test tolerates, for example by the allocator.
const SLACK: usize = 4 << 20;

/// Checks that nothing arrives in this time.
#[track_caller]
fn expect_silence(user: &mut Wire, time: Duration) {
    let heard = user.next_line_within(time);
    assert_eq!(heard, None, "{}", user.journal);
}

#[test]
fn clients_that_send_byte_by_byte_are_understood() {
    let count = part_of(500);
    if !can_open(2 * 600) {
        return;
    }
    let server = Server::start(&FAST);
    let mut watcher = server.plain("watcher");
    let mut users: Vec<_> = (0..count)
        .map(|n| {
            let mut wire = server.connect(&format!("slow{n}"));
            let text = format!("héllo, {n} 中");
            // Every other client speaks the rich dialect. The plain ones send a whole line first, so that the server
            // waits a second for each further byte.
            let bytes = if n % 2 == 0 {
                let greeting = wire.expect("* chat version 1: ");
                let mut secret = [1; 32];
                secret[8..16].copy_from_slice(&n.to_le_bytes());
                wire.seal(&greeting, secret, format!("HELLO 1 slow{n} - -"));
                format!("SAY 1 {text}\n")
            } else {
                format!("\n{text}\n")
            };
            (wire, text, bytes.into_bytes())
        })
        .collect();
    let longest = users.iter().map(|(_, _, bytes)| bytes.len()).max().unwrap();
    for at in 0..longest {
        for (wire, _, bytes) in &mut users {
            wire.send(bytes.get(at..=at).unwrap_or_default());
        }
    }
    let mut said = vec![String::new(); count];
    while said
        .iter()
        .zip(&users)
        .any(|(said, (_, text, _))| said.len() < text.len())
    {
        let line = watcher.expect("from ");
        let place = users.iter().position(|(wire, ..)| {
            let who = format!("{}: ", wire.id());
            line.contains(&format!("@{who}")) || line.contains(&format!("from {who}"))
        });
        let (_, text) = line.split_once(": ").unwrap();
        said[place.unwrap()].push_str(text);
    }
    for (said, (_, text, _)) in said.iter().zip(&users) {
        assert_eq!(said, text);
    }
}

#[test]
fn a_web_page_cannot_speak_in_the_room() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut page = server.connect("page");
    page.expect("* chat version 1: ");
    page.send("POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n/nick admin\nroom closes at noon\n");
    page.expect("another protocol");
    assert_eq!(page.until_end(), [""; 0]);
    assert_eq!(watcher.sync("nothing was said"), [""; 0]);
    let log = server.log_so_far(page.id());
    assert!(
        matches!(&*log, [line] if line.ends_with("reason=foreign")),
        "{log:?}"
    );
}

#[test]
fn silent_clients_take_no_processor_time() {
    let count = part_of(500);
    if !can_open(2 * 600) {
        return;
    }
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let silent: Vec<_> = (0..count)
        .map(|n| server.connect(&format!("silent{n}")))
        .collect();
    for _ in 0..count {
        watcher.expect(" is online");
    }
    let before = server.process.processor_time();
    expect_silence(&mut watcher, Duration::from_secs(1));
    let used = server.process.processor_time() - before;
    assert!(
        used <= Duration::from_millis(20),
        "{used:?} of processor time in an idle second"
    );
    watcher.sync("all is well");
    drop(silent);
    for _ in 0..count {
        watcher.expect(" is offline");
    }
}

#[test]
fn an_endless_line_takes_no_memory_and_gets_one_error() {
    let server = Server::start(&FAST);
    let mut watcher = server.plain("watcher");
    let mut plain = server.plain("plain");
    let mut rich = server.rich("rich");
    let piece = vec![b'x'; 64 * 1024];
    let before = server.process.memory();
    rich.send("SAY 1 ");
    for _ in 0..part_of(640).max(64) {
        assert!(plain.send_bulk(&piece) && rich.send_bulk(&piece));
    }
    let used = server.process.memory().saturating_sub(before);
    assert!(used < SLACK, "{used} bytes for lines that are too long");
    plain.line("");
    rich.line("");
    let answers = plain.sync("after the flood");
    let refusals = |lines: &[String]| lines.iter().filter(|line| line.contains("4096")).count();
    assert_eq!(refusals(&answers), 1, "{answers:?}");
    let answers = rich.sync("after the rich flood");
    let errors = answers
        .iter()
        .filter(|line| line.starts_with("ERROR too-long - "))
        .count();
    assert_eq!(errors, 1, "{answers:?}");
    let heard = watcher.until("after the rich flood");
    assert!(!heard.iter().any(|line| line.contains("xx")), "{heard:?}");
}

#[test]
fn a_reset_within_a_line_is_one_leave_and_no_message() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    for round in 0..part_of(200) {
        // A broken connection holds its nick for a while.
        let mut rich = server.rich(&format!("rich{round}"));
        rich.send(format!("SAY 1 whole {round}\nSAY 2 half"));
        let (who, mut heard) = (rich.who.clone(), Vec::new());
        if round % 2 == 0 {
            heard.extend(watcher.until(": whole"));
        }
        rich.reset();
        heard.extend(watcher.until(" is offline"));
        let told = |what: &str| {
            heard
                .iter()
                .filter(|line| **line == format!("{who} {what}"))
                .count()
        };
        assert_eq!((told("is online"), told("is offline")), (1, 1), "{heard:?}");
        assert!(!heard.iter().any(|line| line.contains("half")), "{heard:?}");
        let mut plain = server.plain("plain");
        plain.send("half a line");
        let id = plain.id().to_owned();
        plain.reset();
        let heard = watcher.until(" is offline");
        assert_eq!(heard.last().unwrap(), &format!("{id} is offline"), "{heard:?}");
    }
    assert_eq!(watcher.sync("marker"), [""; 0]);
    let log = server.log_so_far(" leave ");
    assert_eq!(log.len(), 2 * part_of(200));
    // If the server was writing at that moment, it logs the connection as closed.
    let known = |line: &String| line.contains("reason=reset") || line.contains("reason=closed");
    assert!(log.iter().all(known), "{log:?}");
}

#[test]
fn a_client_that_half_closes_is_sent_all_that_is_queued() {
    let server = Server::start(&FAST);
    let mut talker = server.plain("talker");
    let mut reader = Plain::join(Wire::connect_narrow("reader", server.address, &server.journal));
    let mut half = Rich::join(
        Wire::connect_narrow("half", server.address, &server.journal),
        "half",
    );
    // More than the socket buffers hold, and less than the room buffers for one user.
    for number in 0..300 {
        talker.line(&format!("{number} {}", "x".repeat(2000)));
    }
    talker.until(&format!(": {} ", 299));
    reader.half_close();
    half.send("SAY 1 half a line");
    half.half_close();
    let id = talker.id().to_owned();
    let numbers = |heard: Vec<String>, start: &str| -> Vec<u32> {
        let said = heard.iter().filter_map(|line| line.split_once(start));
        said.map(|(_, text)| text.split(' ').next().unwrap().parse().unwrap())
            .collect()
    };
    let heard = reader.until_end();
    assert_eq!(reader.end(), Some(End::Closed));
    assert!(numbers(heard, &format!("from {id}: ")).iter().copied().eq(0..300));
    let heard = half.until_end_without_answering();
    assert_eq!(half.end(), Some(End::Closed));
    assert!(numbers(heard, &format!(" {id} ")).iter().copied().eq(0..300));
    assert!(
        !talker
            .sync("marker")
            .iter()
            .any(|line| line.contains("half a line"))
    );
}

#[test]
fn a_flood_of_short_connections_disturbs_nobody() {
    let server = Server::start(&["--max-users", "50"]);
    let (mut alice, mut bob) = (server.plain("alice"), server.rich("bob"));
    let descriptors = server.process.descriptors();
    let before = server.process.memory();
    let count = part_of(20_000);
    for number in 0..count {
        let wire = server.connect("flood");
        if number % 2 == 0 {
            wire.reset();
        }
        if number % 500 == 0 {
            alice.line(&format!("alice {number}"));
            bob.say(&format!("bob {number}"));
        }
    }
    alice.sync("it is over");
    let mut heard = bob.until("it is over");
    // The order between messages of two users is not defined.
    bob.say("and that is all");
    heard.extend(bob.until("and that is all"));
    for number in (0..count).step_by(500) {
        for who in ["alice", "bob"] {
            let text = format!("{who} {number}");
            assert_eq!(
                heard.iter().filter(|line| line.ends_with(&text)).count(),
                1,
                "{text}"
            );
        }
    }
    // A newcomer gets a place only once all of them are gone.
    let mut carol = server.connect_when_there_is_room("carol");
    carol.line("here I am");
    carol.expect(": here I am");
    let used = server.process.memory().saturating_sub(before);
    assert!(used < SLACK, "{used} bytes are left of them");
    drop(carol);
    server.process.expect_descriptors(descriptors);
}

#[test]
fn a_full_room_rejects_a_storm_and_goes_on() {
    let server = Server::start(&["--max-users", "8"]);
    let mut users: Vec<_> = (0..8).map(|n| server.plain(&format!("user{n}"))).collect();
    let descriptors = server.process.descriptors();
    let mut refused = 0;
    for _ in 0..part_of(2000) {
        let mut wire = server.connect("refused");
        // The server closes without a message while too many rejections are pending.
        let heard = wire.until_end();
        assert!(heard.is_empty() || heard == ["too many users"], "{heard:?}");
        refused += heard.len();
    }
    assert!(
        refused > part_of(2000) / 2,
        "only {refused} of them received the reason"
    );
    for user in &mut users {
        let marker = format!("{} is still here", user.name);
        user.sync(&marker);
    }
    server.process.expect_descriptors(descriptors);
    // A place is free as soon as a user leaves.
    users.pop().unwrap().close();
    users[0].expect(" is offline");
    let mut next = server.connect_when_there_is_room("next");
    next.line("in at last");
    next.expect(": in at last");
}

#[test]
fn a_server_that_is_stopped_and_continued_loses_nothing() {
    let server = Server::start(&FAST);
    let (mut alice, mut bob) = (server.plain("alice"), server.rich("bob"));
    let client = server.client("carol");
    for round in 0..part_of(100) {
        server.process.signal(Signal::SIGSTOP);
        for number in 0..20 {
            alice.line(&format!("alice {round} {number}"));
            bob.say(&format!("bob {round} {number}"));
        }
        client.signal(if round % 2 == 0 {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        });
        server.process.signal(Signal::SIGCONT);
    }
    client.signal(Signal::SIGCONT);
    let expected: Vec<_> = (0..part_of(100))
        .flat_map(|round| (0..20).map(move |number| format!("{round} {number}")))
        .collect();
    alice.sync("that is all");
    let heard = bob.sync("from me too");
    client.shows().expect("that is all");
    client.shows().expect("from me too");
    let shown = client.shows().lines();
    for lines in [&heard, &shown] {
        for who in ["alice ", "bob "] {
            let texts = lines
                .iter()
                .filter_map(|line| line.rsplit_once(who).map(|(_, text)| text));
            let texts: Vec<_> = texts.filter(|text| !text.contains("is online")).collect();
            assert_eq!(texts, expected, "{who}");
        }
    }
}
