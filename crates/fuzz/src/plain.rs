//! The plain dialect: parsing returns what was written, and no text can imitate another line.

use crate::safe::assert_safe;
use chat_proto::plain::{Request, ServerLine};
use chat_proto::text::Text;
use chat_proto::who::Who;

/// Lines of the server and of clients.
pub(crate) fn target(input: &[u8]) {
    for line in input.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        from_server(&line);
        request(&line);
        forge(&line);
    }
}

fn from_server(line: &str) {
    let Some(said) = ServerLine::parse(line) else {
        return;
    };
    let written = said.to_string();
    assert_safe(&written);
    assert_eq!(ServerLine::parse(&written), Some(said));
}

fn request(line: &str) {
    match Request::parse(line) {
        Request::Say(text) => {
            assert!(
                !text.is_blank() || line.starts_with('/'),
                "silence was said aloud"
            );
            assert_safe(text.as_str());
        }
        Request::Msg(who, text) => {
            assert!(!who.is_empty() && !who.contains(' '));
            assert_safe(text.as_str());
        }
        Request::Nick(name) | Request::Operators(name) | Request::Unknown(name) => {
            assert!(line.contains(name))
        }
        Request::Incomplete(usage) => assert!(usage.starts_with('/') && line.starts_with('/')),
        Request::Who | Request::Topic | Request::Help | Request::Quit => assert!(line.starts_with('/')),
        Request::Nothing => assert!(Text::new(line).is_blank()),
    }
}

/// For any text, a reader sees one message of its true sender and nothing else.
fn forge(text: &str) {
    let alice: Who = "alice@10.0.0.5:50312".parse().expect("a user");
    let text = Text::from(Text::new(text).shown().into_owned());
    for said in [
        ServerLine::message(alice.clone(), &text),
        ServerLine::PrivateFrom(alice, text.borrow()),
        // No notice of the server begins with a user's text.
        ServerLine::Notice(Text::from(format!("private to bob: {text}"))),
    ] {
        let line = said.to_string();
        assert_safe(&line);
        assert_eq!(ServerLine::parse(&line), Some(said));
    }
}
