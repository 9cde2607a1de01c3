use super::*;
use data_encoding::HEXLOWER as HEX;
use proptest::prelude::*;
use std::collections::BTreeSet;

const TIME: u64 = 1_700_000_000_000;

fn keys() -> (KeyPair, KeyPair) {
    (KeyPair::from_secret([1; 32]), KeyPair::from_secret([2; 32]))
}

fn begin(time: u64) -> (Initiator, Vec<u8>) {
    let (alice, bob) = keys();
    let introduction = Introduction { run: [5; 8], time };
    Initiator::begin(&alice, &bob.public(), 7, introduction, &mut |bytes| bytes.fill(3)).unwrap()
}

fn answer(first: &[u8]) -> Option<Responder> {
    Responder::read(&keys().1, first, &mut |bytes| bytes.fill(4))
}

/// Both ends, and the datagrams of their handshake.
fn ends() -> (Session, Session, Vec<u8>, Vec<u8>) {
    let (mut alice, first) = begin(TIME);
    let (second, bob) = answer(&first).unwrap().finish(8, [6; 8]).unwrap();
    let (run, alice) = alice.finish(&second).unwrap();
    assert_eq!(run, [6; 8]);
    (alice, bob, first, second)
}

#[test]
fn both_sides_meet() {
    let (_, first) = begin(TIME);
    let responder = answer(&first).unwrap();
    assert_eq!(responder.peer, keys().0.public());
    let introduction = Introduction {
        run: [5; 8],
        time: TIME,
    };
    assert_eq!(responder.introduction, introduction);
    let (mut alice, mut bob, first, second) = ends();
    assert_eq!((first.len(), second.len()), (118, 66));
    for text in [b"one".as_slice(), b"", &[7; 1170]] {
        let datagram = alice.seal(text);
        assert_eq!(datagram.len(), text.len() + OVERHEAD);
        assert_eq!(index_of(&datagram), Some(bob.index()));
        assert_eq!(bob.open(&datagram).unwrap(), text);
        let datagram = bob.seal(text);
        assert_eq!(index_of(&datagram), Some(alice.index()));
        assert_eq!(alice.open(&datagram).unwrap(), text);
    }
}

/// The example of `PROTOCOL.md`, which is a test vector.
#[test]
fn the_example_of_the_protocol_is_what_this_does() {
    let (mut alice, mut bob, first, second) = ends();
    let lines = [
        ("begins", first),
        ("answers", second),
        ("begins", alice.seal(b"the packet")),
        ("answers", bob.seal(b"the packet")),
    ];
    let expected: String = lines
        .iter()
        .map(|(who, bytes)| format!("    {who:<9}{}\n", HEX.encode(bytes)))
        .collect();
    let document = include_str!("../../../proto/PROTOCOL.md");
    assert!(
        document.contains(&expected),
        "PROTOCOL.md lacks this:\n{expected}"
    );
}

#[test]
fn a_changed_first_message_is_not_read() {
    let (_, first) = begin(TIME);
    // The index, which nothing protects, is bytes 2 to 5. Who changes it makes the packets go nowhere.
    for bit in (0..16).chain(48..first.len() * 8) {
        let mut changed = first.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // X25519 ignores the highest bit of a public key, but the hash of the handshake does not.
        assert!(answer(&changed).is_none(), "bit {bit}");
    }
    for length in 0..first.len() {
        assert!(answer(&first[..length]).is_none(), "{length} bytes");
    }
    assert!(answer(&[&first[..], &[0]].concat()).is_none());
    let other = KeyPair::from_secret([9; 32]);
    assert!(Responder::read(&other, &first, &mut |bytes| bytes.fill(4)).is_none());
}

#[test]
fn a_forged_answer_leaves_the_handshake_open() {
    let (mut alice, first) = begin(TIME);
    let (second, _) = answer(&first).unwrap().finish(8, [6; 8]).unwrap();
    for bit in (0..48).chain(80..second.len() * 8) {
        let mut changed = second.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(alice.finish(&changed).is_none(), "bit {bit}");
    }
    assert!(alice.finish(&second).is_some());
    assert!(alice.finish(&second).is_none(), "once");
}

#[test]
fn only_the_answering_side_of_its_key_is_believed() {
    let (mut alice, _) = begin(TIME);
    // Mallory has another key, and answers a message that was meant for Bob.
    let mallory = KeyPair::from_secret([9; 32]);
    let introduction = Introduction {
        run: [5; 8],
        time: TIME,
    };
    let (_, for_mallory) = Initiator::begin(&keys().0, &mallory.public(), 7, introduction, &mut |bytes| {
        bytes.fill(3)
    })
    .unwrap();
    let responder = Responder::read(&mallory, &for_mallory, &mut |bytes| bytes.fill(4)).unwrap();
    let (second, _) = responder.finish(8, [6; 8]).unwrap();
    assert!(alice.finish(&second).is_none());
}

#[test]
fn a_key_of_small_order_is_refused() {
    let introduction = Introduction {
        run: [5; 8],
        time: TIME,
    };
    let begun = Initiator::begin(&keys().0, &Opaque([0; 32]), 7, introduction, &mut |bytes| {
        bytes.fill(3)
    });
    assert!(begun.is_none());
}

#[test]
fn each_direction_and_each_handshake_has_its_own_keys() {
    let (mut alice, mut bob, ..) = ends();
    let datagram = alice.seal(b"hi");
    assert_eq!(alice.open(&datagram), None, "reflected to its sender");
    let mut relabelled = datagram.clone();
    relabelled[2..6].copy_from_slice(&alice.index().to_be_bytes());
    assert_eq!(alice.open(&relabelled), None);
    let (_, first) = begin(TIME);
    let responder = Responder::read(&keys().1, &first, &mut |bytes| bytes.fill(44)).unwrap();
    let (_, mut other) = responder.finish(8, [6; 8]).unwrap();
    assert_eq!(other.open(&datagram), None);
    assert_eq!(bob.open(&datagram).unwrap(), b"hi");
}

#[test]
fn no_counter_serves_two_datagrams() {
    let (mut alice, ..) = ends();
    let counters: BTreeSet<Vec<u8>> = (0..100).map(|_| alice.seal(b"same")[6..14].to_vec()).collect();
    assert_eq!(counters.len(), 100);
    assert_ne!(alice.seal(b"same")[14..], alice.seal(b"same")[14..]);
}

#[test]
fn a_copy_is_discarded_and_so_is_one_from_before_the_window() {
    let (mut alice, mut bob, ..) = ends();
    let sent: Vec<_> = (0..=WINDOW).map(|_| alice.seal(b"x")).collect();
    let last = sent.last().unwrap();
    assert!(bob.open(last).is_some());
    assert!(bob.open(last).is_none());
    assert!(bob.open(&sent[0]).is_none(), "too old");
    assert!(bob.open(&sent[1]).is_some(), "the oldest that counts");
    assert!(bob.open(&sent[1]).is_none());
}

#[test]
fn a_forged_counter_does_not_move_the_window() {
    let (mut alice, mut bob, ..) = ends();
    let datagram = alice.seal(b"x");
    let mut forged = datagram.clone();
    forged[6..14].fill(0x7F);
    assert!(bob.open(&forged).is_none());
    assert!(bob.open(&datagram).is_some());
}

#[test]
fn debug_output_shows_no_key() {
    let (alice, ..) = ends();
    assert_eq!(format!("{alice:?}"), "Session { own: 7, theirs: 8, .. }");
}

proptest! {
    #[test]
    fn a_changed_bit_anywhere_is_detected(bit in any::<prop::sample::Index>(), packet in prop::collection::vec(any::<u8>(), 0..80)) {
        let (mut alice, mut bob, ..) = ends();
        let datagram = alice.seal(&packet);
        let mut changed = datagram.clone();
        let bit = bit.index(datagram.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(bob.open(&changed), None);
        prop_assert_eq!(bob.open(&datagram), Some(packet));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..7) {
        let (_, mut bob, ..) = ends();
        let (mut alice, _) = begin(TIME);
        for bytes in [bytes.clone(), [&[MARK, kind], &bytes[..]].concat()] {
            prop_assert!(answer(&bytes).is_none());
            prop_assert!(alice.finish(&bytes).is_none());
            prop_assert!(bob.open(&bytes).is_none());
            let _ = index_of(&bytes);
        }
    }

    #[test]
    fn the_window_agrees_with_a_set_of_all_counters(counters in prop::collection::vec(0u64..9000, 1..300)) {
        let mut window = Window::default();
        let mut arrived = BTreeSet::new();
        for counter in counters {
            let highest = arrived.last().copied().unwrap_or(0);
            let is_new = !arrived.contains(&counter) && counter + WINDOW > highest;
            prop_assert_eq!(window.is_new(counter), is_new, "{}", counter);
            if is_new {
                window.mark(counter);
                arrived.insert(counter);
            }
        }
    }
}
