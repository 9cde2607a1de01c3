//! Promises that no input from outside may break.
//!
//! Each target passes bytes to the code that the programs use, and panics if a promise is broken. Targets are
//! plain functions: `tests/replay.rs` calls them with every kept input, and the programs in `libfuzzer/` search for new
//! inputs.

use std::sync::Mutex;

mod bytes;
mod discovery;
mod files;
mod handshake;
mod line;
mod memory;
mod names;
mod plain;
mod record;
mod rendezvous;
mod rich;
mod room;
mod safe;
mod sealed;
mod session;
mod settings;
mod state;
mod text;

/// A target and its name, which is also the name of its input directories.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("discovery", discovery::target),
    ("files", files::target),
    ("handshake", handshake::target),
    ("line", line::target),
    ("names", names::target),
    ("plain", plain::target),
    ("record", record::target),
    ("rendezvous", rendezvous::target),
    ("rich", rich::target),
    ("room", room::target),
    ("sealed", sealed::target),
    ("session", session::target),
    ("settings", settings::target),
    ("state", state::target),
    ("text", text::target),
];

/// Runs a target on one input. Runs must not overlap, because memory is counted for the whole process.
///
/// # Panics
/// If the target does not exist or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = target.expect("a target of that name");
    target(bytes);
}
