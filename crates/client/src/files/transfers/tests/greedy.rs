//! Peers that take more than their share.

use super::disk::{FakeDisk, hash};
use super::rules::{NOW, messages, offer, outputs, requests};
use super::world::key;
use crate::files::message::{FileId, FileMessage, Reason};
use crate::files::request::{Answer, BLOCK, Request};
use crate::files::transfers::{Number, Output, State, Transfers, Way, What};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// What the user is told.
fn told(transfers: &mut Transfers) -> Vec<What> {
    let told = outputs(transfers).into_iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.what),
        _ => None,
    });
    told.collect()
}

fn accept(transfers: &mut Transfers) {
    let mut offers = transfers.list().filter(|status| status.state == State::Offered);
    let number = offers.next().unwrap().number;
    drop(offers);
    transfers.accept(number, PathBuf::from("/d"), None).unwrap();
}

#[test]
fn offers_that_nobody_accepts_are_told_of_16_times() {
    let mut transfers = Transfers::new(0);
    for id in 0..100 {
        transfers.message(NOW, key(0), offer(id, 1));
        transfers.message(NOW, key(0), FileMessage::Cancel(FileId(id), Reason::User));
        // Another size under a number in use.
        transfers.message(NOW, key(1), offer(id / 2, id.into()));
    }
    assert_eq!(told(&mut transfers).len(), 2 * 2 * 16);
    transfers.message(NOW, key(2), offer(0, 1));
    assert_eq!(told(&mut transfers), [What::Offered], "others may offer");
    transfers.message(NOW, key(0), offer(200, 1));
    let refusal = FileMessage::Decline(FileId(200), Reason::TooMany);
    assert_eq!(messages(&mut transfers), [refusal]);
    transfers.message(NOW + Duration::from_secs(600), key(0), offer(201, 1));
    assert_eq!(told(&mut transfers), [What::Offered], "after 10 minutes");
}

#[test]
fn files_that_the_user_wants_are_not_limited() {
    let mut transfers = Transfers::new(0);
    for id in 0..100 {
        transfers.message(NOW, key(0), offer(id, 1));
        accept(&mut transfers);
        transfers.message(NOW, key(0), FileMessage::Cancel(FileId(id), Reason::User));
    }
    let offered = told(&mut transfers)
        .into_iter()
        .filter(|what| *what == What::Offered);
    assert_eq!(offered.count(), 100);
}

#[test]
fn a_pause_is_told_of_once() {
    let mut transfers = Transfers::new(0);
    // Two others are on their way.
    for id in 1..4 {
        transfers.message(NOW, key(0), offer(id, 100));
        accept(&mut transfers);
    }
    outputs(&mut transfers);
    let forgotten = FileMessage::Cancel(FileId(3), Reason::Forgotten);
    for _ in 0..100 {
        transfers.message(NOW, key(0), forgotten.clone());
    }
    assert_eq!(told(&mut transfers), [What::Forgotten]);
    for _ in 0..100 {
        transfers.message(NOW, key(0), offer(3, 100));
        transfers.message(NOW, key(0), forgotten.clone());
    }
    let told = told(&mut transfers);
    assert!(told.len() < 50, "{}", told.len());
    assert_eq!(told.last(), Some(&What::Failed(Reason::Broken, None)));
}

/// Offers to each of these peers a file, which it accepts.
fn sender(peers: usize) -> (Transfers, FakeDisk) {
    let mut transfers = Transfers::new(0);
    let mut disk = FakeDisk::default();
    disk.sources.insert(PathBuf::from("a"), (vec![7; 1 << 20], 1));
    for peer in 0..peers {
        transfers.offer(NOW, key(peer), Path::new("a")).unwrap();
        carry_out(&mut transfers, &mut disk);
        let id = FileId(u32::try_from(peer).unwrap());
        transfers.message(NOW, key(peer), FileMessage::Accept(id, 0));
        carry_out(&mut transfers, &mut disk);
    }
    (transfers, disk)
}

fn carry_out(transfers: &mut Transfers, disk: &mut FakeDisk) -> Vec<Request> {
    let mut done = Vec::new();
    loop {
        let requests = requests(transfers);
        if requests.is_empty() {
            return done;
        }
        for (handle, request) in requests {
            done.push(request.clone());
            if let Some(answer) = disk.carry_out(handle, request) {
                transfers.answer(handle, answer);
            }
        }
    }
}

fn states(transfers: &Transfers) -> Vec<State> {
    transfers.list().map(|status| status.state).collect()
}

#[test]
fn peers_that_take_nothing_keep_nobody_waiting() {
    use State::{Moving, Waiting};
    let (mut transfers, mut disk) = sender(3);
    assert_eq!(states(&transfers), [Moving, Moving, Waiting]);
    transfers.timeout(NOW);
    // One takes a little now and then, which is no better.
    let (piece, _) = transfers.next_piece(&key(0), 1113, u64::MAX).unwrap();
    transfers.acknowledged(&piece);
    assert_eq!(transfers.deadline(), Some(NOW + HALF_A_MINUTE));
    transfers.timeout(NOW + HALF_A_MINUTE - Duration::from_millis(1));
    assert_eq!(states(&transfers), [Moving, Moving, Waiting]);
    transfers.timeout(NOW + HALF_A_MINUTE);
    carry_out(&mut transfers, &mut disk);
    assert_eq!(states(&transfers), [Moving, Moving, Moving]);
    assert!(transfers.next_piece(&key(2), 1113, u64::MAX).is_some());
    assert!(
        transfers.next_piece(&key(0), 1113, u64::MAX).is_some(),
        "it may go on"
    );
    assert_eq!(transfers.deadline(), None, "nobody waits");
}

#[test]
fn a_file_that_moves_keeps_its_turn() {
    use State::{Moving, Waiting};
    let (mut transfers, mut disk) = sender(3);
    let mut now = NOW;
    transfers.timeout(now);
    for _ in 0..5 {
        for peer in [0, 1] {
            for _ in 0..60 {
                let (piece, _) = transfers.next_piece(&key(peer), 1113, u64::MAX).unwrap();
                transfers.acknowledged(&piece);
            }
        }
        carry_out(&mut transfers, &mut disk);
        now += HALF_A_MINUTE;
        transfers.timeout(now);
        assert_eq!(states(&transfers), [Moving, Moving, Waiting]);
    }
}

#[test]
fn eight_files_are_open_at_most() {
    let (mut transfers, mut disk) = sender(12);
    let mut now = NOW;
    for _ in 0..20 {
        transfers.timeout(now);
        carry_out(&mut transfers, &mut disk);
        now += HALF_A_MINUTE;
    }
    let moving = states(&transfers)
        .into_iter()
        .filter(|state| *state == State::Moving);
    assert_eq!(moving.count(), 8);
}

#[test]
fn a_receiver_that_has_all_holds_no_file_open() {
    let (mut transfers, mut disk) = sender(3);
    for peer in [0, 1] {
        while let Some((piece, _)) = transfers.next_piece(&key(peer), 1113, u64::MAX) {
            transfers.acknowledged(&piece);
            let id = piece.id;
            let requests = carry_out(&mut transfers, &mut disk);
            if requests.contains(&Request::Close) {
                let list = transfers.list();
                let number = Number(id.0 + 1);
                let status = list.into_iter().find(|status| status.number == number).unwrap();
                assert_eq!((status.bytes, status.state), (1 << 20, State::Moving));
            }
        }
    }
    assert_eq!(states(&transfers)[2], State::Moving);
    assert!(transfers.next_piece(&key(2), 1113, u64::MAX).is_some());
    transfers.message(NOW, key(0), FileMessage::Kept(FileId(0)));
    assert!(told(&mut transfers).contains(&What::Kept));
    // The other one begins again, and is told the end again.
    transfers.message(NOW, key(1), FileMessage::Accept(FileId(1), 1 << 20));
    let mut is_told = false;
    for output in outputs(&mut transfers) {
        if let Output::Disk(handle, request) = output
            && let Some(answer) = disk.carry_out(handle, request)
        {
            transfers.answer(handle, answer);
        }
    }
    for _ in 0..5 {
        for output in outputs(&mut transfers) {
            match output {
                Output::Disk(handle, request) => {
                    if let Some(answer) = disk.carry_out(handle, request) {
                        transfers.answer(handle, answer);
                    }
                }
                Output::Message(_, message) => is_told |= matches!(message, FileMessage::Done(..)),
                _ => {}
            }
        }
    }
    assert!(is_told);
}

#[test]
fn peers_that_send_nothing_keep_nobody_waiting() {
    let mut transfers = Transfers::new(0);
    for peer in 0..3 {
        transfers.message(NOW, key(peer), offer(7, 1 << 20));
        accept(&mut transfers);
    }
    let mut opened = requests(&mut transfers);
    assert_eq!(opened.len(), 2);
    for (handle, _) in &opened {
        transfers.answer(*handle, Answer::Part(0, hash(b"")));
    }
    transfers.timeout(NOW);
    transfers.piece(key(0), FileId(7), 0, &[0; 1000]);
    outputs(&mut transfers);
    transfers.timeout(NOW + HALF_A_MINUTE);
    opened.extend(requests(&mut transfers));
    assert_eq!(opened.len(), 3);
    assert!(matches!(opened[2].1, Request::OpenPart(_)));
    // The first one may still go on.
    transfers.piece(key(0), FileId(7), 1000, &vec![0; BLOCK]);
    let written = requests(&mut transfers);
    assert!(matches!(&written[..], [(_, Request::Write(bytes))] if bytes.len() == BLOCK + 1000));
    assert!(transfers.list().all(|status| status.way == Way::Receiving));
}

#[test]
fn messages_to_one_peer_leave_room_for_others() {
    let mut transfers = Transfers::new(0);
    for id in 0..400 {
        let word = FileMessage::Cancel(FileId(id), Reason::Forgotten);
        transfers.undelivered(NOW, key(0), word);
    }
    let word = FileMessage::Cancel(FileId(1), Reason::Forgotten);
    transfers.undelivered(NOW, key(1), word.clone());
    transfers.timeout(NOW * 2);
    let said = messages(&mut transfers);
    assert_eq!((said.len(), said.last()), (33, Some(&word)));
}
