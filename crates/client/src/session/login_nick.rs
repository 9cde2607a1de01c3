//! The login name as the nick. Nobody asked for it, so if it is taken, it gets a digit.

use chat_proto::nick::Nick;

/// The first digit.
const FIRST: u8 = 2;

/// The last digit that is tried.
const LAST: u8 = 9;

/// A login name that is asked for as the nick.
#[derive(Debug)]
pub(super) struct LoginNick {
    name: Nick,
    /// The digit to try next.
    digit: u8,
}

impl LoginNick {
    pub(super) fn new(name: Nick) -> Self {
        Self { name, digit: FIRST }
    }

    /// The next nick to try, if there is one.
    pub(super) fn next(&mut self) -> Option<Nick> {
        let digit = (self.digit <= LAST).then_some(self.digit)?;
        self.digit += 1;
        Nick::parse(&format!("{}{digit}", self.name)).ok()
    }

    /// The server gave a nick with a digit. Returns what the user is told.
    pub(super) fn given(&mut self, nick: &Nick) -> String {
        self.digit = FIRST;
        let name = &self.name;
        format!("your login name {name} is taken, so you are {nick}; /nick NAME takes another")
    }
}
