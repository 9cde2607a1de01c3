//! The list of rooms: what it shows, and what its keys choose.

use super::super::room_list::{Choice, RoomList};
use super::*;
use crate::rooms::found::{Found, KeyState};
use chat_discovery::browser::Room;
use chat_discovery::message::{About, Label};

fn room(name: &str, address: &str) -> Found {
    let address: std::net::SocketAddr = address.parse().unwrap();
    Found {
        room: Room {
            name: Label::new(name).unwrap(),
            addresses: vec![address],
            about: About::default(),
        },
        address: address.to_string().parse().unwrap(),
        key: KeyState::New,
    }
}

fn three() -> Vec<Found> {
    let mut rooms = vec![
        room("Lab 3", "192.0.2.7:9000"),
        room("李雷的房间", "[fe80::7:1234:5678:9abc]:9000"),
        room("A very long name of a room in the west wing", "192.0.2.77:9001"),
    ];
    rooms[0].room.about.has_passphrase = true;
    rooms[0].key = KeyState::Known;
    rooms[1].room.about.is_sealed = true;
    rooms[2].key = KeyState::Changed;
    rooms
}

fn list(columns: usize, rows: usize, found: Vec<Found>) -> RoomList {
    let mut list = RoomList::new(Size { columns, rows });
    list.update(found);
    list
}

fn press(list: &mut RoomList, bytes: &str) -> Option<Choice> {
    let mut decoder = Decoder::default();
    let mut choice = None;
    for byte in bytes.bytes() {
        choice = list.handle(decoder.feed(&[byte], Now::default())).or(choice);
    }
    let later = Now {
        monotonic: Duration::from_secs(1),
        ..Now::default()
    };
    list.handle(decoder.time_out(later)).or(choice)
}

/// The name of the room that these keys join.
fn joined(list: &mut RoomList, bytes: &str) -> Option<String> {
    match press(list, bytes)? {
        Choice::Join(found) => Some(found.room.name.to_string()),
        other => panic!("{other:?}"),
    }
}

fn drawn(list: &mut RoomList) -> Vec<String> {
    let size = list.size;
    let frame = list.frame();
    assert_eq!(frame.rows.len(), size.rows);
    for row in &frame.rows {
        assert!(
            row.width() <= size.columns,
            "wider than {}: {row:?}",
            size.columns
        );
    }
    let mut rows: Vec<String> = frame.rows.iter().map(text_of).collect();
    if let Some((column, row)) = frame.cursor {
        assert!(column < size.columns && row < size.rows);
        rows[row] = with_cursor(&rows[row], column);
    }
    rows.iter().map(|row| row.trim_end().to_owned()).collect()
}

#[track_caller]
fn shows(list: &mut RoomList, drawing: &str) {
    let rows = drawing
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('|'));
    let expected: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    let drawn = drawn(list);
    assert!(
        drawn == expected,
        "expected:\n{}\n\nshown:\n{}\n",
        boxed(&expected),
        boxed(&drawn)
    );
}

#[test]
fn without_rooms_the_list_says_what_to_do() {
    let mut list = list(80, 8, vec![]);
    shows(
        &mut list,
        "|Looking for rooms on this network ...
         |
         |
         |
         |
         |
         | rooms on this network                                                 no rooms
         |q: leave █",
    );
    list.waited();
    shows(
        &mut list,
        "|No room on this network has answered. The client goes on looking.
         |
         |chat-client HOST [PORT]  joins a server that you know
         |chat-client --doctor     says why no room may be found
         |chat-server 0.0.0.0      opens a room on this machine
         |
         | rooms on this network                                                 no rooms
         |q: leave █",
    );
    list.size = Size {
        columns: 40,
        rows: 10,
    };
    shows(
        &mut list,
        "|No room on this network has answered.
         |  The client goes on looking.
         |
         |chat-client HOST [PORT]  joins a server
         |  that you know
         |chat-client --doctor     says why no
         |  room may be found
         |chat-server 0.0.0.0      opens a room on
         | rooms on this network         no rooms
         |q: leave █",
    );
}

#[test]
fn each_room_has_a_row() {
    let mut list = list(80, 6, three());
    shows(
        &mut list,
        "|> 1  Lab 3                     192.0.2.7:9000              passphrase, known key
         |  2  李雷的房间                [fe80::7:1234:5678:9abc]:~  sealed
         |  3  A very long name of a r~  192.0.2.77:9001             KEY CHANGED
         |
         | rooms on this network                                                  3 rooms
         |a number: join  Up, Down: select  Enter: join  q: leave █",
    );
    list.size = Size { columns: 40, rows: 6 };
    press(&mut list, "\x1b[B");
    shows(
        &mut list,
        "|  1  Lab 3         passphrase, known key
         |> 2  李雷的房间    sealed
         |  3  A very long~  KEY CHANGED
         |
         | [fe80::7:1234:5678:9abc]:9000  3 rooms
         |Up, Down, Enter: join  q: leave █",
    );
}

#[test]
fn one_room_is_joined_with_enter() {
    let mut list = list(80, 4, three()[..1].to_vec());
    shows(
        &mut list,
        "|> 1  Lab 3  192.0.2.7:9000  passphrase, known key
         |
         | rooms on this network                                                   1 room
         |Enter: join  q: leave █",
    );
    assert_eq!(joined(&mut list, "\r").as_deref(), Some("Lab 3"));
    assert_eq!(
        press(&mut list, "\x1b[200~1\r\x1b[201~"),
        None,
        "a paste chooses nothing"
    );
}

#[test]
fn numbers_and_arrows_choose() {
    let mut list = list(80, 6, three());
    assert_eq!(joined(&mut list, "2").as_deref(), Some("李雷的房间"));
    assert_eq!(
        joined(&mut list, "\x1b[B\r").as_deref(),
        Some("A very long name of a room in the west wing")
    );
    assert_eq!(
        joined(&mut list, "\x1b[A\x1b[A\x1b[A\r").as_deref(),
        Some("Lab 3")
    );
    assert_eq!(press(&mut list, "4"), None);
    assert_eq!(
        drawn(&mut list)[5],
        "there is no room 4; choose another one, or q to leave █"
    );
    for (keys, choice) in [
        ("q", Choice::Leave),
        ("\x1b", Choice::Leave),
        ("\x04", Choice::Leave),
        ("\x03", Choice::Interrupt),
        ("\x1a", Choice::Suspend),
        ("\x0c", Choice::Redraw),
    ] {
        assert_eq!(press(&mut list, keys), Some(choice), "{keys:?}");
    }
    assert_eq!(press(&mut list, "xQ \t"), None);
}

#[test]
fn of_many_rooms_some_numbers_have_two_digits() {
    let room = |number| room(&format!("Room {number}"), &format!("10.0.0.{number}:9000"));
    let mut list = list(40, 6, (1..=64).map(room).collect());
    assert_eq!(
        joined(&mut list, "7").as_deref(),
        Some("Room 7"),
        "no number begins alike"
    );
    assert_eq!(press(&mut list, "6"), None);
    shows(
        &mut list,
        "|   3  Room 3
         |   4  Room 4
         |   5  Room 5
         |>  6  Room 6
         | 10.0.0.6:9000                 64 rooms
         |join room 6█",
    );
    assert_eq!(joined(&mut list, "3").as_deref(), Some("Room 63"));
    assert_eq!(joined(&mut list, "1\r").as_deref(), Some("Room 1"));
    assert_eq!(press(&mut list, "1\x7f"), None);
    press(&mut list, "\x1b[F");
    assert_eq!(drawn(&mut list)[3], "> 64  Room 64");
    press(&mut list, "\x1b[5~");
    assert_eq!(drawn(&mut list)[0], "> 60  Room 60");
    press(&mut list, "\x1b[H");
    assert_eq!(drawn(&mut list)[0], ">  1  Room 1");
}

#[test]
fn a_full_list_says_so() {
    let mut list = list(80, 4, three()[..1].to_vec());
    list.is_full = true;
    shows(
        &mut list,
        "|> 1  Lab 3  192.0.2.7:9000  passphrase, known key
         |
         | rooms on this network                                        1 room, list full
         |Enter: join  q: leave █",
    );
}

#[test]
fn on_a_narrow_screen_the_address_and_the_count_are_apart() {
    let room = |number| room(&format!("Room {number}"), &format!("10.0.0.{number}:9000"));
    let mut list = list(20, 3, (1..=64).map(room).collect());
    assert_eq!(drawn(&mut list)[1], " 10.0.0.1:9000 64 r~");
}

#[test]
fn a_room_that_is_gone_keeps_its_number_and_is_not_joined() {
    let mut list = list(80, 6, three());
    list.update(three()[1..].to_vec());
    let row = drawn(&mut list).remove(0);
    assert!(row.starts_with("> 1  Lab 3 ") && row.ends_with(" gone"), "{row}");
    assert_eq!(press(&mut list, "\r"), None);
    assert_eq!(
        drawn(&mut list)[5],
        "Lab 3 is gone; choose another one, or q to leave █"
    );
    assert_eq!(press(&mut list, "1"), None);
    assert_eq!(joined(&mut list, "2").as_deref(), Some("李雷的房间"));
    let mut other = three();
    other[0].room.about.fingerprint = Some(chat_proto::opaque::Opaque([7; 16]));
    list.update(other);
    assert_eq!(press(&mut list, "1"), None, "another key is another room");
    list.update(three());
    assert_eq!(joined(&mut list, "1").as_deref(), Some("Lab 3"));
}

#[test]
fn the_list_is_bounded_although_rooms_come_and_go() {
    let mut list = list(80, 24, three());
    for number in 0..200 {
        list.update(vec![room(&format!("Room {number}"), "10.0.0.1:9000")]);
        let rows = drawn(&mut list);
        assert!(rows[22].ends_with("1 room"), "{rows:?}");
    }
    press(&mut list, "\x1b[F");
    assert!(drawn(&mut list)[21].contains("203  Room 199"));
}
