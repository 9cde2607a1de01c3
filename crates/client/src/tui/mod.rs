//! The full screen.
//!
//! From the top down; no file imports one above it:
//! - `terminal` shows the screen of a session on `device`, the real terminal: `decoder` and `sequence` are its input,
//!   `draw`, `theme` and `colour` its output; `guard` restores it, and `notifier` reaches the desktop.
//! - `chooser` shows the rooms of the LAN, which `room_list` draws, on the same device.
//! - `input_handler` runs keys (`keys`) and pastes; `commands` sends lines and runs commands.
//! - `show` turns events of the session into entries (`entry`, laid out by `layout`, with links by `url`); `view` and
//!   `status` draw the rows.
//! - `screen` is the state. Its parts have files of their own: `input`, `history`, `scrollback`, `scroll` and others.
//!
//! Everything but `terminal`, `chooser`, `device`, `guard` and `notifier` is pure: events and keys come in, rows and requests to the session go
//! out. So a test draws the screen that it expects.

mod chooser;
mod clock;
mod colour;
mod commands;
mod complete;
mod contacts;
mod decoder;
mod device;
mod draw;
mod entry;
mod find;
mod guard;
mod history;
mod input;
mod input_handler;
mod key;
pub mod keys;
mod layout;
mod link;
mod lookalikes;
mod notifier;
mod page;
mod paste;
mod room_list;
mod screen;
mod scroll;
mod scrollback;
mod sequence;
mod show;
mod status;
mod style;
mod terminal;
mod theme;
mod unread;
mod url;
mod view;
mod wrap;

pub use chooser::choose;
pub use terminal::{FullScreen, is_wanted};

#[cfg(test)]
mod tests;
