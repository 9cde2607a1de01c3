//! What any bytes from outside must never bring about.
//!
//! Each target takes bytes, does with them what the programs would do, and panics if a promise is broken.
//! They are plain functions: `tests/replay.rs` calls them with every input that was worth keeping, and the
//! programs in `libfuzzer/` look for new ones.

use std::sync::Mutex;

mod bytes;
mod line;
mod memory;
mod names;
mod plain;
mod rendezvous;
mod rich;
mod room;
mod safe;
mod sealed;
mod session;
mod settings;
mod text;

/// A target and its name, which is also that of its directories of inputs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("line", line::target),
    ("names", names::target),
    ("plain", plain::target),
    ("rendezvous", rendezvous::target),
    ("rich", rich::target),
    ("room", room::target),
    ("sealed", sealed::target),
    ("session", session::target),
    ("settings", settings::target),
    ("text", text::target),
];

/// Does one input of one target. One at a time: memory is counted for all of the process.
///
/// # Panics
/// If there is no such target, or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = target.expect("a target of that name");
    target(bytes);
}
