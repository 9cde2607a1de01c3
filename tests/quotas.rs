//! What all connections from one network share. Loopback addresses are exempt, so these tests use another address of
//! this machine, where there is one.

use crate::harness::{Server, Wire};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// An address of this machine that is no loopback address. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let own = own.ok().map(|own| own.ip()).filter(|own| !own.is_loopback());
    if own.is_none() {
        eprintln!("skipped: this machine has no address but loopback");
    }
    own
}

/// Sends lines of 4 KB until the connection ends, and reads what comes.
fn flood(server: SocketAddr) {
    let mut stream = TcpStream::connect(server).unwrap();
    let mut reader = stream.try_clone().unwrap();
    thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    thread::spawn(move || {
        while stream
            .write_all(&[&[b'x'; 4000], b"\n".as_slice()].concat())
            .is_ok()
        {}
    });
}

/// Reads at this speed for a time. Returns everything, or fails when the server closes the connection.
fn read_slowly(name: &str, stream: &mut TcpStream, bytes_a_second: u128, time: Duration) -> Vec<u8> {
    let (start, mut all) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let allowed = start.elapsed().as_millis() * bytes_a_second / 1000;
        let allowed = usize::try_from(allowed).unwrap() - all.len();
        let mut buffer = vec![0; allowed.min(64 * 1024)];
        match stream.read(&mut buffer) {
            Ok(0) if allowed > 0 => panic!("{name} is disconnected"),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{name}: {error}"),
        }
        // The speed is the subject of the test.
        thread::sleep(Duration::from_millis(2));
    }
    all
}

#[test]
fn slow_readers_survive_ten_flooders_of_one_network() {
    let Some(own) = own_address() else { return };
    let server = Server::start_on(&own.to_string(), &[]);
    let readers = [125_000, 1_250_000].map(|speed| {
        let socket = Socket::new(Domain::for_address(server.address), Type::STREAM, None).unwrap();
        // The link of a slow reader holds little; the system would hold megabytes.
        socket.set_recv_buffer_size(32 * 1024).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream.write_all(b"\n").unwrap();
        thread::spawn(move || {
            let name = format!("the reader of {speed} bytes a second");
            read_slowly(&name, &mut stream, speed, Duration::from_secs(4))
        })
    });
    for _ in 0..10 {
        flood(server.address);
    }
    for reader in readers {
        let heard = String::from_utf8(reader.join().unwrap()).unwrap();
        assert!(heard.matches(": xxxx").count() > 10, "the flood is heard");
        assert!(!heard.contains("too slowly"));
    }
    assert_eq!(server.log_so_far("reason=slow"), [""; 0]);
}

#[test]
fn a_loop_of_connections_is_rejected_and_logged_as_one_line() {
    let Some(own) = own_address() else { return };
    let mut server = Server::start_on(&own.to_string(), &[]);
    let is_rejected = || {
        let mut user = Wire::connect("user", server.address, &server.journal);
        user.try_send(b"x\n").ok();
        user.half_close();
        user.until_end()[0].starts_with("* too many connections from your address")
    };
    let mut rejected = 0;
    for number in 0..500 {
        rejected += usize::from(is_rejected());
        assert!(number >= 200 || rejected == 0);
    }
    assert!(rejected > 200, "{rejected}");
    // While a client starts, one more connection may have become free: it leaves then, and another one tries.
    let client = loop {
        let mut client = server.start_client("client", &["--nick", "client"]);
        client.end_input();
        if client.exit_code() == 1 {
            break client;
        }
        rejected += usize::from(is_rejected());
    };
    client
        .complains()
        .expect("too many connections from your address in a short time; try again in a minute");
    server.stop();
    let log = server.log();
    log.expect("stop signal");
    let (refusals, more) = (log.with(" refuse "), log.with(" more="));
    assert!(
        !more.is_empty() && refusals.len() <= 11 * more.len(),
        "{refusals:?}"
    );
    let count = |line: &String| {
        let words = line.split(' ').find_map(|word| word.strip_prefix("more="));
        words.unwrap().parse::<usize>().unwrap()
    };
    let counted = more.iter().map(count).sum::<usize>() + refusals.len() - more.len();
    assert_eq!(counted, rejected + 1);
    let summary = format!("refuse {own} reason=often more=");
    assert!(more.iter().all(|line| line.contains(&summary)), "{more:?}");
}
