//! PROTOCOL.md says what the code does: its examples are read from the page and put to the parsers.

use chat_proto::nick::{NICK_BYTES_MAX, NICK_COLUMNS_MAX};
use chat_proto::plain::{Request, ServerLine};
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Reason, RichError};
use chat_proto::text::ROWS_MAX;
use chat_proto::who::WHO_MAX;
use chat_proto::{AWAY_MAX, GREETING, LINE_MAX, SERVER_LINE_MAX, TEXT_MAX, TOPIC_MAX, VERSION};
use std::collections::BTreeSet;
use std::fmt::Display;

const PAGE: &str = include_str!("../PROTOCOL.md");

/// Declares `$kind`, the name of a value's variant, and `$all`, the names of all of them. The match has no other
/// arm, so that a variant without an example can't be forgotten.
macro_rules! variants {
    ($kind:ident, $all:ident, $line:ty, { $($pattern:pat => $name:literal,)* }) => {
        fn $kind(line: &$line) -> &'static str {
            match line { $($pattern => $name,)* }
        }
        const $all: &[&str] = &[$($name,)*];
    };
}

variants!(server_line_kind, SERVER_LINES, ServerLine<'_>, {
    ServerLine::Online(_) => "Online",
    ServerLine::Offline(_) => "Offline",
    ServerLine::From(..) => "From",
    ServerLine::Action(..) => "Action",
    ServerLine::IsNow(..) => "IsNow",
    ServerLine::PrivateFrom(..) => "PrivateFrom",
    ServerLine::TooManyUsers => "TooManyUsers",
    ServerLine::Notice(_) => "Notice",
});

variants!(request_kind, REQUESTS, Request<'_>, {
    Request::Say(_) => "Say",
    Request::Nick(_) => "Nick",
    Request::Who => "Who",
    Request::Topic => "Topic",
    Request::Operators(_) => "Operators",
    Request::Msg(..) => "Msg",
    Request::Help => "Help",
    Request::Quit => "Quit",
    Request::Nothing => "Nothing",
    Request::Incomplete(_) => "Incomplete",
    Request::Unknown(_) => "Unknown",
});

variants!(from_client_kind, FROM_CLIENT, FromClient<'_>, {
    FromClient::Hello(_) => "Hello",
    FromClient::Probe(..) => "Probe",
    FromClient::Say(..) => "Say",
    FromClient::Nick(_) => "Nick",
    FromClient::Whisper(..) => "Whisper",
    FromClient::Relay(..) => "Relay",
    FromClient::Punch(_) => "Punch",
    FromClient::Whois(_) => "Whois",
    FromClient::Confirm(_) => "Confirm",
    FromClient::Op(_) => "Op",
    FromClient::Away(_) => "Away",
    FromClient::Room(_) => "Room",
    FromClient::Ping(_) => "Ping",
    FromClient::Pong(_) => "Pong",
    FromClient::Quit => "Quit",
});

variants!(from_server_kind, FROM_SERVER, FromServer<'_>, {
    FromServer::Welcome { .. } => "Welcome",
    FromServer::Probed(..) => "Probed",
    FromServer::User(_) => "User",
    FromServer::Users(_) => "Users",
    FromServer::History(..) => "History",
    FromServer::Live => "Live",
    FromServer::Said(..) => "Said",
    FromServer::Join(..) => "Join",
    FromServer::Leave(..) => "Leave",
    FromServer::Nick(..) => "Nick",
    FromServer::Address(..) => "Address",
    FromServer::Whisper(..) => "Whisper",
    FromServer::Whispered(_) => "Whispered",
    FromServer::Relay(..) => "Relay",
    FromServer::Punch(..) => "Punch",
    FromServer::Operator(_) => "Operator",
    FromServer::Topic(..) => "Topic",
    FromServer::Away(..) => "Away",
    FromServer::Notice(_) => "Notice",
    FromServer::Error(..) => "Error",
    FromServer::Ping(_) => "Ping",
    FromServer::Pong(_) => "Pong",
    FromServer::Goodbye(..) => "Goodbye",
});

#[test]
fn every_fence_has_a_kind_that_is_checked() {
    const KINDS: [&str; 10] = [
        "plain server",
        "plain server malformed",
        "plain user",
        "plain user malformed",
        "rich client",
        "rich client malformed",
        "rich client unknown",
        "rich server",
        "rich server malformed",
        "rich server unknown",
    ];
    let found: BTreeSet<&str> = fences(PAGE).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(found, BTreeSet::from(KINDS));
}

#[test]
fn plain_lines_of_the_server_round_trip() {
    let kinds = examples("plain server").map(|line| {
        let parsed = ServerLine::parse(line).unwrap_or_else(|| panic!("not a line: {line:?}"));
        assert_renders(&parsed, line, SERVER_LINE_MAX);
        server_line_kind(&parsed)
    });
    assert_all(kinds, SERVER_LINES);
    for line in examples("plain server malformed") {
        assert_eq!(ServerLine::parse(line), None, "{line:?}");
    }
}

#[test]
fn plain_requests_are_as_the_page_says() {
    let understood = examples("plain user").map(|line| {
        let request = Request::parse(line);
        assert_eq!(written(&request).as_deref(), Some(line), "{request:?}");
        request_kind(&request)
    });
    let refused = examples("plain user malformed").map(|line| {
        let request = Request::parse(line);
        assert_eq!(written(&request), None, "{line:?} is understood as {request:?}");
        request_kind(&request)
    });
    assert_all(understood.chain(refused), REQUESTS);
}

#[test]
fn rich_lines_of_a_client_round_trip() {
    let kinds = examples("rich client").map(|line| {
        let parsed = FromClient::parse(line).unwrap_or_else(|error| panic!("{error:?}: {line:?}"));
        assert_renders(&parsed, line, LINE_MAX);
        from_client_kind(&parsed)
    });
    assert_all(kinds, FROM_CLIENT);
    for line in examples("rich client malformed") {
        assert_eq!(FromClient::parse(line), Err(RichError::Malformed), "{line:?}");
    }
    for line in examples("rich client unknown") {
        assert_eq!(FromClient::parse(line), Err(RichError::UnknownVerb), "{line:?}");
    }
}

#[test]
fn rich_lines_of_the_server_round_trip() {
    let kinds = examples("rich server").map(|line| {
        let parsed = FromServer::parse(line).unwrap_or_else(|error| panic!("{error:?}: {line:?}"));
        assert_renders(&parsed, line, SERVER_LINE_MAX);
        from_server_kind(&parsed)
    });
    assert_all(kinds, FROM_SERVER);
    for line in examples("rich server malformed") {
        assert_eq!(FromServer::parse(line), Err(RichError::Malformed), "{line:?}");
    }
    for line in examples("rich server unknown") {
        assert_eq!(FromServer::parse(line), Err(RichError::UnknownVerb), "{line:?}");
    }
}

#[test]
fn every_error_and_every_reason_has_an_example() {
    for code in ErrorCode::ALL {
        let start = format!("ERROR {code} ");
        assert!(
            examples("rich server").any(|line| line.starts_with(&start)),
            "{start}"
        );
    }
    for reason in Reason::ALL {
        let start = format!("GOODBYE {reason} ");
        assert!(
            examples("rich server").any(|line| line.starts_with(&start)),
            "{start}"
        );
    }
}

#[test]
fn the_limits_match_the_code() {
    for (name, value) in [
        ("LINE_MAX", LINE_MAX),
        ("TEXT_MAX", TEXT_MAX),
        ("ROWS_MAX", ROWS_MAX),
        ("TOPIC_MAX", TOPIC_MAX),
        ("AWAY_MAX", AWAY_MAX),
        ("SERVER_LINE_MAX", SERVER_LINE_MAX),
        ("WHO_MAX", WHO_MAX),
        ("NICK_COLUMNS_MAX", NICK_COLUMNS_MAX),
        ("NICK_BYTES_MAX", NICK_BYTES_MAX),
    ] {
        let row = format!("| `{name}` | {value} |");
        assert!(PAGE.contains(&row), "the page has no row {row:?}");
    }
}

#[test]
fn the_greeting_names_the_version_of_the_page() {
    let version = VERSION;
    assert!(PAGE.starts_with(&format!("# The chat protocol, version {version}\n")));
    let greeting = format!("{GREETING}{version}: ");
    assert!(examples("plain server").any(|line| line.starts_with(&greeting)));
}

/// How a request is written, if it can be asked for at all.
fn written(request: &Request<'_>) -> Option<String> {
    Some(match request {
        Request::Say(text) if text.as_str().starts_with("/me ") => text.to_string(),
        Request::Say(text) if text.as_str().starts_with('/') => format!("/{text}"),
        Request::Say(text) => text.to_string(),
        Request::Nick(nick) => format!("/nick {nick}"),
        Request::Who => "/who".to_owned(),
        Request::Topic => "/topic".to_owned(),
        Request::Msg(who, text) => format!("/msg {who} {text}"),
        Request::Help => "/help".to_owned(),
        Request::Quit => "/quit".to_owned(),
        Request::Nothing => String::new(),
        Request::Incomplete(_) | Request::Operators(_) | Request::Unknown(_) => return None,
    })
}

fn assert_renders(parsed: &impl Display, line: &str, max: usize) {
    assert_eq!(parsed.to_string(), line, "renders otherwise");
    assert!(line.len() < max, "longer than a line may be: {line:?}");
}

fn assert_all(kinds: impl Iterator<Item = &'static str>, all: &[&'static str]) {
    let found: BTreeSet<&str> = kinds.collect();
    let all: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(found, all, "every kind of line has an example");
}

/// The lines of all fences of one kind.
fn examples(kind: &str) -> impl Iterator<Item = &'static str> {
    let wanted = kind.to_owned();
    fences(PAGE)
        .into_iter()
        .filter(move |(kind, _)| *kind == wanted)
        .flat_map(|(_, lines)| lines)
}

/// The fenced blocks of a page: what stands after the opening backticks, and the lines inside.
fn fences(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut fences = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, Vec::new())),
            (Some(""), Some(_)) => fences.extend(open.take()),
            (Some(kind), Some(_)) => panic!("a fence {kind:?} inside a fence"),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last fence does not end");
    fences
}
