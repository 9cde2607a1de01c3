//! The full screen on a terminal, with the real server.

use crate::harness::{
    DEADLINE, FakeServer, Journal, Server, Stage, Terminal, assert_screen_is_safe, client_command,
    reached_by, server_command,
};
use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, listen};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const USUAL: (u16, u16) = (80, 24);

fn on_screen(server: &Server, nick: &str, size: (u16, u16)) -> Terminal {
    let terminal = Terminal::start(nick, server.address, &["--nick", nick], size, &server.journal);
    terminal.expect(&format!("you are {nick}@"));
    terminal.expect("/help lists");
    terminal
}

#[test]
fn two_users_talk_and_their_terminals_are_restored() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    let mut bob = on_screen(&server, "bob", (40, 10));
    alice.expect("+ bob");
    assert!(!alice.is_cooked());

    bob.keys("hello, 你好世界\r");
    alice.expect("bob  hello, 你好世界");
    alice.keys("bo\t");
    alice.expect_line("> bob:");
    alice.keys("you too\r");
    bob.expect("alice: bob: you too");
    bob.expect_line(">");

    alice.keys("/msg bob a secret\r");
    alice.expect("bob  a secret  ok");
    bob.expect("<alice: a secret");

    alice.keys("/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
    alice.expect_restored();
    bob.expect("- alice");
    bob.keys("\x04");
    bob.expect("leave the room?");
    bob.keys("y");
    assert_eq!(bob.process.exit_code(), 0);
    bob.expect_restored();
}

#[test]
fn the_login_name_is_the_nick_with_a_digit_if_it_is_taken() {
    let server = Server::start(&[]);
    let log_in = |name: &str, login: &str, options: &[&str]| {
        let mut command = client_command();
        command
            .args([server.address.ip().to_string(), server.address.port().to_string()])
            .args(options)
            .env("TERM", "xterm-256color")
            .env("LOGNAME", login);
        Terminal::start_command(name, command, USUAL, &server.journal)
    };
    let first = log_in("first", "alice", &[]);
    first.expect("you are alice@");
    let second = log_in("second", "alice", &[]);
    second.expect("your login name alice is taken, so you are alice2;");
    let third = log_in("third", "alice", &[]);
    third.expect("so you are alice3;");
    log_in("named", "alice", &["--nick", "bob"]).expect("you are bob@");
    for options in [&["--nick", ""][..], &["--line-mode"]] {
        log_in("nameless", "carol", options).expect("you are 127.0.0.1:");
    }
}

#[test]
fn a_mistyped_command_does_not_change_the_exit_status() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    alice.keys("/quti\r");
    alice.expect("no command /quti: the nearest is /quit");
    alice.expect_line(">");
    alice.keys("\x1b[A");
    alice.expect_line("> /quti");
    alice.keys("\x15/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
}

#[test]
fn a_signal_leaves_the_room_and_restores_the_terminal() {
    let server = Server::start(&[]);
    let bob = on_screen(&server, "bob", USUAL);
    for signal in reached_by(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP]) {
        let mut alice = on_screen(&server, "alice", USUAL);
        alice.process.signal(signal);
        assert_eq!(alice.process.exit_code(), 128 + signal as i32);
        alice.expect_restored();
    }
    bob.expect("- alice");
}

#[test]
fn a_rejection_is_printed_on_the_ordinary_screen() {
    let server = Server::start(&[]);
    let _alice = on_screen(&server, "alice", USUAL);
    let mut other = Terminal::start(
        "other",
        server.address,
        &["--nick", "ALICE"],
        USUAL,
        &server.journal,
    );
    assert_eq!(other.process.exit_code(), 4);
    other.expect_restored();
    other.expect("chat-client: nick rejected");
}

#[test]
fn closing_the_window_ends_the_client() {
    let server = Server::start(&[]);
    let bob = on_screen(&server, "bob", USUAL);
    let mut alice = on_screen(&server, "alice", USUAL).hang_up();
    assert_eq!(alice.exit_code(), 1);
    bob.expect("- alice");
}

#[test]
fn any_terminal_size_is_drawn() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    alice.keys("hello there, how are you?\r");
    alice.expect("alice  hello there, how are you?");
    alice.resize(20, 5);
    alice.expect("how are you?");
    alice.keys("some words that take more than a row");
    alice.expect_line("ke more than a row");
    alice.resize(1, 1);
    alice.expect_line("");
    alice.resize(100, 30);
    alice.expect_line("> some words that take more than a row");
    alice.expect("alice  hello there, how are you?");
}

#[test]
fn a_paste_of_several_lines_needs_confirmation() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    let mut bob = server.client("bob");
    alice.expect("+ bob");
    alice.keys("\x1b[200~one\r\ntwo\r\n\x1b[201~");
    alice.expect("send 2 lines as one message?");
    alice.keys("y");
    bob.shows().expect(": one");
    bob.shows().expect_line("    two");
    bob.end_input();
    assert_eq!(bob.exit_code(), 0);
}

#[test]
fn a_paste_without_marks_needs_confirmation() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    let mut bob = server.client("bob");
    alice.expect("+ bob");
    alice.keys("one\rtwo\r/quiet\rthree\r");
    alice.expect("send 4 lines as one message?");
    alice.keys("n");
    alice.expect_line(">");
    // Neither a click of the mouse nor an answer of the terminal is typed.
    alice.keys("half typ\x1b[M !!ed\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\");
    alice.expect_line("> half typed");
    // The answer says the background: the status line is no longer reversed.
    let written = String::from_utf8(alice.written()).unwrap();
    let status = written.rsplit("\x1b[23;1H").next().unwrap();
    assert!(
        written.contains("\x1b]11;?\x1b\\") && status.contains("\x1b[48;5;"),
        "{status:?}"
    );
    alice.keys("\r");
    bob.shows().expect(": half typed");
    bob.end_input();
    assert_eq!(bob.exit_code(), 0);
    assert!(bob.shows().with(": one").is_empty());
}

#[test]
fn a_suspended_client_continues() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    alice.keys("draft\x1a");
    let pid = alice.process.id();
    let stopped = waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT);
    assert!(stopped.is_ok(), "{stopped:?}");
    alice.expect_restored();
    let count = |alice: &Terminal, bytes: &str| {
        let written = alice.written();
        String::from_utf8_lossy(&written).matches(bytes).count()
    };
    for restored in ["\x1b[?1004l", "\x1b[23;2t"] {
        assert_eq!(count(&alice, restored), 1, "{restored:?}");
    }
    let bob = server.plain_named("bob");
    alice.process.signal(Signal::SIGCONT);
    alice.expect("is now bob");
    alice.expect_line("> draft");
    assert!(!alice.is_cooked());
    let set_up = |times| {
        alice.wait("reports of the focus", |_| {
            (count(&alice, "\x1b[?1004h") == times).then_some(())
        });
    };
    // Set up at the start, after the stop, and for the signal that ended the stop.
    set_up(3);
    // Continued without a stop, it saves no title: that would be its own.
    alice.process.signal(Signal::SIGCONT);
    set_up(4);
    assert_eq!(count(&alice, "\x1b[22;2t"), 2);
    drop(bob);
}

#[test]
fn the_user_can_leave_while_the_server_hangs() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    server.process.signal(Signal::SIGSTOP);
    alice.keys("is anybody there?\r");
    alice.expect("alice  is anybody there?  waiting");
    alice.keys("/quit\r");
    alice.expect("leaving once all your messages have arrived");
    alice.keys("/quit\r");
    assert_eq!(alice.process.exit_code(), 1);
    alice.expect_restored();
    alice.expect("1 message is unacknowledged: it may not have arrived");
    server.process.signal(Signal::SIGCONT);
}

#[test]
fn enter_reconnects_at_once() {
    let fake_server = FakeServer::start();
    let mut alice = Terminal::start(
        "alice",
        fake_server.address,
        &["--nick", "alice"],
        USUAL,
        &fake_server.journal,
    );
    drop(fake_server.accept_at(Stage::Live));
    alice.expect("offline, retrying in");
    let begun = Instant::now();
    for count in 1..=5 {
        alice.keys("\r");
        fake_server.accept().line(&format!("* not yet, {count}"));
        alice.wait(&format!("loss {count} and a wait"), |screen| {
            let text = screen.contents();
            let is_told = text.contains(&format!("rejected by the server: not yet, {count};"));
            (is_told && text.contains("offline, retrying in")).then_some(())
        });
    }
    alice.keys("\r");
    let _server = fake_server.accept_at(Stage::Live);
    alice.expect("back: you are alice@");
    // The automatic backoff would wait for 1, 2, 4, 8, 16 and 20 seconds at least.
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

#[test]
fn manual_retries_do_not_lengthen_the_backoff() {
    let fake_server = FakeServer::start();
    let journal = fake_server.journal.clone();
    let mut alice = Terminal::start(
        "alice",
        fake_server.address,
        &["--nick", "alice"],
        USUAL,
        &journal,
    );
    let link = fake_server.accept_at(Stage::Live);
    drop(fake_server);
    drop(link);
    alice.expect("offline, retrying in");
    for number in 0..8 {
        // The connection is refused at once. The draft shows that the client has processed the key.
        alice.keys(&format!("\x15\r{number}"));
        alice.expect_line(&format!("> {number}"));
    }
    let row = alice.expect("offline, retrying in");
    let seconds = row.split_once("retrying in ").unwrap().1;
    let seconds: u64 = seconds.split(' ').next().unwrap().parse().unwrap();
    // After eight automatic attempts, the backoff would be 20 seconds at least.
    assert!(seconds <= 15, "{row}");
}

#[test]
fn lines_typed_while_disconnected_are_sent_once_afterwards() {
    let mut server = Server::start(&[]);
    let (ip, port) = (server.address.ip().to_string(), server.address.port().to_string());
    let mut alice = on_screen(&server, "alice", USUAL);
    alice.keys("before\r");
    alice.expect("alice  before");
    server.stop();
    alice.expect("offline, retrying");
    alice.keys("meanwhile\rdraft");
    alice.expect("alice  meanwhile  waiting");

    let mut command = server_command();
    let server = Server::start_command(command.args([&ip, &port]));
    alice.expect("back: you are alice@");
    alice.wait("row that is sent", |screen| {
        let rows = screen.rows(0, USUAL.0);
        rows.map(|row| row.trim_end().to_owned())
            .any(|row| row.ends_with("alice  meanwhile"))
            .then_some(())
    });
    alice.expect_line("> draft");
    let rows = alice.rows();
    let count = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
    assert_eq!(
        (count("alice  before"), count("meanwhile"), count("waiting")),
        (1, 1, 0),
        "{rows:#?}"
    );
    drop(server);
}

#[test]
fn a_proven_conversation_goes_on_without_the_server() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    let mut bob = on_screen(&server, "bob", USUAL);
    alice.expect("+ bob");
    alice.keys("/msg bob one\r");
    bob.expect("alice  one");
    bob.keys("/msg alice two\r");
    alice.expect("bob  two");
    bob.expect("alice: direct");
    alice.expect("bob: direct");
    drop(server);
    for user in [&mut alice, &mut bob] {
        user.expect("offline");
    }
    alice.keys("/msg bob still there?\r");
    bob.expect("alice  still there?");
    bob.keys("/msg alice yes\r");
    alice.expect("bob  yes");
}

#[test]
fn urls_are_links_where_the_terminal_may_know_them() {
    const URL: &str = "https://example.com/a/rather/long/path?to=wrap&in=this_row";
    let server = Server::start(&[]);
    let links_of = |nick: &str, term: &str| {
        let options = ["--nick", nick];
        let mut terminal =
            Terminal::start_on(term, nick, server.address, &options, (40, 12), &server.journal);
        terminal.expect("/help lists");
        terminal.keys(&format!("see {URL}.\r"));
        terminal.expect("his_row.");
        let written = terminal.written();
        assert_screen_is_safe(term, &written);
        let written = String::from_utf8(written).unwrap();
        // The rows of one URL have one id.
        let opening = format!(";{URL}\x1b\\");
        let openings = written.match_indices(&opening);
        openings
            .map(|(at, _)| written[..at].rsplit_once("\x1b]8;").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    let ids = links_of("alice", "xterm-256color");
    assert!(
        ids.len() == 2 && ids[0].starts_with("id=") && ids[0] == ids[1],
        "{ids:?}"
    );
    for term in ["linux", "vt100", "screen", "of-the-future"] {
        assert_eq!(links_of(term, term), [""; 0], "{term}");
    }
}

/// What is written to a terminal of this kind until the client has left, in order, by the name of what it does.
fn modes(term: &str, options: &[&str]) -> Vec<&'static str> {
    const NAMES: [(&str, &str); 12] = [
        ("save title", "\x1b[22;2t"),
        ("alternate screen", "\x1b[?1049h"),
        ("focus", "\x1b[?1004h"),
        ("mouse", "\x1b[?1000h\x1b[?1006h"),
        ("no wheel", "\x1b[?1007s\x1b[?1007l"),
        ("title", "\x1b]2;chat 127.0.0.1"),
        ("no mouse", "\x1b[?1006l\x1b[?1000l"),
        ("no title", "\x1b]2;\x1b\\"),
        ("restore title", "\x1b[23;2t"),
        ("wheel", "\x1b[?1007h\x1b[?1007r"),
        ("no focus", "\x1b[?1004l"),
        ("ordinary screen", "\x1b[?1049l"),
    ];
    let server = Server::start(&[]);
    let options = [&["--nick", "alice"], options].concat();
    let mut alice = Terminal::start_on(term, "alice", server.address, &options, USUAL, &server.journal);
    alice.expect("/help lists");
    alice.keys("/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
    alice.expect_restored();
    let written = String::from_utf8(alice.written()).unwrap();
    let places = NAMES
        .iter()
        .filter_map(|(name, bytes)| Some((written.find(bytes)?, *name)));
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    places.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn modes_and_title_are_set_and_restored() {
    let plain = [
        "alternate screen",
        "focus",
        "no wheel",
        "wheel",
        "no focus",
        "ordinary screen",
    ];
    let begin = ["save title", "alternate screen", "focus", "no wheel", "title"];
    let end = [
        "no title",
        "restore title",
        "wheel",
        "no focus",
        "ordinary screen",
    ];
    assert_eq!(modes("xterm-256color", &[]), [begin, end].concat());
    assert_eq!(modes("tmux-256color", &[]), [begin, end].concat());
    for term in ["linux", "vt100", "screen", "of-the-future"] {
        assert_eq!(modes(term, &[]), plain, "{term}");
    }
    let mouse = [&["mouse"][..], &plain[..3], &["no mouse"], &plain[3..]].concat();
    assert_eq!(modes("linux", &["--mouse"]), mouse);
}

#[test]
fn the_title_counts_what_comes_without_the_focus() {
    let server = Server::start(&[]);
    let mut alice = on_screen(&server, "alice", USUAL);
    let mut bob = server.plain_named("bob");
    alice.expect("is now bob");
    let expect_title = |alice: &Terminal, title: &str| {
        let title = format!("\x1b]2;{title} 127.0.0.1");
        alice.wait(&title, |_| {
            String::from_utf8_lossy(&alice.written())
                .contains(&title)
                .then_some(())
        });
    };
    expect_title(&alice, "chat");
    alice.keys("\x1b[O");
    bob.line("alice: \u{1b}]2;a title of mine\u{7}");
    expect_title(&alice, "(1 @1) chat");
    alice.expect(" @1 ");
    bob.line("hello?");
    expect_title(&alice, "(2 @1) chat");
    let before = alice.written().len();
    alice.keys("\x1b[I");
    alice.expect("---- new since ");
    alice.wait("title", |_| {
        String::from_utf8_lossy(&alice.written()[before..])
            .contains("\x1b]2;chat 127.0.0.1")
            .then_some(())
    });
    assert_screen_is_safe("alice", &alice.written());
}

#[test]
fn a_command_notifies_without_a_shell_a_terminal_or_a_zombie() {
    let directory = std::env::temp_dir().join(format!("chat-notify-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (script, told) = (directory.join("notify"), directory.join("told"));
    // One line for each argument, and where its input and output are.
    let content = format!(
        "for word; do echo \"<$word>\"; done > '{0}.new'\nreadlink /proc/$$/fd/0 /proc/$$/fd/2 >> '{0}.new'\nmv '{0}.new' '{0}'\n",
        told.display()
    );
    std::fs::write(&script, content).unwrap();
    let server = Server::start(&[]);
    let notify = format!("--notify=/bin/sh {} --", script.display());
    let mut alice = Terminal::start(
        "alice",
        server.address,
        &["--nick", "alice", &notify],
        USUAL,
        &server.journal,
    );
    alice.expect("/help lists");
    let mut bob = server.plain_named("bob");
    alice.expect("is now bob");
    alice.keys("\x1b[O");
    bob.line("alice: $(touch x) `id` 'a' \"b\"; \u{1b}[2J -n");
    let told = alice.wait("notification", |_| std::fs::read_to_string(&told).ok());
    assert_eq!(
        told,
        "<-->\n<bob>\n<alice: $(touch x) `id` 'a' \"b\"; ␛[2J -n>\n/dev/null\n/dev/null\n"
    );
    alice.wait("end of the command", |_| {
        let threads = std::fs::read_dir(format!("/proc/{}/task", alice.process.id())).unwrap();
        let mut children = threads.map(|thread| {
            std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()
        });
        children.all(|children| children.is_empty()).then_some(())
    });
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_screen_is_there_while_the_client_connects() {
    // Its queue is full, so connecting takes until the timeout.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        filling.push(stream);
    }
    let journal = Journal::new();
    let options = ["--connect-timeout", "60"];
    let mut alice = Terminal::start("alice", address, &options, USUAL, &journal);
    alice.expect(&format!("trying {address}"));
    alice.keys("typed meanwhile");
    alice.expect_line("> typed meanwhile");
    alice.keys("\x15/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
    alice.expect_restored();
}
