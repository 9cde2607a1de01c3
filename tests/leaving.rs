//! Every way to leave: each is announced once, under the right name.

use crate::harness::{End, Rich, Server};
use nix::sys::signal::Signal;

/// Checks that a watcher received exactly one join and one leave of each of these users, and no others.
#[track_caller]
fn assert_each_came_and_left_once(heard: &[String], users: &[String]) {
    for user in users {
        let count = |what: &str| {
            heard
                .iter()
                .filter(|line| **line == format!("{user} {what}"))
                .count()
        };
        assert_eq!(
            (count("is online"), count("is offline")),
            (1, 1),
            "{user}: {heard:#?}"
        );
    }
    let all = |what: &str| heard.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!(
        (all(" is online"), all(" is offline")),
        (users.len(), users.len()),
        "{heard:#?}"
    );
}

#[test]
fn each_leave_is_announced_once_and_logged_with_its_reason() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut expected = Vec::new();
    let mut heard = Vec::new();

    let mut leave = |who: &str, reason: &'static str| {
        heard.extend(watcher.until(&format!("{who} is offline")));
        expected.push((who.to_owned(), reason));
    };

    let mut user = server.plain("quits");
    user.line("/quit");
    user.until_end();
    assert_eq!(
        user.end(),
        Some(End::Closed),
        "a reset takes what was not read with it"
    );
    leave(user.id(), "quit");

    let mut user = server.rich("quitter");
    user.line("QUIT");
    let farewell = user.until_end().pop().unwrap_or_default();
    assert!(farewell.starts_with("GOODBYE quit"), "{farewell:?}");
    leave(&user.who, "quit");

    let user = server.plain("closes");
    let id = user.id().to_owned();
    user.close();
    leave(&id, "closed");

    let user = server.rich("closer");
    let who = user.who.clone();
    user.close();
    leave(&who, "closed");

    let user = server.plain("resets");
    let id = user.id().to_owned();
    user.reset();
    leave(&id, "reset");

    let user = server.rich("resetter");
    let who = user.who.clone();
    user.reset();
    leave(&who, "reset");

    heard.extend(watcher.sync("marker"));
    let users: Vec<String> = expected.iter().map(|(who, _)| who.clone()).collect();
    assert_each_came_and_left_once(&heard, &users);
    let log = server.log_so_far(" leave ");
    for (who, reason) in expected {
        let about = format!(" leave {who} ");
        let leaves: Vec<_> = log.iter().filter(|line| line.contains(&about)).collect();
        assert_eq!(leaves.len(), 1, "{leaves:?}");
        assert!(leaves[0].contains(&format!("reason={reason} ")), "{leaves:?}");
    }
}

#[test]
fn a_client_that_half_closes_still_gets_its_answers() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.send("hello\n/who\n/help\nlast words");
    user.half_close();
    let heard = user.until_end();
    for text in [format!("from {id}: hello"), format!("from {id}: last words")] {
        assert_eq!(
            heard.iter().filter(|line| **line == text).count(),
            1,
            "{heard:#?}"
        );
    }
    let answers: Vec<_> = heard.iter().filter(|line| line.starts_with("* ")).collect();
    assert!(
        answers.iter().any(|line| line.contains(watcher.id())),
        "no answer to /who: {heard:#?}"
    );
    assert!(
        answers.iter().any(|line| line.contains("/nick")),
        "no answer to /help: {heard:#?}"
    );
    let told = watcher.until(" is offline");
    assert!(
        told.ends_with(&[format!("from {id}: last words"), format!("{id} is offline")]),
        "{told:#?}"
    );
}

#[test]
fn lines_before_the_end_of_input_of_nc_are_delivered() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.connect("nc");
    let id = user.id().to_owned();
    user.send("one line from a script\n");
    user.half_close();
    assert_eq!(
        watcher.until(" is offline"),
        [
            format!("{id} is online"),
            format!("from {id}: one line from a script"),
            format!("{id} is offline")
        ]
    );
    user.until_end();
}

#[test]
fn a_killed_client_leaves_like_any_other() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut client = server.client("doomed");
    client.signal(Signal::SIGKILL);
    client.wait();
    let who = format!("doomed@{}", client.id());
    let heard = watcher.until(" is offline");
    assert_each_came_and_left_once(&heard, std::slice::from_ref(&who));
    assert_eq!(watcher.sync("marker"), [""; 0]);
    assert_eq!(server.log_so_far(&format!(" leave {who} ")).len(), 1);
}

#[test]
fn users_that_die_in_one_turn_are_announced_once_each() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut users: Vec<String> = Vec::new();
    let mut client = server.client("killed");
    users.push(format!("killed@{}", client.id()));
    let mut closing: Vec<_> = (0..3).map(|n| server.plain(&format!("closes{n}"))).collect();
    let resetting: Vec<_> = (0..3).map(|n| server.rich(&format!("resets{n}"))).collect();
    let mut quitting = server.plain("quits");
    let mut talking = server.plain("talks");
    users.extend(closing.iter().map(|user| user.id().to_owned()));
    users.extend(resetting.iter().map(|user| user.who.clone()));
    users.push(quitting.id().to_owned());
    users.push(talking.id().to_owned());
    let last = format!("from {}: last words", talking.id());

    // The server is stopped meanwhile, and finds all of this when it continues.
    server.process.signal(Signal::SIGSTOP);
    client.signal(Signal::SIGKILL);
    client.wait();
    closing.iter_mut().for_each(|user| user.half_close());
    quitting.line("/quit");
    resetting.into_iter().for_each(|user| user.reset());
    talking.line("last words");
    talking.half_close();
    server.process.signal(Signal::SIGCONT);

    let mut heard = Vec::new();
    while heard
        .iter()
        .filter(|line: &&String| line.ends_with(" is offline"))
        .count()
        < users.len()
    {
        heard.extend(watcher.until(" is offline"));
    }
    heard.extend(watcher.sync("marker"));
    assert_each_came_and_left_once(&heard, &users);
    assert_eq!(
        heard.iter().filter(|line| **line == last).count(),
        1,
        "{heard:#?}"
    );
    let leaves = server.log_so_far(" leave ");
    assert_eq!(leaves.len(), users.len(), "{leaves:#?}");
    for user in &users {
        assert_eq!(
            leaves
                .iter()
                .filter(|line| line.contains(&format!(" {user} ")))
                .count(),
            1,
            "{leaves:#?}"
        );
    }
    assert_eq!(server.log_so_far(" join ").len(), users.len() + 1);
}

#[test]
fn only_a_silent_rich_user_is_disconnected() {
    let server = Server::start(&["--ping-interval", "1"]);
    let mut plain = server.plain("plain");
    // A real client answers pings by itself.
    let mut alive = server.client("alive");
    let mut silent = server.rich("silent");
    let farewell = silent.until_end_without_answering();
    assert!(
        farewell.iter().any(|line| line.starts_with("PING ")),
        "{farewell:?}"
    );
    assert!(
        farewell.last().unwrap().starts_with("GOODBYE silent"),
        "{farewell:?}"
    );
    assert_eq!(plain.expect(" is offline"), format!("{} is offline", silent.who));
    alive.line("I answer");
    plain.expect(": I answer");
    plain.sync("I need not");
    let leaves = server.log_so_far(" leave ");
    let gone: Vec<_> = leaves
        .iter()
        .filter(|line| line.contains("reason=silent"))
        .collect();
    assert_eq!(gone.len(), 1, "{leaves:?}");
    assert!(gone[0].contains(&silent.who), "{gone:?}");
}

#[test]
fn every_join_and_leave_of_a_restless_user_is_announced() {
    let server = Server::start(&[]);
    let mut watcher = server.rich("watcher");
    for number in 0..30 {
        let user = Rich::join(server.connect("mayfly"), &format!("mayfly-{number}"));
        let who = user.who.clone();
        user.close();
        let told = watcher.until("LEAVE ");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("JOIN ") && told[0].contains(&who), "{told:?}");
        assert!(told[1].ends_with(&who), "{told:?}");
    }
}

#[test]
fn a_user_who_left_is_sent_nothing() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    user.send("/quit\nsaid after leaving\n");
    let heard = user.until_end();
    assert!(
        !heard.iter().any(|line| line.contains("after leaving")),
        "{heard:?}"
    );
    watcher.expect(" is offline");
    assert_eq!(watcher.sync("marker"), [""; 0]);
}
