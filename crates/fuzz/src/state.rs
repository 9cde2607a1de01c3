//! The file of `--state`: bytes that are no state are refused, and a room can begin with any that are.

use crate::safe::assert_safe;
use chat_noise::sha256;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::now::Now;
use chat_proto::opaque::Opaque;
use chat_proto::rich::FromServer;
use chat_server::identity::Identity;
use chat_server::quota::Quota;
use chat_server::room::{Limits, Room, snapshot};
use chat_server::state::State;
use std::time::Duration;

const NOW: Now = Now {
    monotonic: Duration::from_secs(5),
    unix_ms: 1_700_000_000_000,
};

pub(crate) fn target(input: &[u8]) {
    if let Ok(state) = State::parse(input) {
        check(state);
    }
    // The same lines with a right checksum, which no search would find.
    let mut bytes = [b"chat-state 2\n", input, b"\n"].concat();
    let hash = Opaque(sha256(&[&bytes]));
    bytes.extend_from_slice(format!("end {hash}\n").as_bytes());
    if let Ok(state) = State::parse(&bytes) {
        check(state);
    }
}

fn check(state: State) {
    let bytes = state.to_bytes();
    let again = State::parse(&bytes).map(|state| state.to_bytes());
    assert!(again == Ok(bytes), "it is not read as it was written");
    let limits = Limits {
        max_users: 10,
        max_per_address: 10,
        history: 10,
        rate: None,
        quota: Quota::default(),
        ping_interval: Duration::from_secs(15),
    };
    let mut room = Room::new(limits, Box::new(|| Opaque([7; 16])), Identity::ephemeral([1; 32]));
    snapshot::restore(&mut room, NOW, state);
    let kept = snapshot::take(&room, NOW).to_bytes();
    assert!(
        State::parse(&kept).is_ok(),
        "what was restored can't be kept again"
    );
    let kept = String::from_utf8(kept).expect("it is text");
    for line in kept.lines().filter(|line| line.starts_with("SAID ")) {
        assert!(line.len() < SERVER_LINE_MAX);
        assert!(
            matches!(FromServer::parse(line), Ok(FromServer::Said(..))),
            "{line:?}"
        );
        assert_safe(line);
    }
}
