//! The server's part in the rendezvous: clients learn here which address the rest of the world sees them at. No message
//! passes through it.

use crate::member::{Client, Member};
use crate::rate::Rate;
use crate::roster::Roster;
use chat_noise::rendezvous::Request;
use chat_proto::id::canonical;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// Requests a second answered to one client. It sends one in 20 seconds, and a few when its address changes.
const CLIENT_REQUESTS: (NonZeroU32, u32) = (NonZeroU32::MIN, 8);

/// The same for a probe, which measures the path with them.
const PROBE_REQUESTS: (NonZeroU32, u32) = (NonZeroU32::MIN.saturating_add(9), 64);

/// The reply to a datagram from this source. There is none unless the token of a connection made the datagram, within
/// the rate limit.
pub(super) fn reply(
    roster: &mut Roster,
    tokens: &mut dyn FnMut() -> Token,
    now: Now,
    source: SocketAddr,
    datagram: &[u8],
) -> Option<Vec<u8>> {
    let request = Request::parse(datagram)?;
    let (slot, token) = roster.with_rendezvous(&request)?;
    let member = roster.get_mut(slot)?;
    let source = canonical(source);
    // A long reply goes only to the address of a probe's connection: the source of a datagram is easily forged, and that
    // of a connection is not.
    let is_own_address = source.ip() == member.id().address().ip();
    let (usage, (per_second, burst), may_be_padded) = match member.client.as_deref_mut()? {
        Client::Rich(rich) => {
            let progress = rich.progress.get_or_insert_default();
            // Whoever sends an old request again from elsewhere would replace the nonce that the client is about to confirm.
            if request.count <= progress.count {
                return None;
            }
            (&mut progress.usage, CLIENT_REQUESTS, false)
        }
        Client::Probe(probe) => (&mut probe.usage, PROBE_REQUESTS, is_own_address),
    };
    if request.is_padded() && !may_be_padded || !usage.try_count(Rate::new(per_second, burst), now.monotonic)
    {
        return None;
    }
    let nonce = tokens();
    if let Some(Client::Rich(rich)) = member.client.as_deref_mut() {
        let progress = rich.progress.get_or_insert_default();
        (progress.count, progress.offered) = (request.count, Some((nonce, source)));
    }
    Some(request.reply(&token, source, nonce))
}

/// A client confirms a nonce, which proves that it receives what is sent to that address. Returns the address if it is
/// another one than before.
pub(super) fn confirm(member: &mut Member, nonce: Token) -> Option<SocketAddr> {
    let Client::Rich(rich) = member.client.as_deref_mut()? else {
        return None;
    };
    let offered = &mut rich.progress.as_mut()?.offered;
    let (_, address) = offered.take_if(|offer| offer.0 == nonce)?;
    (rich.udp.replace(address.into()) != Some(address.into())).then_some(address)
}
