//! Clients learn which address the rest of the world sees them at.

use crate::probe::ask;
use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::rendezvous::{REQUEST_LEN, Reply};
use chat_proto::opaque::{Opaque, Token};
use chat_proto::rich::FromServer;
use chat_server::door::Door;

const OUTSIDE: &str = "198.51.100.7:40000";

/// A client, and the token of its requests.
fn alice(sim: &mut Sim) -> (PeerNo, Token) {
    let alice = sim.connect("10.0.0.1:1001");
    sim.send(alice, "HELLO 1 alice 5000 -\n");
    sim.run(ms(0));
    let welcome = sim.news(alice).swap_remove(1);
    let Ok(FromServer::Welcome { rendezvous, .. }) = FromServer::parse(&welcome) else {
        panic!("{welcome:?}");
    };
    (alice, rendezvous)
}

/// The nonce that is sent to her outside address.
fn nonce(sim: &mut Sim, token: Token) -> Token {
    let reply = ask(sim, token, OUTSIDE, REQUEST_LEN).unwrap();
    Reply::parse(&token, &reply).unwrap().nonce
}

#[test]
fn a_confirmed_address_is_announced_once() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.2:1001"), sim.rich("10.0.0.3:1001", "rick"));
    let (alice, token) = alice(&mut sim);
    let sent = nonce(&mut sim, token);
    sim.run(ms(1000));
    sim.news(plain);
    sim.news(rich);
    let told = format!("ADDRESS {} alice@10.0.0.1:1001 {OUTSIDE}", sim.clock().unix_ms);
    // Only a nonce that was sent to her proves the address, and only once.
    for (nonce, news) in [(Opaque([0; 16]), None), (sent, Some(told)), (sent, None)] {
        sim.send(alice, &format!("CONFIRM {nonce}\n"));
        sim.run(ms(0));
        assert_eq!(sim.news(rich), Vec::from_iter(news));
    }
    let again = nonce(&mut sim, token);
    sim.send(alice, &format!("CONFIRM {again}\n"));
    sim.send(rich, "PUNCH 10.0.0.1:1001\n");
    sim.run(ms(0));
    let punch = format!("PUNCH alice@10.0.0.1:1001 {OUTSIDE}");
    assert_eq!(sim.news(rich), [punch], "that she is still there is no news");
    assert_eq!(sim.news(plain), [""; 0]);
}

/// Who saw a request on its way would else replace the nonce that she is about to confirm.
#[test]
fn an_old_request_is_not_answered_again() {
    let mut sim = Sim::new(limits());
    let (alice, token) = alice(&mut sim);
    let rich = sim.rich("10.0.0.3:1001", "rick");
    let sent = nonce(&mut sim, token);
    for _ in 0..2 {
        sim.requests -= 1;
        assert_eq!(ask(&mut sim, token, "203.0.113.1:40000", REQUEST_LEN), None);
    }
    sim.send(alice, &format!("CONFIRM {sent}\n"));
    sim.run(ms(0));
    assert_eq!(
        sim.news(rich),
        [format!("ADDRESS - alice@10.0.0.1:1001 {OUTSIDE}")]
    );
}

#[test]
fn datagrams_of_a_denied_address_get_no_reply() {
    let door = Door::default().with_networks(&[], &["198.51.100.0/24".parse().unwrap()]);
    let mut sim = Sim::behind(door, limits());
    let (_, token) = alice(&mut sim);
    assert_eq!(ask(&mut sim, token, OUTSIDE, REQUEST_LEN), None);
    assert_eq!(
        ask(&mut sim, token, "[::ffff:198.51.100.7]:40000", REQUEST_LEN),
        None
    );
    assert!(ask(&mut sim, token, "203.0.113.7:40000", REQUEST_LEN).is_some());
}

#[test]
fn requests_are_answered_in_a_burst_then_once_a_second() {
    let mut sim = Sim::new(limits());
    let (_, token) = alice(&mut sim);
    let answers = |sim: &mut Sim| {
        let asked = (0..100).filter(|_| ask(sim, token, OUTSIDE, REQUEST_LEN).is_some());
        asked.count()
    };
    assert_eq!(answers(&mut sim), 8);
    sim.run(ms(999));
    assert_eq!(answers(&mut sim), 0);
    sim.run(ms(1));
    assert_eq!(answers(&mut sim), 1);
}
