//! The bytes of one file, at both of its ends.

use super::world::noise;
use crate::files::transfers::CREDIT;
use crate::files::transfers::receiving::{Broken, Receiving};
use crate::files::transfers::sending::{Sending, Wanted};

#[test]
fn a_prefix_of_another_time_proves_nothing() {
    let mut receiving = Receiving::new(100, 10, [1; 32]);
    assert_eq!(receiving.prove(9, &[2; 32]), None);
    assert_eq!(receiving.piece(10, &[0; 90]), Ok(0));
    assert_eq!(
        receiving.take_block(true),
        None,
        "nothing is written behind a part that is not proven"
    );
    assert_eq!(receiving.prove(10, &[1; 32]), Some(true));
    assert_eq!(receiving.take_block(false), Some(vec![0; 90]));
    assert_eq!(receiving.prove(10, &[2; 32]), None);
}

#[test]
fn tiny_pieces_fill_no_memory() {
    let mut receiving = Receiving::new(CREDIT, 0, [0; 32]);
    let broken = (1..CREDIT / 2).position(|place| receiving.piece(2 * place, &[0]) == Err(Broken));
    assert!(broken.is_some_and(|pieces| pieces < 50_000), "{broken:?}");
}

#[test]
fn pieces_in_any_order_are_put_in_order_once() {
    let bytes = noise(1000);
    let mut receiving = Receiving::new(1000, 0, [0; 32]);
    let mut consumed = 0;
    let pieces = [
        (500, 600),
        (450, 700),
        (0, 100),
        (500, 700),
        (50, 480),
        (900, 1000),
        (690, 905),
        (0, 1000),
    ];
    for (from, to) in pieces {
        consumed += receiving.piece(from as u64, &bytes[from..to]).unwrap();
    }
    assert_eq!(receiving.take_block(false).unwrap(), bytes);
    let came: usize = pieces.iter().map(|(from, to)| to - from).sum();
    assert_eq!((consumed, receiving.retained()), (came as u64 - 1000, 1000));
    receiving.wrote(1000);
    assert_eq!(receiving.retained(), 0);
}

#[test]
fn what_is_sent_is_kept_until_it_is_acknowledged() {
    let bytes = noise(150_000);
    let mut sending = Sending::new(150_000, 0, None);
    let wanted: Vec<Wanted> = std::iter::from_fn(|| sending.wanted()).collect();
    assert_eq!(wanted, [Wanted::Read, Wanted::Read, Wanted::Read, Wanted::End]);
    for block in bytes.chunks(65_536) {
        sending.add(block.to_vec());
    }
    let mut pieces = Vec::new();
    while let Some((offset, piece)) = sending.next(1113) {
        let from = usize::try_from(offset).unwrap();
        assert_eq!(piece, &bytes[from..from + piece.len()]);
        pieces.push((offset, piece.len()));
    }
    // All but one, from behind; that one is lost, and sent again in smaller pieces.
    for &(offset, length) in pieces.iter().skip(1).rev() {
        sending.acknowledged(offset, length);
        sending.lost(offset, length);
    }
    assert_eq!(sending.acked(), 0);
    sending.lost(0, 1113);
    assert_eq!(
        sending.next(1000).map(|(offset, piece)| (offset, piece.len())),
        Some((0, 1000))
    );
    sending.acknowledged(0, 1000);
    assert_eq!(
        sending.next(1000).map(|(offset, piece)| (offset, piece.len())),
        Some((1000, 113))
    );
    sending.acknowledged(1000, 113);
    assert_eq!(sending.acked(), 150_000);
    assert_eq!(sending.next(1000), None);
}

#[test]
fn read_ahead_is_limited() {
    let mut sending = Sending::new(1 << 40, 0, None);
    let mut read = 0;
    loop {
        while sending.wanted().is_some() {
            read += 65_536;
            sending.add(vec![0; 65_536]);
        }
        if sending.next(65_536).is_none() {
            break;
        }
    }
    assert_eq!(read, 3 << 20, "nothing is acknowledged");
}
