//! The rendezvous: only requests of their token are answered, no reply is longer than its request, and no address is lost.

use chat_noise::rendezvous::{REPLY_LEN, REQUEST_LEN, REQUEST_MAX, Reply, Request, request};
use chat_proto::datagram::{ADDRESS_LEN, decode_address, encode_address};
use chat_proto::opaque::{Opaque, Token};
use std::net::SocketAddr;

const TOKEN: Token = Opaque([7; 16]);

/// The source address of a datagram, then the datagram.
pub(crate) fn target(input: &[u8]) {
    let Some((address, datagram)) = input.split_first_chunk::<ADDRESS_LEN>() else {
        return;
    };
    let source = decode_address(address);
    assert_eq!(decode_address(&encode_address(source)), source);
    // Nobody who lacks the token makes the MAC of a request or a reply.
    assert!(Request::parse(datagram).is_none_or(|request| !request.is_of(&TOKEN)));
    assert_eq!(Reply::parse(&TOKEN, datagram), None);
    exchange(source, datagram);
}

/// One exchange in which the bytes choose count and length, then where one datagram is altered.
fn exchange(source: SocketAddr, bytes: &[u8]) {
    let [count, length, place, change, ..] = *bytes else {
        return;
    };
    let length = (REQUEST_LEN + 6 * usize::from(length)).min(REQUEST_MAX);
    let asked = request(&TOKEN, count.into(), length);
    let nonce = Opaque([9; 16]);
    let parsed = Request::parse(&asked).expect("a request reads back");
    assert!(parsed.is_of(&TOKEN));
    assert_eq!(parsed.id, [7; 4]);
    let reply = parsed.reply(&TOKEN, source, nonce);
    let expected = if length == REQUEST_LEN { REPLY_LEN } else { length };
    assert_eq!(reply.len(), expected, "reply to a request of {length} bytes");
    assert_eq!(Request::parse(&reply), None, "a reply is also a request");
    let read = Reply::parse(&TOKEN, &reply).expect("a reply reads back");
    assert_eq!(
        (read.count, read.nonce, read.observed),
        (count.into(), nonce, source)
    );
    if change != 0 {
        let altered = |mut datagram: Vec<u8>| {
            let place = usize::from(place) * datagram.len() / 256;
            datagram
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|byte| *byte ^= change);
            datagram
        };
        let asked = altered(asked);
        assert!(Request::parse(&asked).is_none_or(|request| !request.is_of(&TOKEN)));
        assert_eq!(Reply::parse(&TOKEN, &altered(reply)), None);
    }
}
