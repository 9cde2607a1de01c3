//! Limits of both directions.

use std::time::Duration;

/// Offers of one peer, or to one, that wait for an answer; and of all.
pub(super) const OFFERS_OF_PEER_MAX: usize = 4;
pub(super) const OFFERS_MAX: usize = 32;
/// Offers of a peer in [`OFFER_FOR`] that the user did not accept: each shows two lines.
pub(super) const IN_VAIN_OF_PEER_MAX: usize = 16;
/// Such offers that are remembered.
pub(super) const IN_VAIN_MAX: usize = 1024;
/// After this time without an answer, an offer is over.
pub(super) const OFFER_FOR: Duration = Duration::from_secs(600);
/// Transfers that move at a time in each direction; others wait.
pub(super) const ACTIVE_MAX: usize = 2;
/// The same with those that stand still.
pub(super) const OPEN_MAX: usize = 8;
/// A receiver that begins anew, or a sender that offers again, more often than this without having been away is broken: each
/// time may cost a reading of the whole file.
pub(super) const BEGINNINGS_MAX: u32 = 16;
