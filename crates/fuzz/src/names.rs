//! Nicks, ids and users in lines: parsing returns what was written. Names of files, and messages about files.

use crate::safe::assert_safe;
use chat_client::files::message::FileMessage;
use chat_client::files::name::{FileName, NAME_MAX};
use chat_proto::id::UserId;
use chat_proto::nick::{NICK_BYTES_MAX, Nick, NickKey};
use chat_proto::text::Text;
use chat_proto::who::{WHO_MAX, Who};
use unicode_normalization::UnicodeNormalization;

pub(crate) fn target(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    nick(&text);
    id(&text);
    who(&text);
    who(&format!("{text}@10.0.0.5:50312"));
    file_name(input);
    file_message(input);
}

/// It stays in its directory, does not hide, is shown as it is, and is clean already.
fn file_name(input: &[u8]) {
    let name = FileName::new(input);
    for name in [&name, &name.numbered(2)] {
        let shown = name.as_str();
        assert!(!shown.is_empty() && shown.len() <= NAME_MAX);
        assert!(
            !shown.contains(['/', '\\', ':', '\0']) && !shown.contains("  "),
            "{shown:?}"
        );
        assert!(
            !shown.starts_with(['.', ' ', '-']) && !shown.ends_with(['.', ' ']),
            "{shown:?}"
        );
        assert_safe(shown);
        assert_eq!(FileName::new(shown.as_bytes()), *name);
    }
}

fn file_message(input: &[u8]) {
    if let Some(message) = FileMessage::parse(input) {
        assert_eq!(FileMessage::parse(&message.to_bytes()), Some(message));
    }
}

fn nick(text: &str) {
    let Ok(nick) = Nick::parse(text) else { return };
    let shown = nick.to_string();
    assert_eq!(Nick::parse(&shown).as_ref(), Ok(&nick));
    assert!(!shown.is_empty() && shown.len() <= NICK_BYTES_MAX);
    assert!(
        !shown.contains([' ', '@', ':', '/', '<', '>', '&', '"']),
        "{shown:?} ends a field, or is markup"
    );
    assert_safe(&shown);
    assert_eq!(
        Text::new(&shown).as_str(),
        shown,
        "a nick with something invisible"
    );
    assert_eq!(nick.key(), NickKey::of(&shown));
    assert_eq!(nick.key(), NickKey::of(text));
    // A mark after an iota subscript belongs to the vowel, not to the iota of its upper case. So the case of each part
    // is changed on its own.
    let parts: String = shown.nfd().collect();
    let forms: [String; 6] = [
        parts.to_lowercase(),
        parts.to_uppercase(),
        parts.to_uppercase().to_lowercase(),
        shown.nfkc().collect(),
        shown.nfkd().collect(),
        parts,
    ];
    for form in forms {
        if let Ok(other) = Nick::parse(&form) {
            assert_eq!(
                other.key(),
                nick.key(),
                "{shown:?} and {form:?} are different nicks"
            );
        }
    }
}

fn id(text: &str) {
    let Ok(id) = text.parse::<UserId>() else { return };
    let shown = id.to_string();
    assert_eq!(shown.parse(), Ok(id));
    assert!(shown.is_ascii() && !shown.contains(' '));
    assert_ne!(id.address().port(), 0);
    assert_eq!(UserId::from(id.address()), id);
    if let Some(private) = id.private_address() {
        assert_eq!(UserId::from_private_address(private), Some(id));
    }
}

fn who(text: &str) {
    let Ok(who) = text.parse::<Who>() else { return };
    let shown = who.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(&who));
    assert!(shown.len() <= WHO_MAX && !shown.contains(' '));
    assert_safe(&shown);
}
