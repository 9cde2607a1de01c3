//! Which key does what: the one table that the program, `/help` and the manual page are made from. A test compares the
//! README with the manual page.

use super::input::Edit;
use super::key::Key;
use super::scroll::ScrollAction;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the line, or run its command.
    Submit,
    Edit(Edit),
    /// Delete the character at the cursor; on an empty line leave.
    DeleteOrLeave,
    /// Show the line typed before.
    Older,
    /// Show the line typed after.
    Newer,
    /// Search the lines typed before.
    Search,
    Complete,
    CompleteBack,
    Scroll(ScrollAction),
    Redraw,
    /// Clear the line; never leaves.
    Clear,
    /// Stop a search, a paste or scrolling.
    Cancel,
    Suspend,
}

/// A action, the keys for it, and what `/help` says of it.
#[derive(Debug)]
pub struct Binding {
    /// The names of its keys.
    pub keys: &'static [&'static str],
    /// What they do.
    action: Action,
    /// The same in words.
    pub about: &'static str,
}

const fn bind(keys: &'static [&'static str], action: Action, about: &'static str) -> Binding {
    Binding { keys, action, about }
}

/// All of them.
pub const BINDINGS: &[Binding] = &[
    bind(
        &["Enter", "Alt-Enter", "Shift-Enter"],
        Action::Submit,
        "send the line; offline, an empty one: try now",
    ),
    bind(
        &["Ctrl-A", "Home"],
        Action::Edit(Edit::LineStart),
        "to the beginning of the line",
    ),
    bind(
        &["Ctrl-E", "End"],
        Action::Edit(Edit::LineEnd),
        "to the end of the line",
    ),
    bind(
        &["Ctrl-B", "Left"],
        Action::Edit(Edit::Left),
        "one character back",
    ),
    bind(
        &["Ctrl-F", "Right"],
        Action::Edit(Edit::Right),
        "one character on",
    ),
    bind(
        &["Alt-B", "Ctrl-Left", "Alt-Left"],
        Action::Edit(Edit::WordLeft),
        "one word back",
    ),
    bind(
        &["Alt-F", "Ctrl-Right", "Alt-Right"],
        Action::Edit(Edit::WordRight),
        "one word on",
    ),
    bind(
        &["Backspace", "Shift-Backspace"],
        Action::Edit(Edit::DeleteBack),
        "delete the character before the cursor",
    ),
    bind(
        &["Delete"],
        Action::Edit(Edit::Delete),
        "delete the character at the cursor",
    ),
    bind(
        &["Ctrl-D"],
        Action::DeleteOrLeave,
        "the same; on an empty line leave, asked once",
    ),
    bind(
        &["Ctrl-K"],
        Action::Edit(Edit::CutToEnd),
        "cut to the end of the line",
    ),
    bind(
        &["Ctrl-U"],
        Action::Edit(Edit::CutToStart),
        "cut to the beginning of the line",
    ),
    bind(
        &["Ctrl-W"],
        Action::Edit(Edit::CutBlankBack),
        "cut back to the last blank",
    ),
    bind(
        &["Alt-Backspace", "Ctrl-Backspace"],
        Action::Edit(Edit::CutWordBack),
        "cut the word before the cursor",
    ),
    bind(
        &["Alt-D", "Ctrl-Delete"],
        Action::Edit(Edit::CutWord),
        "cut the word after the cursor",
    ),
    bind(&["Ctrl-Y"], Action::Edit(Edit::Yank), "put back what was cut"),
    bind(
        &["Alt-Y"],
        Action::Edit(Edit::YankOlder),
        "put back what was cut before that instead",
    ),
    bind(
        &["Ctrl-T"],
        Action::Edit(Edit::Transpose),
        "exchange the two characters before the cursor",
    ),
    bind(&["Up", "Ctrl-P"], Action::Older, "the line typed before"),
    bind(&["Down", "Ctrl-N"], Action::Newer, "the line typed after"),
    bind(&["Ctrl-R"], Action::Search, "search in the lines typed before"),
    bind(
        &["Tab"],
        Action::Complete,
        "complete a nick or a command; again: the next",
    ),
    bind(
        &["Shift-Tab"],
        Action::CompleteBack,
        "complete with the one before",
    ),
    bind(
        &["PgUp", "Shift-PgUp"],
        Action::Scroll(ScrollAction::PageUp),
        "scroll up a page",
    ),
    bind(
        &["PgDn", "Shift-PgDn"],
        Action::Scroll(ScrollAction::PageDown),
        "scroll down a page",
    ),
    bind(
        &["Ctrl-Home"],
        Action::Scroll(ScrollAction::Top),
        "scroll to the first message",
    ),
    bind(
        &["Ctrl-End"],
        Action::Scroll(ScrollAction::Bottom),
        "scroll to the last message",
    ),
    bind(&["Ctrl-L"], Action::Redraw, "draw the screen anew"),
    bind(&["Ctrl-C"], Action::Clear, "clear the line; never leaves"),
    bind(
        &["Esc", "Ctrl-G"],
        Action::Cancel,
        "stop a search, a paste, scrolling",
    ),
    bind(
        &["Ctrl-Z"],
        Action::Suspend,
        "suspend; fg in the shell comes back",
    ),
];

/// What this key does, if it does something besides writing a character.
pub(super) fn action(key: Key) -> Option<Action> {
    if key.character().is_some() {
        return None;
    }
    let name = key.to_string();
    let binding = BINDINGS
        .iter()
        .find(|binding| binding.keys.contains(&name.as_str()));
    binding.map(|binding| binding.action)
}

/// What `/help` says of the keys, one line each.
pub fn help() -> impl Iterator<Item = String> {
    BINDINGS
        .iter()
        .map(|binding| format!("{:<30} {}", binding.keys.join(", "), binding.about))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_does_two_things_and_no_two_rows_do_the_same() {
        let mut keys = HashSet::new();
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(keys.insert(key), "{key} is there twice");
            }
        }
        for (place, binding) in BINDINGS.iter().enumerate() {
            assert!(
                !BINDINGS[..place]
                    .iter()
                    .any(|before| before.action == binding.action)
            );
        }
    }

    #[test]
    fn characters_are_written_whatever_their_name() {
        use super::super::key::Code;
        assert_eq!(action(Key::from(Code::Char('a'))), None);
        assert_eq!(
            action(Key::from(Code::Char('a')).ctrl()),
            Some(Action::Edit(Edit::LineStart))
        );
        assert_eq!(action(Key::from(Code::Char('ж')).ctrl()), None);
    }
}
