//! Servers that say a little all the while, and never what is waited for.

use super::*;

/// How long a session lasts whose server says this every second, in seconds; no longer than an hour.
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
fn one_that_drips_its_greeting_has_ten_seconds() {
    let mut sim = Sim::new(config());
    sim.hear("* chat/1 ");
    assert_eq!(lasts(&mut sim, "."), 10);
    assert_eq!(sim.outcome(), Some(&Outcome::Unfinished));
}

#[test]
fn one_that_answers_hello_with_anything_but_welcome_has_ten_seconds() {
    let mut sim = Sim::new(config());
    sim.hear("* chat/1 hi\n");
    assert_eq!(lasts(&mut sim, "NOTICE a moment\n"), 10);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn one_that_welcomes_again_and_again_without_the_nick_has_a_second_to_say_why() {
    let config = Config {
        insist_on_nick: true,
        ..config()
    };
    let mut sim = Sim::new(config);
    sim.hear("* chat/1 hi\n");
    let welcome = format!("WELCOME 10.0.0.1:5000 {TOKEN} {TOKEN} 0\n");
    assert_eq!(lasts(&mut sim, &welcome), 1);
    assert!(matches!(sim.outcome(), Some(Outcome::NickRefused(_))));
}

#[test]
fn one_that_never_ends_saying_who_is_here_has_two_minutes() {
    let mut sim = Sim::new(config());
    sim.hear(&format!("* chat/1 hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    assert_eq!(lasts(&mut sim, "USER bob@10.0.0.2:6000 10.0.0.2:6001 -\n"), 120);
    assert_eq!(sim.outcome(), Some(&Outcome::NoRoster));
}

#[test]
fn a_roster_that_took_long_is_no_reason_to_leave_once_it_is_complete() {
    let mut sim = Sim::new(config());
    sim.hear(&format!("* chat/1 hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    sim.wait(29_000);
    sim.hear("HISTORY -\n");
    assert_eq!(lasts(&mut sim, "SAID 1 10.0.0.9:1 long ago\n"), 3600);
}

#[test]
fn after_the_input_nothing_that_was_not_asked_for_holds_the_client() {
    for drip in [
        "ERROR malformed - what?\n".to_owned(),
        "ERROR nick-taken - bob has it\n".to_owned(),
        format!("SAID 1 {ME} you said\n"),
        format!("NICK 1 {ME} alice\n"),
        "NOTICE a moment\n".into(),
    ] {
        let mut sim = Sim::in_a_room();
        // The first message does come back.
        for line in ["one", "two", "/nick al"] {
            sim.type_line(line);
        }
        sim.session.end_input(sim.now());
        let seconds = lasts(&mut sim, &drip);
        assert!(seconds <= 13, "{drip:?}: {seconds}");
        assert!(sim.outcome().is_some(), "{drip:?}");
    }
}
