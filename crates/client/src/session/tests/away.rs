//! Users who are away.

use super::*;

/// What is said about being away.
fn told(sim: &mut Sim) -> Vec<String> {
    let events = sim.shown().into_iter();
    let told = events.filter_map(|event| match event {
        Event::Away(note) => Some(about_away(&note, Who::to_string).to_string()),
        _ => None,
    });
    told.collect()
}

#[test]
fn away_is_said_again_after_a_reconnection_and_ended_by_the_user() {
    let mut sim = in_a_room_that_may_be_lost();
    sim.type_line("/away at lunch");
    assert_eq!(sim.sent(), "AWAY at lunch\n");
    assert_eq!(told(&mut sim), [""; 0], "the server has to accept it");
    sim.hear(&format!("AWAY {ME} at lunch\n"));
    assert_eq!(told(&mut sim), ["you are away, until /away: at lunch"]);

    sim.session.closed(sim.now());
    reconnect(&mut sim);
    sim.hear("* chat version 1: welcome\n");
    sim.sent();
    sim.hear(&format!(
        "WELCOME {ME} {TOKEN} {TOKEN} 0\nUSER {ME} - -\nHISTORY -\nLIVE\n"
    ));
    assert!(sim.sent().ends_with("AWAY at lunch\n"));
    sim.hear(&format!("AWAY {ME} at lunch\n"));
    assert_eq!(told(&mut sim), [""; 0]);

    sim.type_line("/away");
    assert_eq!(sim.sent(), "AWAY\n");
    sim.hear(&format!("AWAY {ME}\n"));
    assert_eq!(told(&mut sim), ["you are back"]);
    sim.type_line("/away");
    assert_eq!(sim.sent(), "AWAY away\n");
    sim.type_line(&format!("/away {}", "é".repeat(101)));
    assert_eq!(sim.sent(), "");
}

#[test]
fn a_private_message_tells_once_that_its_recipient_is_away() {
    let mut sim = Sim::in_a_room();
    sim.hear("AWAY bob@10.0.0.2:6000 at lunch\n");
    assert_eq!(told(&mut sim), [""; 0], "it is no line of the room");
    sim.type_line("/msg bob hi");
    assert_eq!(told(&mut sim), ["bob@10.0.0.2:6000 is away: at lunch"]);
    sim.type_line("/msg bob there?");
    assert_eq!(told(&mut sim), [""; 0]);
    sim.hear("AWAY bob@10.0.0.2:6000 asleep\n");
    sim.type_line("/msg bob hi");
    assert_eq!(told(&mut sim), ["bob@10.0.0.2:6000 is away: asleep"]);
    sim.hear("AWAY bob@10.0.0.2:6000 asleep\nAWAY bob@10.0.0.2:6000\n");
    sim.type_line("/msg bob hi");
    assert_eq!(told(&mut sim), [""; 0]);
}

#[test]
fn who_is_not_here_or_says_too_much_is_not_away() {
    let mut sim = Sim::in_a_room();
    let long = "x".repeat(101);
    sim.hear(&format!(
        "AWAY carol@10.0.0.9:7000 hi\nAWAY bob@10.0.0.2:6000 {long}\n"
    ));
    assert!(!listed(&mut sim).concat().contains("away"));
    sim.hear("AWAY bob@10.0.0.2:6000 at lunch\n");
    assert!(listed(&mut sim).concat().contains(", away: at lunch"));
    sim.type_line("/ignore bob");
    assert!(!listed(&mut sim).concat().contains("away"));
}
