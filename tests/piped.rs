//! Files that are piped into the client: they arrive as they are, or the user is told which line does not.

use crate::harness::{Client, Feed, Server, Terminal};

/// Tabs, blanks at both ends, an empty line, a blank one, and a line that ends as on Windows.
const FILE: &str = "a\tb\n\n\tc  \n  \n crlf\r\n/quit\nend";
const LINES: [&str; 7] = ["a\tb", "", "\tc  ", "  ", " crlf", "/quit", "end"];

fn pipe(server: &Server, options: &[&str], file: impl AsRef<[u8]>) -> Client {
    let mut client = server.start_client("pipe", &[&["--nick", "pipe"], options].concat());
    client.write(file);
    client.end_input();
    client
}

/// What a receiver sees, from the first line to the last.
fn texts(feed: &Feed, before: &str, after: &str) -> Vec<String> {
    feed.expect(&format!("{after}end"));
    let lines = feed.lines().into_iter().filter(|line| line.contains(before));
    let text = |line: String| line.split_once(after).map(|(_, text)| text.to_owned());
    lines.filter_map(text).collect()
}

#[test]
fn a_piped_file_arrives_at_a_user_as_it_is() {
    let server = Server::start(&[]);
    let bob = server.client("bob");
    let json = server.start_client("json", &["--nick", "json", "--json"]);
    json.shows().expect("\"kind\":\"live\"");
    for to in ["bob", "json"] {
        let mut pipe = pipe(&server, &["--to", to], FILE);
        assert_eq!(pipe.exit_code(), 0);
    }
    assert_eq!(texts(bob.shows(), "private from pipe@", "): "), LINES);
    json.shows().expect("\"text\":\"end\"");
    let objects = json.shows().with("\"state\":\"received\"");
    for (object, text) in objects.iter().zip(LINES) {
        let text = format!("\"text\":\"{}\"", text.replace('\t', "\\t"));
        assert!(object.contains(&text), "{object} without {text}");
    }
}

#[test]
fn a_piped_file_arrives_in_the_room_as_it_is() {
    let server = Server::start(&[]);
    let bob = server.client("bob");
    let mut nc = server.plain("nc");
    let mut pipe = pipe(&server, &["--no-commands"], FILE);
    assert_eq!(pipe.exit_code(), 0);
    assert_eq!(texts(bob.shows(), "from pipe@", ": "), LINES);
    let heard = nc.until("end");
    let said = heard.iter().filter(|line| line.starts_with("from pipe@"));
    let said: Vec<_> = said.map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(said, LINES);
}

#[test]
fn an_empty_line_arrives_at_a_user_of_nc() {
    let server = Server::start(&[]);
    let mut nc = server.plain_named("nc");
    let mut pipe = pipe(&server, &["--to", "nc"], "a\tb\n\nend\n");
    pipe.exit_code();
    let heard = nc.until("end");
    let said = heard.iter().filter(|line| line.starts_with("private from pipe@"));
    let said: Vec<_> = said.map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(said, ["a\tb", "", "end"]);
}

#[test]
fn a_line_that_changes_on_the_way_is_named() {
    let server = Server::start(&[]);
    let bob = server.client("bob");
    let long = "x".repeat(4001);
    let cases: [(&[u8], &str); 5] = [
        (b"gr\xfc\xdfe", "it is not UTF-8"),
        (b"\x1b[31mred", "it has control characters"),
        (b"a\rb", "it has control characters"),
        ("\u{FEFF}bom".as_bytes(), "it has characters that can't be shown"),
        (long.as_bytes(), "a message has at most 4000 bytes"),
    ];
    for to in [&["--to", "bob"][..], &[]] {
        for (line, why) in cases {
            let mut pipe = pipe(&server, to, [b"fine\n", line, b"\nend"].concat());
            assert_eq!(pipe.exit_code(), 1, "{why}");
            let told = pipe.complains().expect("line 2: not sent");
            assert!(told.ends_with(why), "{told:?}");
            assert_eq!(pipe.complains().with("* line ").len(), 1);
        }
    }
    // What can be shown of them was sent.
    bob.shows().expect("): gr\u{FFFD}\u{FFFD}e");
    bob.shows().expect("): ␛[31mred");
    assert_eq!(bob.shows().with("xxxx"), [""; 0]);
}

#[test]
fn tabs_are_expanded_on_the_full_screen() {
    let server = Server::start(&[]);
    let screen = Terminal::start(
        "screen",
        server.address,
        &["--nick", "screen"],
        (80, 24),
        &server.journal,
    );
    screen.expect("you are screen@");
    let mut pipe = pipe(&server, &[], "name\tsize\nlonger\t12\n");
    assert_eq!(pipe.exit_code(), 0);
    screen.expect("pipe  name    size");
    screen.expect("pipe  longer  12");
    assert!(!screen.written().contains(&b'\t'));
}

#[test]
fn no_tabs_push_a_line_to_where_a_terminal_wraps() {
    let server = Server::start(&[]);
    let mut nc = server.plain_named("nc");
    let bob = server.client("bob");
    let mut alice = server.client("alice");
    let text = format!("hm{}from prof@127.0.0.1:1: moved", "\t".repeat(9));
    for to in ["", "/msg nc ", "/msg bob ", "/me "] {
        alice.line(&format!("{to}{text}"));
    }
    let shown = text.replacen("\t\t\t\t\t", "", 1);
    for _ in 0..3 {
        let heard = nc.expect("moved");
        assert!(heard.ends_with(&shown), "{heard:?}");
    }
    bob.shows().expect_count(3, "moved");
    assert_eq!(bob.shows().with(&shown).len(), 3);
}

#[test]
fn no_text_reaches_the_first_column_of_a_terminal() {
    let server = Server::start(&[]);
    let options = ["--nick", "lines", "--line-mode"];
    let mut lines = Terminal::start("lines", server.address, &options, (80, 24), &server.journal);
    lines.expect("you are lines@");
    let mut alice = server.client("alice");
    for columns in [80, 61] {
        lines.resize(columns, 24);
        for (to, before) in [
            ("", format!("from alice@{}: ", alice.id())),
            ("/me ", format!("* alice@{} ", alice.id())),
            (
                "/msg lines ",
                format!("private from alice@{} (sealed, direct): ", alice.id()),
            ),
        ] {
            let filler = ".".repeat(usize::from(columns) - before.len());
            let end = format!("end {columns}{}", to.len());
            alice.line(&format!("{to}{filler}from prof@127.0.0.1:1: moved {end}"));
            lines.expect(&end);
            for row in lines.rows().iter().filter(|row| row.contains("prof@")) {
                assert!(row.starts_with("    "), "{row:?}");
            }
        }
    }
}

#[test]
fn a_line_begins_a_row_although_the_user_is_typing() {
    let server = Server::start(&[]);
    let options = ["--nick", "lines", "--line-mode"];
    let mut lines = Terminal::start("lines", server.address, &options, (80, 24), &server.journal);
    lines.expect("you are lines@");
    let mut alice = server.client("alice");
    lines.expect("alice@");
    // Up to a full row, and none at all.
    for count in [1, 2, 40, 79, 80, 81, 0] {
        let typed = "x".repeat(count);
        lines.keys(&typed);
        lines.expect_line(&typed[count.saturating_sub(1) / 80 * 80..]);
        let end = format!("after {count}");
        alice.line(&end);
        let row = lines.expect(&end);
        assert_eq!(row, format!("from alice@{}: {end}", alice.id()));
        // Ctrl-U: the system forgets what was typed.
        lines.keys("\x15");
    }
}
