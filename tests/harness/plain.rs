//! A user with nothing but a TCP connection, as `nc` gives.

use super::Wire;
use std::ops::{Deref, DerefMut};

/// A plain user who is in the room.
pub struct Plain(pub Wire);

impl Plain {
    /// Reads the greeting, and makes the room know at once what dialect this is: by a blank line, which
    /// asks for nothing.
    #[track_caller]
    pub fn join(mut wire: Wire) -> Self {
        wire.expect("* chat/1");
        wire.send("\n");
        wire.expect(&format!("{} is online", wire.id().to_owned()));
        Self(wire)
    }

    /// Says something that nobody said before, and reads until it comes back: all that was to be heard before it.
    #[track_caller]
    pub fn sync(&mut self, marker: &str) -> Vec<String> {
        self.line(marker);
        let said = format!(": {marker}");
        let mut lines = self.until(&said);
        lines.pop();
        lines
    }

    #[track_caller]
    pub fn close(self) {
        self.0.close();
    }

    pub fn reset(self) {
        self.0.reset();
    }
}

impl Deref for Plain {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.0
    }
}

impl DerefMut for Plain {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.0
    }
}
