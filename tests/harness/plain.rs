//! A user with a bare TCP connection, as `nc` makes it.

use super::Wire;
use std::ops::{Deref, DerefMut};

/// A plain user in the room.
pub struct Plain(pub Wire);

impl Plain {
    /// Reads the greeting and sends a blank line. That fixes the dialect at once and has no other effect.
    #[track_caller]
    pub fn join(mut wire: Wire) -> Self {
        wire.expect("* chat version 1: ");
        wire.send("\n");
        wire.expect(&format!("{} is online", wire.id().to_owned()));
        Self(wire)
    }

    /// Sends a unique message and reads up to its echo. Returns the lines before it.
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
