//! The messages that came while the user did not look: their counts, and where they begin.
//!
//! The user does not look while the terminal has no focus, as far as it reports that, or while the view is
//! scrolled up or a page is read.

use chat_proto::text::Text;

/// The most that is counted. Beyond it the title of the window no longer changes with each message.
const COUNT_MAX: usize = 100;

/// How a message concerns the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// It is for everybody.
    Room,
    /// It names the user, or has a word of the setting `highlight`.
    Mention,
    Private,
}

/// The unseen messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// All of them. `mentions + privates <= messages`, up to `COUNT_MAX`.
    messages: usize,
    mentions: usize,
    privates: usize,
    /// The serial of the first one, and its time. Both stay after it was seen, until the next one.
    first: Option<(u64, u64)>,
}

impl Unread {
    /// Counts a message that will have this serial.
    pub(super) fn add(&mut self, concern: Concern, serial: u64, at: u64) {
        if self.messages == 0 {
            self.first = Some((serial, at));
        }
        let mut counts = vec![&mut self.messages];
        match concern {
            Concern::Room => {}
            Concern::Mention => counts.push(&mut self.mentions),
            Concern::Private => counts.push(&mut self.privates),
        }
        for count in counts {
            *count = COUNT_MAX.min(*count + 1);
        }
    }

    /// The user has looked.
    pub(super) fn clear(&mut self) {
        *self = Self {
            first: self.first,
            ..Self::default()
        };
    }

    /// The time of the first unseen message, if that has this serial.
    pub(super) fn begins_at(&self, serial: u64) -> Option<u64> {
        self.first.filter(|(first, _)| *first == serial).map(|(_, at)| at)
    }

    /// Mentions and private messages, such as `@1` and `p2`; each is empty without any.
    pub(super) fn marks(&self) -> [String; 2] {
        [("@", self.mentions), ("p", self.privates)].map(|(mark, count)| match count {
            0 => String::new(),
            _ => format!("{mark}{}", shown(count)),
        })
    }

    /// The title of the window, such as `(3 @1) chat 192.0.2.7`. It has nothing that came from the network.
    pub(super) fn title(&self, room: &str) -> String {
        let mut counts = vec![shown(self.messages)];
        counts.extend(self.marks().into_iter().filter(|mark| !mark.is_empty()));
        let counts = match self.messages {
            0 => String::new(),
            _ => format!("({}) ", counts.join(" ")),
        };
        Text::from(format!("{counts}chat {room}")).to_string()
    }
}

fn shown(count: usize) -> String {
    match count {
        COUNT_MAX.. => "99+".into(),
        _ => count.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_counts_up_to_99_and_is_safe() {
        let mut unread = Unread::default();
        assert_eq!(unread.title("192.0.2.7:9000"), "chat 192.0.2.7:9000");
        for concern in [
            Concern::Room,
            Concern::Mention,
            Concern::Private,
            Concern::Private,
        ] {
            unread.add(concern, 7, 0);
        }
        assert_eq!(unread.title("host"), "(4 @1 p2) chat host");
        assert_eq!(
            unread.title("\x1b]0;x\x07\u{9c}"),
            "(4 @1 p2) chat ␛]0;x␇\u{fffd}"
        );
        for _ in 0..200 {
            unread.add(Concern::Room, 7, 0);
        }
        let before = unread;
        unread.add(Concern::Room, 7, 0);
        assert_eq!(unread, before);
        assert_eq!(unread.title("host"), "(99+ @1 p2) chat host");
    }
}
