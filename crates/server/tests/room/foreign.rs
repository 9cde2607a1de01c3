//! Connections of other protocols are never announced.

use crate::sim::{Sim, limits, ms};
use chat_server::event::{Departure, Event, Refusal};

/// The first bytes of programs that are no chat clients.
fn others() -> Vec<Vec<u8>> {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(6000));
    [
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n/nick admin\nroom closes at noon\n".as_slice(),
        b"GET http://example.org/ HTTP/1.1\r\n\r\n",
        b"GET / \r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"PROPFIND /x HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS sip:nm SIP/2.0\r\n\r\n",
        b"DESCRIBE rtsp://x/ RTSP/1.0\r\n\r\n",
        b"SET_PARAMETER rtsp://x/ RTSP/1.0\r\n\r\n",
        b"M-SEARCH * HTTP/1.1\r\n\r\n",
        b"EHLO\r\n",
        b"PASS x\r\nNICK a\r\n",
        long.as_bytes(),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"EHLO x\r\n",
        b"HELO x\r\nMAIL FROM:<a@b>\r\n",
        b"NICK bot\r\nUSER bot 0 * :bot\r\n",
        b"CAP LS 302\r\n",
        b"USER bot 0 * :a bot\r\n",
        b"USER anonymous\r\n",
        b"<?xml version='1.0'?><stream:stream>",
        b"*1\r\n$4\r\nINFO\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$14\r\n\n/nick admin\nhi\r\n",
        b"RFB 003.008\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        b"PROXY UNKNOWN\r\nhello\n",
        // TLS, RDP, STUN with a chosen line in its user name, SMB, SOCKS, SSLv2, MQTT, LDAP, BitTorrent.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        b"\x00\x01\x00\x2c\x21\x12\xa4\x42............\x00\x06\x00\x20\nhello everybody\n",
        b"\x00\x00\x00\x54\xffSMBr",
        b"\x04\x01\x00\x50",
        b"\x80\x2e\x01\x00\x02",
        b"\x10\x0c\x00\x04MQTT",
        b"\x30\x0c\x02\x01\x01",
        b"\x13BitTorrent protocol",
        // Behind what telnet clients send.
        b"\xff\xfb\x1f\xff\xfd\x03GET / HTTP/1.1\r\n\r\n",
        b"\xffGET / HTTP/1.1\r\n\r\n",
        b"\xff\xfa\x1f\0\x50\0\x18\xff\xf0\x16\x03\x01\x02\n",
    ]
    .map(<[u8]>::to_vec)
    .into()
}

#[test]
fn other_protocols_are_rejected_and_never_announced() {
    for bytes in others() {
        // At once, and as slow links cut it.
        for piece in [bytes.len(), 3] {
            let mut sim = Sim::new(limits());
            let witness = sim.plain("10.0.0.1:1001");
            let other = sim.connect("10.0.0.2:1001");
            for piece in bytes.chunks(piece) {
                sim.send_bytes(other, piece);
                sim.run(ms(0));
            }
            sim.run(ms(5000));
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(sim.news(witness), [""; 0], "{shown:?}");
            assert!(sim.is_closed(other), "{shown:?}");
            let (peer, why) = ("10.0.0.2:1001".parse().unwrap(), Refusal::Foreign);
            assert_eq!(sim.events[1..], [Event::Refuse { peer, why }], "{shown:?}");
        }
    }
}

#[test]
fn a_late_first_line_of_another_protocol_is_not_broadcast() {
    for bytes in others() {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.1:1001");
        let other = sim.plain("10.0.0.2:1001");
        sim.news(witness);
        sim.send_bytes(other, &bytes);
        sim.run(ms(5000));
        assert_eq!(sim.news(witness), ["10.0.0.2:1001 is offline"]);
        assert_eq!(sim.departure("10.0.0.2:1001"), Some(Departure::Foreign));
    }
}

#[test]
fn first_words_of_people_are_messages() {
    for text in [
        "GET me a doc on HTTP/2",
        "OK",
        "I /think so",
        "SSH is down",
        "ssh-2.0",
        "hello",
        "NO HTTP/1.1 here please",
        "<- look",
        "* waves",
        "grüße",
        "GET well soon",
        "GET https://example.org/ everybody",
        "POST office is closed",
        "I LIKE HTTP/2",
        "SSH-ing again",
        "CAPS LOCK",
        "PROXY TCP?",
        "*5",
        "<?xml is ugly",
    ] {
        for end in ["", "\n", "\r\n"] {
            let mut sim = Sim::new(limits());
            let witness = sim.plain("10.0.0.1:1001");
            let person = sim.connect("10.0.0.2:1001");
            sim.send(person, &format!("{text}{end}"));
            sim.run(ms(1000));
            let said = format!("from 10.0.0.2:1001: {text}");
            assert_eq!(sim.news(witness), ["10.0.0.2:1001 is online", &said]);
        }
    }
}

#[test]
fn words_of_other_protocols_need_their_line_ends_and_number() {
    let with_lf = ["", "\n"].map(|end| ("HELO everybody", end));
    let texts = [
        "USER manual?",
        "USER manual, where is it?",
        "USER",
        "NICK is late",
        "NICK!",
        "PASS the salt",
        "HELO dear all",
        "CAP it",
    ];
    let with_any = texts.map(|text| ["", "\n", "\r\n"].map(|end| (text, end)));
    for (text, end) in with_any.into_iter().flatten().chain(with_lf) {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.1:1001");
        let person = sim.connect("10.0.0.2:1001");
        sim.send(person, &format!("{text}{end}"));
        sim.run(ms(1000));
        let said = format!("from 10.0.0.2:1001: {text}");
        assert_eq!(sim.news(witness), ["10.0.0.2:1001 is online", &said], "{end:?}");
    }
}

/// A proxy of the PROXY protocol, version 2, sends this in one piece before what its user says.
#[test]
fn empty_lines_hide_no_other_protocol() {
    let proxy = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x02hello\n".as_slice();
    for bytes in [proxy, b"\r\nPOST / HTTP/1.1\r\n\r\nhello\n"] {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.1:1001");
        let other = sim.connect("10.0.0.2:1001");
        sim.send_bytes(other, bytes);
        sim.run(ms(5000));
        assert_eq!(sim.news(witness), [""; 0]);
    }
}

/// Only the first line says what speaks.
#[test]
fn later_lines_of_any_shape_are_messages() {
    let mut sim = Sim::new(limits());
    let (witness, person) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(witness);
    sim.send(person, "look:\nGET / HTTP/1.1\nEHLO x\n");
    sim.run(ms(0));
    assert_eq!(sim.news(witness).len(), 3);
}
