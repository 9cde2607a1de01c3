//! The table of keys. `/help keys` and the manual page are made from it; a test compares it with the client's guide.

use super::input::Edit;
use super::key::Key;
use super::scroll::ScrollAction;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the line, or run its command.
    Submit,
    /// Begin another row of the message.
    NewLine,
    Edit(Edit),
    /// Delete the character at the cursor; on an empty line leave.
    DeleteOrLeave,
    /// Show the line typed before.
    Older,
    /// Show the line typed after.
    Newer,
    /// Search the lines typed before, or find the match before.
    Search,
    /// Find the match after.
    SearchNewer,
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

/// The keys for an action.
#[derive(Debug)]
pub struct Binding {
    /// The names of the keys, separated by `, `.
    pub keys: &'static str,
    action: Action,
    /// The description in `/help keys`.
    pub about: &'static str,
}

const fn bind(keys: &'static str, action: Action, about: &'static str) -> Binding {
    Binding { keys, action, about }
}

const fn edit(keys: &'static str, edit: Edit, about: &'static str) -> Binding {
    bind(keys, Action::Edit(edit), about)
}

const fn scroll(keys: &'static str, scroll: ScrollAction, about: &'static str) -> Binding {
    bind(keys, Action::Scroll(scroll), about)
}

/// The rows of a notch of the wheel.
const WHEEL_ROWS: usize = 3;

/// All bindings.
pub const BINDINGS: &[Binding] = {
    use super::input::Edit::*;
    use super::scroll::ScrollAction::*;
    use Action::*;
    &[
        bind("Enter", Submit, "send the line; when offline, reconnect now"),
        bind(
            "Alt-Enter, Shift-Enter",
            NewLine,
            "begin another line of the same message",
        ),
        edit("Ctrl-A, Home", LineStart, "move to the beginning of the line"),
        edit("Ctrl-E, End", LineEnd, "move to the end of the line"),
        edit("Ctrl-B, Left", Left, "move one character back"),
        edit("Ctrl-F, Right", Right, "move one character forward"),
        edit("Alt-B, Ctrl-Left, Alt-Left", WordLeft, "move one word back"),
        edit("Alt-F, Ctrl-Right, Alt-Right", WordRight, "move one word forward"),
        edit(
            "Backspace, Shift-Backspace",
            DeleteBack,
            "delete the character before the cursor",
        ),
        edit("Delete", Delete, "delete the character at the cursor"),
        bind(
            "Ctrl-D",
            DeleteOrLeave,
            "the same; on an empty line leave (asks first)",
        ),
        edit("Ctrl-K", CutToEnd, "cut to the end of the line"),
        edit("Ctrl-U", CutToStart, "cut to the beginning of the line"),
        edit("Ctrl-W", CutBlankBack, "cut back to the last blank"),
        edit(
            "Alt-Backspace, Ctrl-Backspace",
            CutWordBack,
            "cut the word before the cursor",
        ),
        edit("Alt-D, Ctrl-Delete", CutWord, "cut the word after the cursor"),
        edit("Ctrl-Y", Yank, "paste the last cut"),
        edit("Alt-Y", YankOlder, "replace it with the cut before that"),
        edit("Ctrl-T", Transpose, "swap the two characters before the cursor"),
        edit("Ctrl-_, Ctrl-/", Undo, "take back the last change of the line"),
        bind("Up, Ctrl-P", Older, "previous line typed"),
        bind("Down, Ctrl-N", Newer, "next line typed"),
        bind("Ctrl-R", Search, "search older lines typed; or older matches"),
        bind("Ctrl-S", SearchNewer, "search newer ones"),
        bind("Tab", Complete, "complete a nick or command; again: the next"),
        bind("Shift-Tab", CompleteBack, "complete with the previous one"),
        scroll("PgUp, Shift-PgUp", PageUp, "scroll up by a page"),
        scroll("PgDn, Shift-PgDn", PageDown, "scroll down by a page"),
        scroll("WheelUp", Up(WHEEL_ROWS), "scroll up, with the setting mouse"),
        scroll("WheelDown", Down(WHEEL_ROWS), "scroll down"),
        scroll("Ctrl-Home", Top, "scroll to the first message"),
        scroll("Ctrl-End", Bottom, "scroll to the last message"),
        bind("Ctrl-L", Redraw, "redraw the screen"),
        bind("Ctrl-C", Clear, "clear the line; never leaves the room"),
        bind("Esc, Ctrl-G", Cancel, "end a search, a paste or scrolling"),
        bind(
            "Ctrl-Z",
            Suspend,
            "suspend the client; fg in the shell resumes it",
        ),
    ]
};

/// The action of a key; `None` if the key only writes a character, or does nothing.
pub(super) fn action(key: Key) -> Option<Action> {
    if key.character().is_some() {
        return None;
    }
    let name = key.to_string();
    let mut bindings = BINDINGS.iter();
    let binding = bindings.find(|binding| binding.keys.split(", ").any(|key| key == name));
    binding.map(|binding| binding.action)
}

/// The names of the keys of each binding, and what they do.
pub fn manual() -> impl Iterator<Item = (String, String)> {
    BINDINGS
        .iter()
        .map(|binding| (binding.keys.to_owned(), binding.about.to_owned()))
}

/// The lines of `/help keys`.
pub fn help() -> impl Iterator<Item = String> {
    BINDINGS
        .iter()
        .map(|binding| format!("{:<30} {}", binding.keys, binding.about))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_key_and_each_action_is_bound_once() {
        let mut keys = HashSet::new();
        for binding in BINDINGS {
            for key in binding.keys.split(", ") {
                assert!(keys.insert(key), "{key} is bound twice");
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
    fn a_key_that_writes_a_character_has_no_action() {
        use super::super::key::Code;
        assert_eq!(action(Key::from(Code::Char('a'))), None);
        assert_eq!(
            action(Key::from(Code::Char('a')).ctrl()),
            Some(Action::Edit(Edit::LineStart))
        );
        assert_eq!(action(Key::from(Code::Char('ж')).ctrl()), None);
    }
}
