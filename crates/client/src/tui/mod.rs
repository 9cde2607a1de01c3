//! The full screen: what is on it, and what each key does.
//!
//! Pure: events and keys come in, rows of cells and requests to the [`Session`] go out. It reads no clock and owns no
//! terminal, so that a test can draw the screen that it expects. What carries it out is in `terminal`.

mod clock;
mod commands;
mod complete;
mod contacts;
mod decoder;
mod draw;
mod entry;
mod find;
mod guard;
mod history;
mod input;
mod input_handler;
mod key;
pub mod keys;
mod link;
mod paste;
mod screen;
mod scroll;
mod scrollback;
mod show;
mod status;
mod style;
mod terminal;
mod theme;
mod view;
mod wrap;

pub use terminal::{FullScreen, is_wanted};

#[cfg(test)]
mod tests;
