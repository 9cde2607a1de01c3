//! The rendezvous: only exact requests are answered, and no reply is longer than its request.

use chat_proto::id::canonical;
use chat_proto::opaque::Opaque;
use chat_proto::rendezvous::{
    ADDRESS_LEN, MARK, REPLY, REPLY_LEN, REQUEST, REQUEST_LEN, REQUEST_MAX, Reply, Request, answer,
    decode_address, encode_address,
};
use std::net::SocketAddr;

/// The source address of a datagram, then the datagram.
pub(crate) fn target(input: &[u8]) {
    let Some((address, datagram)) = input.split_first_chunk::<ADDRESS_LEN>() else {
        return;
    };
    let source = decode_address(address);
    assert_eq!(decode_address(&encode_address(source)), source);
    request(source, datagram);
    reply(datagram);
}

fn request(source: SocketAddr, datagram: &[u8]) {
    let nonce = Opaque([9; 16]);
    let reply = answer(datagram, source, nonce);
    let may_be_one = (REQUEST_LEN..=REQUEST_MAX).contains(&datagram.len());
    let is_one = may_be_one && datagram.starts_with(&[MARK, REQUEST]);
    let request = Request::parse(datagram);
    assert_eq!(request.is_some(), is_one);
    assert_eq!(reply.is_some(), is_one);
    let (Some(request), Some(reply)) = (request, reply) else {
        return;
    };
    let length = if datagram.len() == REQUEST_LEN {
        REPLY_LEN
    } else {
        datagram.len()
    };
    assert_eq!(
        reply.len(),
        length,
        "reply to a request of {} bytes",
        datagram.len()
    );
    assert_eq!(Request::parse(&request.to_bytes()), Some(request));
    let read = Reply::parse(&reply).expect("a reply reads back");
    assert_eq!((read.echo, read.nonce), (request.nonce, nonce));
    assert_eq!(read.observed, canonical(source));
    assert_eq!(Request::parse(&reply), None, "a reply is also a request");
}

fn reply(datagram: &[u8]) {
    let reply = Reply::parse(datagram);
    let padded = (REQUEST_LEN + 1..=REQUEST_MAX).contains(&datagram.len());
    assert_eq!(
        reply.is_some(),
        (datagram.len() == REPLY_LEN || padded) && datagram.starts_with(&[MARK, REPLY])
    );
    if let Some(reply) = reply {
        assert_eq!(Reply::parse(&reply.to_bytes()), Some(reply));
    }
}
