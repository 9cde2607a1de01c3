use super::disk::hash;
use super::world::{Troubles, World, key, noise};
use crate::files::message::{FileId, FileMessage, Offer, Reason};
use crate::files::name::FileName;
use crate::files::request::{Answer, Handle, Part, Request};
use crate::files::transfers::{Number, Output, Refusal, State, Status, Transfers, Way, What};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CALM: Troubles = Troubles {
    loss: 0,
    copies: 0,
    lost_messages: 0,
};
pub(super) const NOW: Duration = Duration::from_secs(1);

pub(super) fn outputs(transfers: &mut Transfers) -> Vec<Output> {
    std::iter::from_fn(|| transfers.poll_output()).collect()
}

pub(super) fn messages(transfers: &mut Transfers) -> Vec<FileMessage> {
    let messages = outputs(transfers).into_iter().filter_map(|output| match output {
        Output::Message(_, message) => Some(message),
        _ => None,
    });
    messages.collect()
}

pub(super) fn requests(transfers: &mut Transfers) -> Vec<(Handle, Request)> {
    let requests = outputs(transfers).into_iter().filter_map(|output| match output {
        Output::Disk(handle, request) => Some((handle, request)),
        _ => None,
    });
    requests.collect()
}

pub(super) fn offer(id: u32, size: u64) -> FileMessage {
    let name = FileName::new(format!("file-{id}").as_bytes());
    FileMessage::Offer(Offer {
        id: FileId(id),
        size,
        modified: 5,
        name,
    })
}

/// A client that receives a file of 100 bytes, of which it has none; and the handle of the part.
fn receiver() -> (Transfers, Handle) {
    let mut transfers = Transfers::new(0);
    transfers.message(NOW, key(0), offer(7, 100));
    assert_eq!(
        requests(&mut transfers),
        [],
        "nothing is asked before it is accepted"
    );
    transfers.accept(Number(1), PathBuf::from("/d"), None).unwrap();
    let part = Part {
        directory: PathBuf::from("/d"),
        name: FileName::new(b"file-7"),
        size: 100,
        modified: 5,
    };
    let requests = requests(&mut transfers);
    assert_eq!(
        requests.iter().map(|(_, request)| request).collect::<Vec<_>>(),
        [&Request::OpenPart(part)]
    );
    transfers.answer(requests[0].0, Answer::Part(0, hash(b"")));
    assert_eq!(messages(&mut transfers), [FileMessage::Accept(FileId(7), 0)]);
    (transfers, requests[0].0)
}

/// A world in which side 0 has this file, and has offered it; side 1 accepts.
fn accepted(bytes: &[u8]) -> World {
    let mut world = World::new(1, CALM);
    world.sides[0]
        .disk
        .sources
        .insert(PathBuf::from("a.bin"), (bytes.to_vec(), 1));
    world.offer(0, "a.bin");
    world.run_for(Duration::from_millis(100));
    accept(&mut world);
    world
}

fn accept(world: &mut World) {
    let offered = |status: &Status| status.way == Way::Receiving && status.state == State::Offered;
    let number = world.sides[1].transfers.list().find(offered).unwrap().number;
    world.sides[1]
        .transfers
        .accept(number, PathBuf::from("/d"), None)
        .unwrap();
    world.settle();
}

#[test]
fn a_peer_has_four_open_offers_and_all_have_32() {
    let mut transfers = Transfers::new(0);
    for id in 0..5 {
        transfers.message(NOW, key(0), offer(id, 1));
    }
    assert_eq!(
        messages(&mut transfers),
        [FileMessage::Decline(FileId(4), Reason::TooMany)]
    );
    for peer in 1..9 {
        for id in 0..4 {
            transfers.message(NOW, key(peer), offer(id, 1));
        }
    }
    assert_eq!(transfers.list().count(), 32);
    assert_eq!(messages(&mut transfers).len(), 4);

    let mut transfers = Transfers::new(0);
    for _ in 0..4 {
        transfers.offer(NOW, key(0), Path::new("a")).unwrap();
    }
    assert_eq!(
        transfers.offer(NOW, key(0), Path::new("a")),
        Err(Refusal::TooManyOfPeer)
    );
    for peer in 4..32 {
        transfers.offer(NOW, key(peer / 4), Path::new("a")).unwrap();
    }
    assert_eq!(
        transfers.offer(NOW, key(9), Path::new("a")),
        Err(Refusal::TooMany)
    );
}

#[test]
fn an_offer_without_an_answer_is_over_after_10_minutes() {
    let mut world = World::new(1, CALM);
    world.sides[0]
        .disk
        .sources
        .insert(PathBuf::from("a.bin"), (vec![1], 1));
    world.offer(0, "a.bin");
    world.run_for(Duration::from_secs(599));
    assert_eq!(world.sides[1].transfers.list().count(), 1);
    world.run_for(Duration::from_secs(2));
    for side in [0, 1] {
        assert_eq!(world.sides[side].transfers.list().count(), 0);
        let last = world.events_of(side, "a.bin").pop().unwrap();
        assert_eq!(*last, What::Failed(Reason::Expired, None));
    }
}

#[test]
fn two_files_are_sent_at_a_time_and_others_wait() {
    let mut world = World::new(1, CALM);
    for name in ["a.bin", "b.bin", "c.bin", "d.bin"] {
        world.sides[0]
            .disk
            .sources
            .insert(PathBuf::from(name), (noise(3_000_000), 1));
        world.offer(0, name);
        world.run_for(Duration::from_millis(100));
    }
    for _ in 0..4 {
        accept(&mut world);
    }
    world.run_for(Duration::from_millis(150));
    for side in [0, 1] {
        let states = world.sides[side].transfers.list().map(|status| status.state);
        let states: Vec<State> = states.collect();
        assert_eq!(
            states,
            [State::Moving, State::Moving, State::Waiting, State::Waiting],
            "{side}"
        );
    }
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.sides[1].disk.files.len(), 4);
}

/// Transfers of which one is looked at, and about to be offered under this number.
fn sender(id: u32) -> Transfers {
    let mut transfers = Transfers::new(id);
    transfers.offer(NOW, key(1), Path::new("a")).unwrap();
    let (handle, _) = requests(&mut transfers)[0];
    transfers.answer(
        handle,
        Answer::Source {
            size: 1,
            modified: 1,
            name: FileName::new(b"a"),
        },
    );
    transfers
}

#[test]
fn a_file_that_waits_for_its_turn_does_not_expire() {
    let mut transfers = sender(0);
    assert!(matches!(messages(&mut transfers)[..], [FileMessage::Offer(_)]));
    transfers.message(NOW, key(1), FileMessage::Queued(FileId(0)));
    assert_eq!(transfers.deadline(), None);
    transfers.timeout(NOW * 1000);
    assert_eq!(
        transfers.list().map(|status| status.state).collect::<Vec<_>>(),
        [State::Waiting]
    );
}

#[test]
fn a_receiver_that_waits_again_is_sent_nothing() {
    let mut world = accepted(&noise(3_000_000));
    world.run_for(Duration::from_millis(200));
    let transfers = &mut world.sides[0].transfers;
    let id = transfers.next_piece(&key(1), 1, u64::MAX).unwrap().0.id;
    transfers.message(NOW, key(1), FileMessage::Queued(id));
    assert!(matches!(requests(transfers)[..], [.., (_, Request::Close)]));
    assert_eq!(transfers.next_piece(&key(1), 1, u64::MAX), None);
}

#[test]
fn an_offer_is_accepted_once() {
    let (mut transfers, _) = receiver();
    let directory = PathBuf::from("/d");
    assert_eq!(
        transfers.accept(Number(1), directory.clone(), None),
        Err(Refusal::NotOffered)
    );
    assert_eq!(
        transfers.accept(Number(2), directory, None),
        Err(Refusal::Unknown)
    );
    assert_eq!(transfers.end(Number(2), Reason::User), Err(Refusal::Unknown));
    assert_eq!(outputs(&mut transfers), []);
}

#[test]
fn more_bytes_than_offered_end_the_transfer() {
    for (offset, length) in [(100, 1), (50, 51), (u64::MAX, 2)] {
        let (mut transfers, handle) = receiver();
        transfers.piece(key(0), FileId(7), offset, &vec![0; length]);
        let outputs = outputs(&mut transfers);
        assert!(outputs.contains(&Output::Disk(handle, Request::Discard)));
        let decline = FileMessage::Decline(FileId(7), Reason::Broken);
        assert!(outputs.contains(&Output::Message(key(0), decline)));
        assert!(outputs.contains(&Output::Consumed(key(0), length as u64)));
        assert_eq!(transfers.list().count(), 0);
    }
}

#[test]
fn a_file_has_its_name_only_with_all_bytes_and_the_hash() {
    let (mut transfers, handle) = receiver();
    let finish = Request::Finish([1; 32], FileName::new(b"file-7"));
    transfers.message(NOW, key(0), FileMessage::Done(FileId(7), [1; 32]));
    transfers.piece(key(0), FileId(7), 0, &[1; 99]);
    assert_eq!(requests(&mut transfers), []);
    transfers.piece(key(0), FileId(7), 98, &[1; 2]);
    assert_eq!(
        requests(&mut transfers),
        [(handle, Request::Write(vec![1; 100])), (handle, finish)]
    );
    // It is too late for any of these.
    transfers.message(NOW, key(0), FileMessage::Done(FileId(7), [2; 32]));
    transfers.message(NOW, key(0), FileMessage::Cancel(FileId(7), Reason::User));
    transfers.piece(key(0), FileId(7), 1000, &[1; 2]);
    transfers.left(key(0));
    transfers.end(Number(1), Reason::User).unwrap();
    assert_eq!(requests(&mut transfers), []);
    transfers.answer(handle, Answer::Kept(FileName::new(b"file-7 (2)")));
    assert_eq!(messages(&mut transfers), [], "its sender is away");
    transfers.joined(key(0));
    assert_eq!(messages(&mut transfers), [FileMessage::Kept(FileId(7))]);
    transfers.message(NOW, key(0), offer(7, 100));
    assert_eq!(
        messages(&mut transfers),
        [FileMessage::Kept(FileId(7))],
        "it is not offered to the user again"
    );
}

#[test]
fn another_file_under_a_number_in_use_ends_both() {
    let (mut transfers, _) = receiver();
    transfers.message(NOW, key(0), offer(7, 200));
    assert_eq!(
        messages(&mut transfers),
        [FileMessage::Decline(FileId(7), Reason::Broken)]
    );
    assert_eq!(transfers.list().count(), 0);
}

#[test]
fn a_part_that_nobody_wants_any_more_is_removed() {
    let mut world = accepted(&noise(3_000_000));
    world.run_for(Duration::from_millis(300));
    world.leave(1, Duration::from_secs(5));
    world.run_for(Duration::from_secs(1));
    let paused: Vec<Status> = world.sides[1].transfers.list().collect();
    assert!(
        paused[0].state == State::Paused && paused[0].bytes > 0,
        "{paused:?}"
    );
    assert_eq!(world.sides[1].disk.parts.len(), 1);
    world.sides[1]
        .transfers
        .end(paused[0].number, Reason::User)
        .unwrap();
    world.settle();
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.sides[1].disk.parts.len(), 0);
    assert_eq!(
        world.events_of(0, "a.bin").pop(),
        Some(&What::Failed(Reason::User, None))
    );
}

#[test]
fn a_peer_that_begins_again_and_again_is_broken() {
    let (mut transfers, _) = receiver();
    for _ in 0..20 {
        transfers.message(NOW, key(0), offer(7, 100));
    }
    let decline = FileMessage::Decline(FileId(7), Reason::Broken);
    assert_eq!(messages(&mut transfers), vec![decline; 4]);

    let mut world = accepted(&noise(3_000_000));
    let id = world.sides[0].transfers.next_piece(&key(1), 1, u64::MAX);
    assert!(id.is_none());
    world.run_for(Duration::from_millis(200));
    let id = world.sides[0]
        .transfers
        .next_piece(&key(1), 1, u64::MAX)
        .unwrap()
        .0
        .id;
    for _ in 0..20 {
        world.sides[0]
            .transfers
            .message(NOW, key(1), FileMessage::Accept(id, 0));
    }
    world.settle();
    assert_eq!(
        world.events_of(0, "a.bin").pop(),
        Some(&What::Failed(Reason::Broken, None))
    );
}

#[test]
fn users_without_files_are_not_remembered() {
    let mut transfers = Transfers::new(0);
    for peer in 0..100 {
        transfers.left(key(peer));
    }
    assert!(!format!("{transfers:?}").contains("away: {0"), "{transfers:?}");
    transfers.message(NOW, key(0), offer(7, 100));
    transfers.left(key(0));
    assert!(format!("{transfers:?}").contains("away: {0"), "{transfers:?}");
}

#[test]
fn kept_counts_only_after_all_was_sent() {
    let mut transfers = sender(9);
    outputs(&mut transfers);
    transfers.message(NOW, key(1), FileMessage::Kept(FileId(9)));
    assert_eq!(
        messages(&mut transfers),
        [FileMessage::Cancel(FileId(9), Reason::Broken)]
    );
}

#[test]
fn a_message_that_was_not_delivered_is_said_again() {
    let (mut transfers, _) = receiver();
    let accept = FileMessage::Accept(FileId(7), 0);
    transfers.undelivered(NOW, key(0), accept.clone());
    assert_eq!(transfers.deadline(), Some(NOW * 2));
    transfers.timeout(NOW * 2);
    assert_eq!(messages(&mut transfers), std::slice::from_ref(&accept));
    transfers.undelivered(NOW, key(0), accept);
    transfers.piece(key(0), FileId(7), 0, &[0; 2]);
    transfers.timeout(NOW * 2);
    assert_eq!(messages(&mut transfers), [], "the sender has had it");
}

#[test]
fn a_word_about_an_unknown_file_is_said_again() {
    let mut transfers = Transfers::new(0);
    transfers.message(NOW, key(0), FileMessage::Accept(FileId(5), 0));
    transfers.message(NOW, key(0), FileMessage::Done(FileId(5), [0; 32]));
    let words = messages(&mut transfers);
    let (cancel, decline) = (
        FileMessage::Cancel(FileId(5), Reason::Forgotten),
        FileMessage::Decline(FileId(5), Reason::Forgotten),
    );
    assert_eq!(words, [cancel, decline]);
    for word in words.clone() {
        transfers.undelivered(NOW, key(0), word);
    }
    transfers.timeout(NOW * 2);
    assert_eq!(messages(&mut transfers), words);
}

#[test]
fn a_killed_receiver_goes_on_from_its_part() {
    let bytes = noise(9_000_000);
    let mut world = accepted(&bytes);
    world.run_for(Duration::from_millis(900));
    let sent = world.sides[0].furthest;
    assert!(sent > 2_500_000 && sent < 8_000_000, "{sent}");
    world.restart(1);
    world.run_for(Duration::from_secs(4));
    accept(&mut world);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.sides[1].disk.files["a.bin"], bytes);
    let begun = world
        .events_of(1, "a.bin")
        .into_iter()
        .filter_map(|what| match what {
            What::Begun(offset) => Some(*offset),
            _ => None,
        });
    let begun: Vec<u64> = begun.collect();
    assert!(begun[0] == 0 && begun[1] + (4 << 20) >= sent, "{begun:?} {sent}");
    assert_eq!(world.sides[1].disk.restarts, 0);
}

#[test]
fn a_part_of_another_file_is_not_continued() {
    let bytes = noise(200_000);
    let mut world = World::new(1, CALM);
    world.sides[1]
        .disk
        .parts
        .insert(".a.bin.200000.1.chat-part".to_owned(), vec![7; 1000]);
    world.sides[0]
        .disk
        .sources
        .insert(PathBuf::from("a.bin"), (bytes.clone(), 1));
    world.offer(0, "a.bin");
    world.run_for(Duration::from_millis(100));
    accept(&mut world);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.sides[1].disk.files["a.bin"], bytes);
    assert_eq!(world.sides[1].disk.restarts, 1);
}

#[test]
fn a_changed_source_is_told_to_both() {
    let mut world = accepted(&noise(3_000_000));
    world.run_for(Duration::from_millis(200));
    world.sides[0].disk.sources.get_mut(Path::new("a.bin")).unwrap().1 = 2;
    world.run_for(Duration::from_secs(10));
    for side in [0, 1] {
        let last = world.events_of(side, "a.bin").pop();
        assert!(
            matches!(last, Some(What::Failed(Reason::Changed, _))),
            "{side} {last:?}"
        );
    }
    assert!(world.sides[1].disk.files.is_empty() && world.sides[1].disk.parts.is_empty());
}

#[test]
fn a_full_disk_is_told_to_both_and_the_part_stays() {
    let mut world = accepted(&noise(3_000_000));
    world.run_for(Duration::from_millis(300));
    world.sides[1].disk.is_full = true;
    world.run_for(Duration::from_secs(10));
    for side in [0, 1] {
        let last = world.events_of(side, "a.bin").pop();
        assert!(
            matches!(last, Some(What::Failed(Reason::DiskFull, _))),
            "{side} {last:?}"
        );
    }
    assert!(world.sides[1].disk.files.is_empty() && !world.sides[1].disk.parts.is_empty());
}

#[test]
fn both_sides_send_the_same_name_at_once() {
    let mut world = World::new(1, CALM);
    for side in [0, 1] {
        let bytes = noise(100_000 + side);
        world.sides[side]
            .disk
            .sources
            .insert(PathBuf::from("a.bin"), (bytes, 1));
        world.offer(side, "a.bin");
    }
    world.run_for(Duration::from_millis(100));
    for side in [0, 1] {
        let offers: Vec<Status> = world.sides[side].transfers.list().collect();
        let offered = offers.iter().find(|status| status.way == Way::Receiving).unwrap();
        world.sides[side]
            .transfers
            .accept(offered.number, PathBuf::from("/d"), None)
            .unwrap();
    }
    world.settle();
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.sides[0].disk.files["a.bin"], noise(100_001));
    assert_eq!(world.sides[1].disk.files["a.bin"], noise(100_000));
}

#[test]
fn the_users_name_is_used() {
    let mut transfers = Transfers::new(0);
    transfers.message(NOW, key(0), offer(7, 0));
    transfers
        .accept(Number(1), PathBuf::from("/d"), Some(FileName::new(b"mine")))
        .unwrap();
    let (handle, _) = requests(&mut transfers)[0];
    transfers.answer(handle, Answer::Part(0, hash(b"")));
    transfers.message(NOW, key(0), FileMessage::Done(FileId(7), hash(b"")));
    let finish = Request::Finish(hash(b""), FileName::new(b"mine"));
    assert_eq!(requests(&mut transfers), [(handle, finish)]);
}
