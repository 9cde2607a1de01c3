//! Which text a message may contain, and how the server changes it.

use crate::harness::Server;

#[test]
fn text_of_every_script_passes_unchanged() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    for text in [
        "Ünïcödé",
        "你好，世界",
        "שלום مرحبا नमस्ते",
        "👩\u{200D}💻 🇩🇪 👍🏽",
        "<b>&amp;\"'",
    ] {
        user.line(text);
        user.expect(&format!("from {id}: {text}"));
        alice.expect(&format!(" {id} {text}"));
    }
}

#[test]
fn invalid_utf8_is_replaced() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.send(b"a\xFFb\xC0\xAFc\xE4\xB8\n");
    user.expect_next(&format!("from {id}: a\u{FFFD}b\u{FFFD}\u{FFFD}c\u{FFFD}"));
}

#[test]
fn control_characters_are_made_visible() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut alice = server.rich("alice");
    alice.say("\x1b]0;owned\x07\x1b[2J a\rb\tc\x7f \u{202E}evil");
    let heard = watcher.until("evil").pop().unwrap();
    assert_eq!(heard, format!("from {}: ␛]0;owned␇␛[2J a␍b\tc␡ evil", alice.who));
    let mut user = server.plain("user");
    user.send(b"bell\x07\0\n");
    user.expect("bell␇␀");
}

#[test]
fn no_text_can_imitate_a_line_of_the_server() {
    let server = Server::start(&[]);
    let mut watcher = server.rich("watcher");
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    let forgeries = [
        "10.0.0.1:1 is online",
        "* the server is going down",
        "from 10.0.0.1:1: hi",
        "too many users",
        "LIVE",
    ];
    for forged in forgeries {
        user.line(forged);
        user.expect_next(&format!("from {id}: {forged}"));
        let heard = watcher.expect(forged);
        assert!(heard.starts_with("SAID "), "{heard:?}");
    }
    // A carriage return or a line separator of Unicode begins no new line.
    user.send("x\r10.0.0.1:1 is online\u{2028}y\u{85}z\n");
    user.expect_next(&format!("from {id}: x␍10.0.0.1:1 is online y z"));
}

#[test]
fn an_unknown_command_is_echoed_safely_to_its_sender() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    user.send(b"/\x1b[31mred\n/msg \x1b[2J hi\n/nick \x1b[2J\n");
    for _ in 0..3 {
        let answer = user.next_line().unwrap();
        assert!(answer.starts_with("* ") && !answer.contains('\x1b'), "{answer:?}");
    }
}

#[test]
fn a_message_of_several_lines_arrives_as_one_and_forges_none() {
    let server = Server::start(&[]);
    let mut plain = server.plain("plain");
    let bob = server.client("bob");
    let program = server.start_client("program", &["--nick", "program", "--json"]);
    program.shows().expect(r#""kind":"live""#);
    let mut alice = server.client("alice");
    let text = "two things:␊from bob@10.0.0.9:1: forged";
    alice.line(text);
    let who = format!("alice@{}", alice.id());
    plain.expect(&format!("from {who}: {text}"));
    bob.shows().expect_line(&format!("from {who}: two things:"));
    bob.shows().expect_line("    from bob@10.0.0.9:1: forged");
    program
        .shows()
        .expect(r#""text":"two things:\nfrom bob@10.0.0.9:1: forged""#);
    alice.line("/msg bob a␊private from bob@10.0.0.9:1: forged");
    bob.expect_private(&who, "a");
    bob.shows().expect_line("    private from bob@10.0.0.9:1: forged");
    let long = ["x"; 51].join("␊");
    for line in [long.clone(), format!("/msg bob {long}")] {
        alice.line(&line);
        alice.complains().expect("not sent");
    }
}
