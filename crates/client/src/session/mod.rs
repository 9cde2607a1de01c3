//! What the client knows, and what it does about it.
//!
//! Pure: bytes, requests and the time come in; bytes, datagrams and events go out. It owns no
//! socket and reads no clock. After every call take what is to go out, with
//! [`Session::take_bytes`], [`Session::next_datagram`] and [`Session::next_event`], and call
//! [`Session::tick`] at [`Session::deadline`].
//!
//! `state` is the session and what its parts share. Each other file handles one part of it; `driver` calls them all.

mod away;
mod deferred;
mod doubts;
mod driver;
mod event;
mod file_events;
mod file_requests;
mod files;
pub(crate) mod greeting;
mod handshake;
mod ignored;
mod legacy;
mod login_nick;
mod nicks;
mod operators;
mod outbox;
mod outcome;
mod private;
mod protection;
mod recipients;
mod reconnect;
mod requests;
mod rich;
mod stage;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod trust;
mod verifying;
mod wish;

pub use event::{
    AwayNote, Delivery, DeliveryFailure, Direction, Doubt, Event, FileNews, GroupMessage, Ignoring, Join,
    Leave, Listed, PrivateMessage, RefusedMessage, Rename, Topic, Transport, Unattributed, Verification,
    Verified, VerifyCode, Welcome, about_away, about_file, about_legacy, about_missed, about_query,
    about_topic,
};
pub use files::{FileOptions, FilesFrom, UnderWay};
pub use outbox::Unsent;
pub use outcome::{Ending, Failures, Outcome};
pub use requests::too_long;
pub use state::{Config, Endpoints, Session, Transmit};
pub use trust::VERIFIED_MAX;
