//! What the room is about.

use super::*;

/// What is said of the topic.
fn told(sim: &mut Sim) -> Vec<String> {
    let events = sim.shown().into_iter();
    let told = events.filter_map(|event| match event {
        Event::Topic(topic) => Some(about_topic(&topic).to_string()),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_topic_is_told_on_joining_and_when_it_changes() {
    let mut sim = in_a_room_that_may_be_lost();
    sim.type_line("/topic");
    assert_eq!(told(&mut sim), ["there is no topic"]);
    sim.hear("TOPIC bob@10.0.0.2:6000 meeting at 3\n");
    sim.hear("TOPIC bob@10.0.0.2:6000\nTOPIC bob@10.0.0.2:6000 soup\n");
    assert_eq!(
        told(&mut sim),
        [
            "operator bob@10.0.0.2:6000 has set the topic: meeting at 3",
            "operator bob@10.0.0.2:6000 has removed the topic",
            "operator bob@10.0.0.2:6000 has set the topic: soup",
        ]
    );
    sim.type_line("/topic");
    assert_eq!(told(&mut sim), ["the topic is: soup (set by bob@10.0.0.2:6000)"]);

    // After a reconnection it is news only if it is another one.
    let mut come_back = |topic: &str| {
        sim.session.closed(sim.now());
        reconnect(&mut sim);
        sim.hear("* chat version 1: welcome\n");
        sim.hear(&format!(
            "WELCOME {ME} {TOKEN} {TOKEN} 0\n{topic}HISTORY -\nLIVE\n"
        ));
        told(&mut sim)
    };
    assert_eq!(come_back("TOPIC bob@10.0.0.2:6000 soup\n"), [""; 0]);
    assert_eq!(
        come_back("TOPIC carol@10.0.0.3:7000 cake\n"),
        ["the topic is: cake (set by carol@10.0.0.3:7000)"]
    );
    assert_eq!(come_back(""), ["there is no topic"]);
}

#[test]
fn operators_are_listed_their_commands_too() {
    let mut sim = Sim::in_a_room();
    sim.type_line("/help");
    let kick = |event: &Event| matches!(event, Event::Notice(text) if text.as_str().starts_with("/kick WHO"));
    assert!(!sim.shown().iter().any(kick));
    sim.hear(&format!("OPERATOR {ME}\n"));
    assert!(sim.session.is_operator());
    sim.type_line("/help");
    assert!(sim.shown().iter().any(kick));
    sim.type_line("/topic all about soup");
    sim.type_line("/topic -");
    assert_eq!(sim.sent(), "ROOM topic all about soup\nROOM topic -\n");
}
