//! Two clients in one process, with real disks and nothing between them.

use super::world::{key, noise};
use crate::files::disk::Disk;
use crate::files::transfers::{CREDIT, Number, Output, Transfers, What};
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

struct Client {
    transfers: Transfers,
    disk: Disk,
    kept: bool,
}

/// Carries out what both want, until nothing happens. What is sent arrives at once, in order.
fn exchange(clients: &mut [Client; 2], room: &mut u64) {
    let now = Duration::ZERO;
    let mut messages = VecDeque::new();
    for side in [0, 1] {
        let client = &mut clients[side];
        while let Some((handle, answer)) = client.disk.next_answer() {
            client.transfers.answer(handle, answer);
        }
        while let Some(output) = client.transfers.poll_output() {
            match output {
                Output::Message(_, message) => messages.push_back((1 - side, message)),
                Output::Disk(handle, request) => client.disk.ask(handle, request),
                Output::Consumed(_, bytes) => *room += bytes,
                Output::Event(event) => match event.what {
                    What::Kept => client.kept = true,
                    What::Failed(..) => panic!("{event:?}"),
                    _ => {}
                },
            }
        }
    }
    for (side, message) in messages {
        clients[side].transfers.message(now, key(1 - side), message);
    }
    let [sender, receiver] = clients;
    while let Some((piece, bytes)) =
        sender
            .transfers
            .next_piece(&key(1), 1113.min(usize::try_from(*room).unwrap()), u64::MAX)
    {
        *room -= bytes.len() as u64;
        receiver.transfers.piece(key(0), piece.id, piece.offset, bytes);
        sender.transfers.acknowledged(&piece);
    }
}

#[test]
fn a_file_goes_from_disk_to_disk() {
    let directory = std::env::temp_dir().join(format!("chat-files-real-{}", std::process::id()));
    fs::create_dir_all(directory.join("there")).unwrap();
    let size = 60_000_000;
    let bytes = noise(size);
    let source = directory.join("a file.bin");
    fs::write(&source, &bytes).unwrap();
    let mut clients = [0, 1].map(|first| Client {
        transfers: Transfers::new(first),
        disk: Disk::start(None).unwrap(),
        kept: false,
    });
    let mut room = CREDIT;
    clients[0]
        .transfers
        .offer(Duration::ZERO, key(1), Path::new(&source))
        .unwrap();
    let began = Instant::now();
    while clients[1].transfers.list().count() == 0 {
        exchange(&mut clients, &mut room);
    }
    clients[1]
        .transfers
        .accept(Number(1), directory.join("there"), None)
        .unwrap();
    while !(clients[0].kept && clients[1].kept) {
        assert!(began.elapsed() < Duration::from_secs(60));
        exchange(&mut clients, &mut room);
    }
    println!("{:.0} MB/s", size as f64 / 1e6 / began.elapsed().as_secs_f64());
    assert_eq!(room, CREDIT);
    assert!(fs::read(directory.join("there/a file.bin")).unwrap() == bytes);
    fs::remove_dir_all(&directory).unwrap();
}
