//! Servers that keep sending, but never what the client needs.

use super::*;

/// How long a session lasts, in seconds, if its server sends this every second. At most an hour.
fn lasts(sim: &mut Sim, drip: &str) -> u64 {
    let began = sim.ms;
    for _ in 0..3600 {
        if sim.outcome().is_some() || sim.session.is_legacy() {
            break;
        }
        sim.hear(drip);
        sim.wait(1000);
    }
    (sim.ms - began) / 1000
}

#[test]
fn a_slow_greeting_may_take_ten_seconds() {
    let mut sim = Sim::new(config());
    sim.hear("* chat version 1: ");
    assert_eq!(lasts(&mut sim, "."), 10);
    assert_eq!(sim.outcome(), Some(&Outcome::Unfinished));
}

#[test]
fn welcome_must_follow_hello_within_ten_seconds() {
    let mut sim = Sim::new(config());
    sim.hear("* chat version 1: hi\n");
    assert_eq!(lasts(&mut sim, "NOTICE a moment\n"), 10);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn the_reason_for_a_missing_nick_may_take_a_second() {
    let config = Config {
        insist_on_nick: true,
        ..config()
    };
    let mut sim = Sim::new(config);
    sim.hear("* chat version 1: hi\n");
    let welcome = format!("WELCOME 10.0.0.1:5000 {TOKEN} {TOKEN} 0\n");
    assert_eq!(lasts(&mut sim, &welcome), 1);
    assert!(matches!(sim.outcome(), Some(Outcome::NickRefused(_))));
}

#[test]
fn the_user_list_may_take_two_minutes() {
    let mut sim = Sim::new(config());
    sim.hear(&format!("* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    assert_eq!(lasts(&mut sim, "USER bob@10.0.0.2:6000 10.0.0.2:6001 -\n"), 120);
    assert_eq!(sim.outcome(), Some(&Outcome::NoRoster));
}

#[test]
fn a_slow_user_list_has_no_effect_once_complete() {
    let mut sim = Sim::new(config());
    sim.hear(&format!("* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    sim.wait(29_000);
    sim.hear("HISTORY -\n");
    assert_eq!(lasts(&mut sim, "SAID 1 10.0.0.9:1 long ago\n"), 3600);
}

#[test]
fn unrelated_lines_do_not_delay_the_end() {
    for drip in [
        "ERROR malformed - what?\n".to_owned(),
        "ERROR nick-taken - bob has it\n".to_owned(),
        format!("SAID 1 {ME} you said\n"),
        format!("NICK 1 {ME} alice\n"),
        "NOTICE a moment\n".into(),
    ] {
        let mut sim = Sim::in_a_room();
        // The server returns the first message.
        for line in ["one", "two", "/nick al"] {
            sim.type_line(line);
        }
        sim.session.end_input(sim.now());
        let seconds = lasts(&mut sim, &drip);
        assert!(seconds <= 13, "{drip:?}: {seconds}");
        assert!(sim.outcome().is_some(), "{drip:?}");
    }
}
