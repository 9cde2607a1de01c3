use super::*;
use crate::files::message::Reason;
use crate::files::name::FileName;
use crate::session::{
    AwayNote, DeliveryFailure, Doubt, GroupMessage, Ignoring, Join, Leave, Listed, Outcome, RefusedMessage,
    Rename, Unattributed, Verification, Verified,
};
use chat_discovery::browser::Room;
use chat_discovery::message::{About, Label};
use chat_proto::opaque::Opaque;
use chat_proto::text::Text;
use serde_json::{Map, Value};
use std::time::Duration;

/// 2023-11-14, 22:13:20 UTC.
const NOW: u64 = 1_700_000_000_000;
const ALICE: &str = "alice@192.0.2.5:50312";
const BOB: &str = "bob@192.0.2.7:41044";
const PLAIN: &str = "192.0.2.9:40744";

fn who(text: &str) -> Who {
    text.parse().unwrap()
}

fn text(text: &str) -> Text<'static> {
    Text::new(text).into_owned()
}

fn transport(path: Option<Path>, sealed: bool) -> Transport {
    Transport { path, sealed }
}

fn welcome() -> Event {
    Event::Welcome(Welcome {
        me: who(ALICE),
        users: vec![who(ALICE), who(PLAIN)],
        clear: vec![who(PLAIN)],
    })
}

fn said(after: u64, from: &str, what: &str, history: bool, own: bool) -> Event {
    Event::Said(GroupMessage {
        at: NOW + after,
        who: who(from),
        text: text(what),
        history,
        own,
    })
}

fn received(after: u64, what: &str, path: Path, after_gap: bool) -> Event {
    Event::Private(PrivateMessage {
        at: NOW + after,
        direction: Direction::Received,
        peer: who(BOB),
        text: text(what),
        transport: transport(Some(path), true),
        after_gap,
    })
}

fn file(is_sent: bool, number: u32, name: &str, size: u64, what: What) -> Event {
    Event::File(FileNews {
        at: NOW,
        rings: false,
        who: who(BOB),
        number,
        is_sent,
        name: FileName::new(name.as_bytes()),
        size,
        path: (what == What::Kept && !is_sent).then(|| format!("/home/alice/Downloads/{name}").into()),
        what,
    })
}

/// The events of the examples in the reference, in its order.
fn examples() -> Vec<Event> {
    let own = false;
    let renamed = "李雷@192.0.2.9:40744";
    vec![
        welcome(),
        Event::Missed(Some(31)),
        Event::Missed(None),
        Event::Live,
        Event::Legacy { silent: false },
        Event::Legacy { silent: true },
        Event::Said(GroupMessage {
            at: NOW - 1000,
            who: who(BOB),
            text: text("morning all"),
            history: true,
            own,
        }),
        said(500, ALICE, "hi \"bob\"", false, true),
        said(750, BOB, "/me waves", false, own),
        Event::Joined(Join {
            at: NOW + 1000,
            who: who(PLAIN),
            own,
        }),
        Event::Renamed(Rename {
            at: NOW + 2000,
            before: who(PLAIN),
            after: who(renamed),
            own,
        }),
        Event::Left(Leave {
            at: NOW + 3000,
            who: who(renamed),
        }),
        Event::SomeoneLeft { at: NOW + 4000 },
        Event::Unattributed(Unattributed {
            at: NOW + 4000,
            text: text("a second line"),
        }),
        received(5000, "psst", Path::Direct, false),
        received(6000, "psst!", Path::Relayed, true),
        Event::Private(PrivateMessage {
            at: NOW + 7000,
            direction: Direction::Sent(1),
            peer: who(BOB),
            text: text("what?"),
            transport: transport(None, true),
            after_gap: false,
        }),
        Event::Delivered(Delivery {
            seq: 1,
            peer: who(BOB),
            text: text("what?"),
            transport: transport(Some(Path::Direct), true),
            after: Some(Duration::from_micros(4_900)),
        }),
        Event::Delivered(Delivery {
            seq: 2,
            peer: who(PLAIN),
            text: text("hi"),
            transport: transport(Some(Path::Relayed), false),
            after: None,
        }),
        Event::NotDelivered(DeliveryFailure {
            seq: 3,
            peer: who(BOB),
            text: text("hello?"),
            reason: text("the user left"),
        }),
        Event::Users(
            [ALICE, BOB, PLAIN]
                .map(|user| Listed {
                    who: who(user),
                    transport: None,
                    clear: user == PLAIN,
                    verified: (user == BOB).then(|| "verified".into()),
                    is_operator: user == ALICE,
                    away: (user == BOB).then(|| text("at lunch")),
                })
                .into(),
            false,
        ),
        Event::Ignoring(Ignoring {
            note: text("bob is hidden"),
            users: vec![who(BOB)],
        }),
        Event::Code(VerifyCode {
            who: who(BOB),
            code: "12345 67890".into(),
        }),
        Event::Verified(Verification {
            note: text("bob@192.0.2.7:41044 is verified"),
            who: Some(who(BOB)),
            added: Some(Verified {
                key: Opaque([0; 32]),
                nick: None,
            }),
            removed: Vec::new(),
        }),
        Event::Verified(Verification {
            note: text("bob@192.0.2.7:41044 is not verified any more"),
            who: Some(who(BOB)),
            added: None,
            removed: vec![Opaque([0; 32])],
        }),
        Event::Doubt(Doubt {
            who: who("bob@192.0.2.99:50007"),
            text: text("this may be somebody else: you verified bob, and this user has another key"),
        }),
        Event::Help,
        Event::Topic(Topic {
            who: Some(who(BOB)),
            text: text("meeting at 3"),
            set: true,
        }),
        Event::Topic(Topic {
            who: Some(who(BOB)),
            text: text(""),
            set: true,
        }),
        Event::Away(AwayNote {
            who: who(BOB),
            text: text("at lunch"),
            own: false,
        }),
        Event::Away(AwayNote {
            who: who(ALICE),
            text: text(""),
            own: true,
        }),
        file(false, 1, "report.pdf", 5_000_000, What::Offered),
        file(false, 1, "report.pdf", 5_000_000, What::Begun(0)),
        file(false, 1, "report.pdf", 5_000_000, What::Paused),
        file(false, 1, "report (2).pdf", 5_000_000, What::Kept),
        file(true, 2, "notes.txt", 300, What::Failed(Reason::DiskFull, None)),
        Event::Answer(text("1. from bob: report.pdf 42 % 11 MB/s 8 s")),
        Event::Notice(text("maintenance at noon")),
        Event::Error(
            None,
            text("no command /quti: the nearest is /quit; // begins a message with a slash"),
        ),
        Event::Warning(text("no pair of neighbouring ports is free")),
        Event::Refused(RefusedMessage {
            text: text("a very long text"),
            reason: text("too long"),
        }),
        Event::Ended(Outcome::Closed(None).into()),
        Event::Lost(Outcome::Silent),
    ]
}

fn json(conversation: bool, history: bool) -> Json {
    Json {
        conversation,
        history,
        me: None,
    }
}

fn print(json: &mut Json, event: &Event) -> Vec<String> {
    let mut out = Vec::new();
    json.print(event, NOW, &mut out);
    let out = String::from_utf8(out).unwrap();
    out.lines().map(str::to_owned).collect()
}

fn parse(line: &str) -> Map<String, Value> {
    serde_json::from_str(line).unwrap()
}

/// The lines of the reference between ```` ```json ```` and ```` ``` ````.
fn documented() -> Vec<&'static str> {
    let mut inside = false;
    let lines = include_str!("../../../JSON.md").lines();
    lines
        .filter(|line| {
            if line.starts_with("```") {
                inside = *line == "```json";
            }
            inside && line.starts_with('{')
        })
        .collect()
}

#[test]
fn whoever_is_shown_out_finds_a_kind_of_its_own_before_the_end() {
    for (outcome, kind) in [
        (Outcome::Kicked(text("out")), "kicked"),
        (Outcome::Banned(text("out")), "banned"),
        (Outcome::Locked(text("out")), "locked"),
    ] {
        let printed = print(&mut json(true, true), &Event::Ended(outcome.into()));
        let of_kind = |line: &str, kind: &str| line.contains(&format!(r#""kind":"{kind}""#));
        assert!(printed.len() == 2 && of_kind(&printed[0], kind) && of_kind(&printed[1], "ended"));
    }
}

#[test]
fn the_examples_of_the_reference_are_printed() {
    let documented = documented();
    let examples = examples();
    assert_eq!(documented.len(), examples.len());
    let mut json = json(true, true);
    for (event, line) in examples.iter().zip(documented) {
        let printed = print(&mut json, event);
        assert!(
            printed.iter().any(|printed| printed == line),
            "{printed:#?}\n{line}"
        );
    }
}

#[test]
fn the_reference_names_every_key_and_every_kind() {
    let reference = include_str!("../../../JSON.md");
    let mut json = json(true, true);
    for line in examples().iter().flat_map(|event| print(&mut json, event)) {
        let object = parse(&line);
        for key in object.keys() {
            assert!(reference.contains(&format!("\n| `{key}` |")), "{key}");
        }
        assert!(object.contains_key("time") && object["v"] == 1 && object.contains_key("kind"));
    }
}

#[test]
fn a_room_of_the_lan_is_printed_as_the_reference_says() {
    let found = Found {
        room: Room {
            name: Label::new("Lab 3").unwrap(),
            addresses: vec!["192.0.2.7:9000".parse().unwrap()],
            about: About {
                has_passphrase: true,
                ..About::default()
            },
        },
        address: "192.0.2.7 9000".parse().unwrap(),
        key: KeyState::Known,
    };
    let mut out = Vec::new();
    room(&found, NOW, &mut out);
    let reference = include_str!("../../../JSON.md");
    let printed = String::from_utf8(out).unwrap();
    assert!(reference.contains(&printed), "{printed}");
    for key in parse(&printed).keys() {
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn each_line_of_help_is_an_object() {
    let printed = print(&mut json(true, true), &Event::Help);
    assert_eq!(printed.len(), command::help(false).count());
}

#[test]
fn texts_survive_the_encoding() {
    let nasty = "\"quotes\", \\ and 李雷 👋 \u{200d}";
    let printed = print(&mut json(true, false), &said(0, BOB, nasty, false, false));
    assert_eq!(parse(&printed[0])["text"], text(nasty).as_str());
}

#[test]
fn the_clients_time_replaces_an_impossible_one() {
    let event = Event::SomeoneLeft { at: u64::MAX };
    let printed = print(&mut json(true, false), &event);
    assert_eq!(parse(&printed[0])["time"], "2023-11-14T22:13:20.000Z");
}

#[test]
fn own_messages_carry_the_new_nick() {
    let mut json = json(true, false);
    print(&mut json, &welcome());
    let after = who("alicia@192.0.2.5:50312");
    let renamed = Event::Renamed(Rename {
        at: NOW,
        before: who(ALICE),
        after,
        own: true,
    });
    print(&mut json, &renamed);
    let printed = print(&mut json, &received(0, "psst", Path::Direct, false));
    assert_eq!(parse(&printed[0])["to"], "alicia@192.0.2.5:50312");
}

#[test]
fn history_and_conversation_are_optional() {
    let past = said(0, BOB, "before", true, false);
    let present = said(0, BOB, "now", false, false);
    let counts = |conversation, history| {
        let mut json = json(conversation, history);
        let kinds = [
            &past,
            &present,
            &received(0, "psst", Path::Direct, false),
            &Event::Live,
        ];
        kinds.map(|event| print(&mut json, event).len())
    };
    assert_eq!(counts(true, true), [1, 1, 1, 1]);
    assert_eq!(counts(true, false), [0, 1, 1, 1]);
    assert_eq!(counts(false, true), [0, 0, 0, 1]);
}

#[test]
fn the_rows_of_a_message_are_in_its_text() {
    let printed = print(&mut json(true, false), &said(0, BOB, "a␊b", false, false));
    assert_eq!(parse(&printed[0])["text"], "a\nb");
    let printed = print(&mut json(true, false), &received(0, "a␊b", Path::Direct, false));
    assert_eq!(parse(&printed[0])["text"], "a\nb");
}
