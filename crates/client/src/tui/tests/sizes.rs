//! One conversation on screens of four sizes.

use super::*;
use crate::private::Path;
use crate::session::{Delivery, DeliveryFailure, Direction, Event, PrivateMessage, Transport};
use chat_proto::text::Text;

const BOB: &str = "bob@10.0.0.2:6000";
const CAROL: &str = "carol@10.0.0.3:7000";
const LEI: &str = "李雷@10.0.0.4:1";
const DAVE: &str = "dave@10.0.0.5:1";

/// A conversation with each kind of line. From 22:20 on, nobody looks.
fn conversation(columns: usize, rows: usize) -> Sim {
    let mut sim = Sim::in_a_room(columns, rows);
    let minute = |minute: u64| TIME + minute * 60_000;
    let say = |sim: &mut Sim, at: u64, who: &str, text: &str| {
        sim.hear(&format!("SAID {} {who} {text}\n", minute(at)));
    };
    for who in [LEI, DAVE] {
        sim.hear(&format!("JOIN {} {who} - -\n", minute(1)));
    }
    for number in 1..=38 {
        sim.hear(&format!(
            "JOIN {} student{number}@10.0.1.{number}:1 - -\n",
            minute(1)
        ));
    }
    sim.hear(&format!("LEAVE {} student7@10.0.1.7:1\n", minute(1)));
    say(&mut sim, 2, BOB, "morning all, the switch in rack 3 is back");
    say(&mut sim, 2, LEI, "大家好 👋");
    let long = "alice: can you look at port 7? see https://example.org/wiki/Rack_3/ports?id=7&view=full for the wiring \
                list, third table from the top";
    say(&mut sim, 3, BOB, long);
    for (seq, who, text, fate) in [
        (1, BOB, "the keys are under the mat", Ok(Path::Direct)),
        (2, CAROL, "lab 2 at ten?", Ok(Path::Relayed)),
        (3, DAVE, "are you there?", Err("dave left")),
    ] {
        private(&mut sim, Direction::Sent(seq), minute(4), who, text);
        settle(&mut sim, seq, who, text, fate);
    }
    private(&mut sim, Direction::Received, minute(4), BOB, "got them");
    sim.hear(&format!("NICK {} {DAVE} david\n", minute(5)));
    say(&mut sim, 5, CAROL, "/me looks");
    say(&mut sim, 5, ME, "on my way");
    sim.hear("NOTICE the server restarts at noon\n");
    sim.keys("carol: I can read :)");
    sim.frame();
    sim.burst("\x1b[O");
    say(
        &mut sim,
        7,
        CAROL,
        "can somebody tell alice that lab 2 starts at ten?",
    );
    private(&mut sim, Direction::Received, minute(7), CAROL, "see you there");
    sim
}

fn private(sim: &mut Sim, direction: Direction, at: u64, who: &str, text: &'static str) {
    sim.screen.show(&Event::Private(PrivateMessage {
        at,
        direction,
        peer: who.parse().unwrap(),
        text: Text::new(text),
        transport: Transport {
            path: Some(Path::Direct),
            sealed: true,
        },
        after_gap: false,
    }));
}

fn settle(sim: &mut Sim, seq: u64, who: &str, text: &'static str, fate: Result<Path, &'static str>) {
    let peer = who.parse().unwrap();
    let text = Text::new(text);
    sim.screen.show(&match fate {
        Ok(path) => Event::Delivered(Delivery {
            seq,
            peer,
            text,
            transport: Transport {
                path: Some(path),
                sealed: true,
            },
            after: Some(Duration::from_millis(3)),
        }),
        Err(reason) => Event::NotDelivered(DeliveryFailure {
            seq,
            peer,
            text,
            reason: Text::new(reason),
        }),
    });
}

#[test]
fn on_120_columns_and_35_rows() {
    conversation(120, 35).shows(
        "|
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |22:14         + 李雷, dave, student1, student2, student3, student4, student5, student6 and 32 more; - student7
         |22:15      bob  morning all, the switch in rack 3 is back
         |          李雷  大家好 👋
         |22:16 !    bob  alice: can you look at port 7? see https://example.org/wiki/Rack_3/ports?id=7&view=full for the wiring
         |                list, third table from the top
         |22:17 >    bob  the keys are under the mat  ok
         |      >  carol  lab 2 at ten?  ok, via the server
         |      >   dave  are you there?  not delivered: dave left
         |      <    bob  got them
         |22:18         = dave is now david
         |              * carol looks
         |         alice  on my way
         |      -- server: the server restarts at noon
         |      ---- new since 22:20 ----
         |22:20 !  carol  can somebody tell alice that lab 2 starts at ten?
         |      <  carol  see you there
         | alice in 10.0.0.9:9000 · 42 here · 41 in the clear                                                @1 p1  carol: direct
         |> carol: I can read :)█",
    );
}

#[test]
fn on_80_columns_and_24_rows() {
    conversation(80, 24).shows(
        "|
         |
         |
         |
         |
         |22:14         + 李雷, dave, student1, student2, student3 and 35 more; - student7
         |22:15      bob  morning all, the switch in rack 3 is back
         |          李雷  大家好 👋
         |22:16 !    bob  alice: can you look at port 7? see
         |                https://example.org/wiki/Rack_3/ports?id=7&view=full for the
         |                wiring list, third table from the top
         |22:17 >    bob  the keys are under the mat  ok
         |      >  carol  lab 2 at ten?  ok, via the server
         |      >   dave  are you there?  not delivered: dave left
         |      <    bob  got them
         |22:18         = dave is now david
         |              * carol looks
         |         alice  on my way
         |      -- server: the server restarts at noon
         |      ---- new since 22:20 ----
         |22:20 !  carol  can somebody tell alice that lab 2 starts at ten?
         |      <  carol  see you there
         | alice in 10.0.0.9:9000 · 42 here · 41 in the clear        @1 p1  carol: direct
         |> carol: I can read :)█",
    );
}

#[test]
fn on_40_columns_and_12_rows() {
    let mut sim = conversation(40, 12);
    sim.shows(
        "|  delivered: dave left
         |22:17<bob: got them
         |22:18 = dave is now david
         |22:18 * carol looks
         |22:18 alice: on my way
         |-- server: the server restarts at noon
         |---- new since 22:20 ----
         |22:20!carol: can somebody tell alice
         |  that lab 2 starts at ten?
         |22:20<carol: see you there
         | alice · 41 in the clear          @1 p1
         |> carol: I can read :)█",
    );
    sim.keys("\x1b[5~");
    sim.shows(
        "|  7? see
         |  https://example.org/wiki/Rack_3/ports?
         |  id=7&view=full for the wiring list,
         |  third table from the top
         |22:17>bob: the keys are under the mat
         |  ok
         |22:17>carol: lab 2 at ten?  ok, via the
         |  server
         |22:17>dave: are you there?  not
         |  delivered: dave left
         | alice                  @1 p1  scrolled
         |> carol: I can read :)█",
    );
}

#[test]
fn on_20_columns_and_5_rows() {
    let mut sim = conversation(20, 5);
    sim.shows(
        "|  ten?
         |carol< see you there
         | alice @1 p1
         |> carol: I can read
         |:)█",
    );
    sim.keys("\x15\x1b[5~\x1b[5~");
    sim.shows(
        "|  noon
         |---- new ----
         |carol! can somebody
         | alice @1 p1 ^
         |> █",
    );
}

#[test]
fn what_needs_attention_is_the_last_to_leave_the_status_line() {
    let key = data_encoding::BASE64URL_NOPAD.encode(&[5; 32]);
    let mut sim = Sim::new(80, 5);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nUSER {ME} - -\n"));
    sim.hear(&format!(
        "USER {BOB} - {key}\nUSER {CAROL} - {key}\nHISTORY -\nLIVE\n"
    ));
    for number in 0..9 {
        sim.say(BOB, &format!("line {number}"));
    }
    sim.frame();
    sim.keys("x\x1b[5~");
    sim.say(BOB, "alice: hello");
    private(&mut sim, Direction::Received, TIME, CAROL, "psst");
    for (columns, status) in [
        (
            80,
            "alice in 10.0.0.9:9000 · 3 here · sealed @1 p1 2 below carol: direct",
        ),
        (60, "alice in 10.0.0.9:9000 · 3 here · sealed @1 p1 2 below"),
        (50, "alice · 3 here · sealed @1 p1 2 below"),
        (30, "alice @1 p1 2 below"),
        (29, "alice 3 @1 p1 2v"),
        (20, "alice 3 @1 p1 2v"),
        (16, "alice @1 p1 2v"),
        (12, "@1 p1 2v"),
    ] {
        sim.screen.resize(Size { columns, rows: 5 });
        assert_eq!(sim.status(), status, "{columns}");
    }
}

#[test]
fn below_30_columns_the_status_line_names_the_only_recipient() {
    let mut sim = Sim::new(20, 5);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nUSER {ME} - -\n"));
    sim.hear(&format!("USER {BOB} - -\nHISTORY -\nLIVE\n"));
    sim.keys("/query bob\r");
    assert!(sim.status().ends_with(">bob"), "{}", sim.status());
}

#[test]
fn the_roles_of_the_parts_of_lines() {
    let mut sim = conversation(80, 30);
    let user = |who: &str| Role::user(&who.parse().unwrap());
    let mentioner = |who: &str| Role::mentioner(&who.parse().unwrap());
    for (role, texts) in [
        (Role::Own, &["alice"][..]),
        (Role::Mention, &["alice", "alice"]),
        (Role::Mark, &["!", "!"]),
        (user(BOB), &["bob"]),
        (mentioner(BOB), &["bob"]),
        (mentioner(CAROL), &["carol"]),
        (
            Role::Link,
            &["https://example.org/wiki/Rack_3/ports?id=7&view=full"],
        ),
        (Role::StatusOwn, &["alice"]),
        (Role::StatusMark, &["@1"]),
        (Role::StatusPrivate, &["p1"]),
        (
            Role::Error,
            &[">", "dave", "are you there?", "  not delivered: dave left"],
        ),
    ] {
        assert_eq!(sim.drawn_as(role), texts, "{role:?}");
    }
}
