//! A short conversation of three users: the purpose of the program in one test.

use crate::harness::Server;

#[test]
fn three_users_join_talk_and_write_privately() {
    let server = Server::start(&[]);
    let mut alice = server.client("alice");
    let mut bob = server.client("bob");
    let mut carol = server.client("carol");

    let everybody = [
        format!("alice@{}", alice.id()),
        format!("bob@{}", bob.id()),
        format!("carol@{}", carol.id()),
    ];
    for (place, client) in [&alice, &bob, &carol].into_iter().enumerate() {
        for who in &everybody[place..] {
            client.shows().expect_line(&format!("{who} is online"));
        }
    }

    alice.line("good morning");
    alice
        .shows()
        .expect_line(&format!("from {}: good morning", everybody[0]));
    bob.line("and to you");
    for client in [&alice, &bob, &carol] {
        client
            .shows()
            .expect_line(&format!("from {}: good morning", everybody[0]));
        client
            .shows()
            .expect_line(&format!("from {}: and to you", everybody[1]));
    }

    alice.line("/msg bob the cake is for carol");
    bob.expect_private(&everybody[0], "the cake is for carol");
    bob.line("/msg alice my lips are sealed");
    alice.expect_private(&everybody[1], "my lips are sealed");

    alice.line("that is all");
    carol.shows().expect("that is all");
    assert_eq!(carol.shows().with("private"), [""; 0], "carol hears of the cake");

    for client in [&mut alice, &mut bob, &mut carol] {
        client.end_input();
        assert_eq!(client.exit_code(), 0);
    }
    server.log().expect_count(3, " leave ");
    let joins = server.log_so_far(" join ");
    for who in &everybody {
        assert_eq!(
            joins.iter().filter(|line| line.contains(who)).count(),
            1,
            "{joins:?}"
        );
    }
    assert_eq!(joins.len(), 3, "{joins:?}");
    assert_eq!(server.log().with("cake"), [""; 0], "the log tells what was said");
    assert_eq!(
        server.log().with("morning"),
        [""; 0],
        "the log tells what was said"
    );
}
