//! A time and an address, small enough to keep several of for each user.

use chat_proto::datagram::{ADDRESS_LEN, decode_address, encode_address};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

/// A time on the room's clock or a span, in eight bytes where a [`Duration`] takes sixteen; so does an `Option` of it.
///
/// It holds nanoseconds plus one: 584 years, after which it saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The start of the clock, or an empty span.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// The same as a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

impl From<Duration> for Timestamp {
    fn from(time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

/// A canonical address and port in 18 bytes, as datagrams carry it, where a [`SocketAddr`] takes 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addr([u8; ADDRESS_LEN]);

impl From<SocketAddr> for Addr {
    fn from(address: SocketAddr) -> Self {
        Self(encode_address(address))
    }
}

impl From<Addr> for SocketAddr {
    fn from(Addr(bytes): Addr) -> Self {
        decode_address(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_round_trips_in_eight_bytes() {
        for time in [0, 1, 999_999_999, 1 << 40, u64::MAX - 1].map(Duration::from_nanos) {
            assert_eq!(Timestamp::from(time).get(), time);
        }
        assert_eq!(
            Timestamp::from(Duration::MAX).get(),
            Duration::from_nanos(u64::MAX - 1)
        );
        assert_eq!(size_of::<Option<Timestamp>>(), 8);
    }

    #[test]
    fn a_canonical_address_round_trips_in_18_bytes() {
        for text in ["10.0.0.1:5000", "[fe80::1]:1", "[::1]:65535", "127.0.0.1:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Addr::from(address)), address);
        }
        assert_eq!(size_of::<Addr>(), 18);
    }
}
