use super::*;
use crate::private::Path;
use crate::session::{GroupMessage, Join, Leave, Rename, Transport};
use std::time::Duration;

fn printer() -> Printer {
    Printer {
        conversation: true,
        history: false,
        typed: false,
        zone: TimeZone::fixed(jiff::tz::offset(2)),
    }
}

/// 2023-11-14, 22:13:20 UTC.
const NOW: u64 = 1_700_000_000_000;

/// The standard output and the standard error of an event.
fn print(printer: &Printer, event: &Event) -> (String, String) {
    let (mut out, mut diagnostics) = (Vec::new(), Vec::new());
    printer.print(event, NOW, &mut out, &mut diagnostics);
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(diagnostics).unwrap(),
    )
}

fn who(text: &str) -> Who {
    text.parse().unwrap()
}

fn alice() -> Who {
    who("alice@10.0.0.5:50312")
}

fn text(text: &str) -> Text<'static> {
    Text::new(text).into_owned()
}

fn said(history: bool) -> Event {
    Event::Said(GroupMessage {
        at: NOW,
        who: alice(),
        text: text("hi: there"),
        history,
        own: true,
    })
}

fn private(direction: Direction) -> Event {
    Event::Private(PrivateMessage {
        at: 0,
        direction,
        peer: alice(),
        text: text("psst"),
        transport: WAY,
        after_gap: false,
    })
}

const WAY: Transport = Transport {
    path: Some(Path::Relayed),
    sealed: true,
};

#[test]
fn messages_are_printed_as_the_plain_dialect_has_them() {
    let line = |what: &str| {
        let event = Event::Said(GroupMessage {
            at: NOW,
            who: alice(),
            text: text(what),
            history: false,
            own: false,
        });
        print(&printer(), &event).0
    };
    assert_eq!(line("/me waves"), "* alice@10.0.0.5:50312 waves\n");
    let blanks = |count| " ".repeat(count);
    assert_eq!(
        line(&format!("hm{}from", blanks(60))),
        format!("from alice@10.0.0.5:50312: hm{}from\n", blanks(32))
    );
}

#[test]
fn the_conversation_is_on_the_standard_output() {
    let (at, own) = (0, false);
    let (before, after) = (alice(), who("bob@10.0.0.5:50312"));
    let cases = [
        (said(false), "from alice@10.0.0.5:50312: hi: there\n"),
        (
            Event::Joined(Join {
                at,
                who: alice(),
                own,
            }),
            "alice@10.0.0.5:50312 is online\n",
        ),
        (
            Event::Left(Leave { at, who: alice() }),
            "alice@10.0.0.5:50312 is offline\n",
        ),
        (Event::SomeoneLeft { at }, "a user left\n"),
        (
            Event::Renamed(Rename {
                at,
                before,
                after,
                own,
            }),
            "alice@10.0.0.5:50312 is now bob@10.0.0.5:50312\n",
        ),
        (
            private(Direction::Received),
            "private from alice@10.0.0.5:50312 (sealed, via the server): psst\n",
        ),
        (
            Event::Private(PrivateMessage {
                at,
                direction: Direction::Received,
                peer: alice(),
                text: text("/me waves"),
                transport: WAY,
                after_gap: false,
            }),
            "private from alice@10.0.0.5:50312 (sealed, via the server): * waves\n",
        ),
        (
            Event::Unattributed(Unattributed {
                at,
                text: text("private from 1.1.1.1:1: fake"),
            }),
            "? private from 1.1.1.1:1: fake\n",
        ),
    ];
    for (event, line) in cases {
        assert_eq!(print(&printer(), &event), (line.into(), String::new()));
    }
}

#[test]
fn other_events_are_on_the_standard_error() {
    let peer = alice();
    let reason = text("gone");
    let cases = [
        (
            private(Direction::Sent(1)),
            "* private to alice@10.0.0.5:50312 (sealed, via the server): psst\n",
        ),
        (
            Event::Delivered(Delivery {
                seq: 1,
                peer: alice(),
                text: text("psst"),
                transport: WAY,
                after: Some(Duration::from_millis(7)),
            }),
            "* delivered to alice@10.0.0.5:50312 (via the server, 7 ms): psst\n",
        ),
        (
            Event::Delivered(Delivery {
                seq: 1,
                peer: alice(),
                text: text("psst"),
                transport: Transport {
                    path: Some(Path::Direct),
                    sealed: false,
                },
                after: None,
            }),
            "* sent to alice@10.0.0.5:50312 (direct, unencrypted, unconfirmed): psst\n",
        ),
        (
            Event::NotDelivered(DeliveryFailure {
                seq: 1,
                peer,
                text: text("psst"),
                reason,
            }),
            "* not delivered to alice@10.0.0.5:50312: gone: psst\n",
        ),
        (
            Event::Refused(RefusedMessage {
                text: text("hi"),
                reason: text("no"),
            }),
            "* not sent: no: hi\n",
        ),
        (
            Event::Notice(text("maintenance at noon")),
            "* maintenance at noon\n",
        ),
        (
            Event::Users(
                vec![Listed {
                    who: alice(),
                    transport: Some(Transport {
                        path: Some(Path::Relayed),
                        sealed: false,
                    }),
                    clear: true,
                    verified: None,
                    is_operator: true,
                    away: Some(text("at lunch")),
                }],
                false,
            ),
            "* 1 user is here:\n* alice@10.0.0.5:50312 (operator; in the clear; via the server, unencrypted), away: at lunch\n",
        ),
        (
            Event::Ended(Outcome::Closed(None).into()),
            "* the server closed the connection\n",
        ),
        (Event::Ended(Outcome::Left.into()), ""),
        (Event::Missed(Some(31)), "* 31 lines missed\n"),
        (Event::Missed(Some(1)), "* 1 line missed\n"),
        (
            Event::Missed(None),
            "* lines may be missing here: the server no longer knows where you stopped\n",
        ),
        (Event::Live, ""),
    ];
    for (event, lines) in cases {
        assert_eq!(print(&printer(), &event), (String::new(), lines.into()));
    }
}

#[test]
fn history_is_printed_on_request_with_local_times() {
    assert_eq!(print(&printer(), &said(true)), Default::default());
    let printer = Printer {
        history: true,
        ..printer()
    };
    let (out, _) = print(&printer, &said(true));
    assert_eq!(out, "[00:13:20] from alice@10.0.0.5:50312: hi: there\n");
    assert_eq!(
        print(&printer, &said(false)).0,
        "from alice@10.0.0.5:50312: hi: there\n"
    );
}

#[test]
fn an_impossible_time_is_dashes() {
    assert_eq!(printer().clock(u64::MAX, NOW), "[--:--:--] ");
}

#[test]
fn a_time_of_another_day_has_its_date() {
    const MINUTE: u64 = 60_000;
    let clock = |at| printer().clock(at, NOW);
    // In this zone the day is 13 minutes old, and 14 November is over.
    assert_eq!(clock(NOW - 13 * MINUTE), "[00:00:20] ");
    assert_eq!(clock(NOW - 14 * MINUTE), "[2023-11-14 23:59:20] ");
    assert_eq!(clock(NOW + 24 * 60 * MINUTE), "[2023-11-16 00:13:20] ");
    assert_eq!(clock(0), "[1970-01-01 02:00:00] ");
    assert_eq!(printer().clock(NOW, u64::MAX), "[2023-11-15 00:13:20] ");
}

#[test]
fn send_only_prints_no_conversation() {
    let printer = Printer {
        conversation: false,
        history: true,
        ..printer()
    };
    assert_eq!(print(&printer, &said(false)), Default::default());
    assert_eq!(print(&printer, &said(true)), Default::default());
    let (_, diagnostics) = print(&printer, &private(Direction::Sent(1)));
    assert!(!diagnostics.is_empty());
}

#[test]
fn the_welcome_names_at_most_20_users() {
    let welcome = |count: u16| {
        let mut users = vec![alice()];
        users.extend((1..=count).map(|port| who(&format!("10.0.0.9:{port}"))));
        let (me, clear) = (alice(), Vec::new());
        print(&printer(), &Event::Welcome(Welcome { me, users, clear })).1
    };
    assert_eq!(
        welcome(0),
        "* you are alice@10.0.0.5:50312; nobody else is here\n"
    );
    assert_eq!(
        welcome(1),
        "* you are alice@10.0.0.5:50312; with you is 10.0.0.9:1\n"
    );
    assert_eq!(
        welcome(2),
        "* you are alice@10.0.0.5:50312; with you are 10.0.0.9:1, 10.0.0.9:2\n"
    );
    assert!(welcome(20).ends_with(", 10.0.0.9:20\n"));
    assert!(welcome(22).ends_with(", 10.0.0.9:20, and 2 more\n"));
}

#[test]
fn later_rows_of_a_message_begin_with_blanks() {
    let rows = Event::Said(GroupMessage {
        at: NOW,
        who: alice(),
        text: text("a␊from bob@10.0.0.9:1: b␊"),
        history: false,
        own: false,
    });
    assert_eq!(
        print(&printer(), &rows).0,
        "from alice@10.0.0.5:50312: a\n    from bob@10.0.0.9:1: b\n    \n"
    );
    let mut logged = Vec::new();
    printer().log(&rows, NOW, &mut logged);
    assert_eq!(
        String::from_utf8(logged).unwrap(),
        "2023-11-15 00:13:20+02:00 from alice@10.0.0.5:50312: a\n    from bob@10.0.0.9:1: b\n    \n"
    );
}
