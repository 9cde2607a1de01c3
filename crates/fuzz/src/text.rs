//! Chat text: any input becomes safe to display, and safe text does not change again.

use crate::safe::assert_safe;
use chat_proto::text::Text;
use std::borrow::Cow;

pub(crate) fn target(input: &[u8]) {
    let text = Text::from_bytes(input);
    assert_safe(text.as_str());
    assert!(
        text.as_str().len() <= 3 * input.len(),
        "it grew by more than a replacement for each byte"
    );
    assert_eq!(
        Text::new(text.as_str()),
        text,
        "safe text changes when filtered again"
    );
    let lossy = String::from_utf8_lossy(input);
    assert_eq!(Text::new(&lossy), text);
    assert_eq!(Text::from(lossy.clone().into_owned()), text);
    assert_eq!(Text::from(Cow::Borrowed(&*lossy)), text);
    assert_eq!(text.borrow().into_owned(), text);
    if input.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        assert_eq!(text.as_str().as_bytes(), input, "harmless text was changed");
    }
    append_stays_safe(&lossy);
}

/// A prefix before a text must not change how the text is filtered: the server and the client add prefixes to filtered
/// text.
fn append_stays_safe(text: &str) {
    let line = format!("from 10.0.0.5:50312: {}", Text::new(text));
    assert_safe(&line);
    assert_eq!(Text::new(&line).as_str(), line);
}
