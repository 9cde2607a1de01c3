//! Many plain users in one thread.

use super::{DEADLINE, Server};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Users that join and then read everything.
pub struct Crowd {
    users: Vec<Member>,
    /// Only messages that contain this are kept, because n joins make n² lines.
    kept: String,
}

struct Member {
    stream: TcpStream,
    /// Bytes after the last whole line.
    rest: Vec<u8>,
    /// Whether it has received its own join, or the line it is still waiting for.
    online: Result<(), String>,
    heard: Vec<String>,
}

impl Crowd {
    /// Lets this many users join. Messages that contain `kept` are kept.
    #[track_caller]
    pub fn join(server: &Server, count: usize, kept: &str) -> Self {
        let mut crowd = Self {
            users: Vec::new(),
            kept: kept.to_owned(),
        };
        for _ in 0..count {
            let mut stream = TcpStream::connect(server.address).expect("the server accepts the connection");
            stream.write_all(b"\n").unwrap();
            stream.set_nonblocking(true).unwrap();
            let id = stream.local_addr().unwrap();
            crowd.users.push(Member {
                stream,
                rest: Vec::new(),
                online: Err(format!("{id} is online")),
                heard: Vec::new(),
            });
            crowd.read_for(Duration::ZERO);
        }
        crowd.read_until("have not received their own join", |user| user.online.is_ok());
        crowd
    }

    pub fn say(&mut self, user: usize, text: &str) {
        self.users[user]
            .stream
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    }

    /// The kept messages of each user, once every user has received this many.
    #[track_caller]
    pub fn heard(&mut self, count: usize) -> Vec<&[String]> {
        self.read_until("have not received all messages", |user| user.heard.len() >= count);
        self.users.iter().map(|user| user.heard.as_slice()).collect()
    }

    #[track_caller]
    fn read_until(&mut self, complaint: &str, is_done: impl Fn(&Member) -> bool) {
        let until = Instant::now() + DEADLINE;
        loop {
            let behind = self.users.iter().filter(|user| !is_done(user)).count();
            if behind == 0 {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{behind} of {} {complaint}", self.users.len());
            self.wait_and_read(left);
        }
    }

    /// Reads for this long.
    pub fn read_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.wait_and_read(left);
            if left.is_zero() {
                return;
            }
        }
    }

    fn wait_and_read(&mut self, limit: Duration) {
        let mut polled: Vec<PollFd<'_>> = self
            .users
            .iter()
            .map(|user| PollFd::new(user.stream.as_fd(), PollFlags::POLLIN))
            .collect();
        // Rounded up, so that the last millisecond does not spin.
        let timeout = PollTimeout::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
        let ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        for (user, _) in self.users.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            user.read(&self.kept);
        }
    }
}

impl Member {
    fn read(&mut self, kept: &str) {
        let mut buffer = [0; 65536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the server closed the connection of a user in the crowd"),
                Ok(count) => self.take(&buffer[..count], kept),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a user in the crowd: {error}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], kept: &str) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return;
        };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        let lines = std::str::from_utf8(&lines).expect("UTF-8");
        if let Err(own) = &self.online
            && lines.lines().any(|line| line == own)
        {
            self.online = Ok(());
        }
        let texts = lines.lines().filter(|line| line.starts_with("from "));
        let texts = texts
            .filter_map(|line| line.split_once(": "))
            .map(|(_, text)| text);
        self.heard
            .extend(texts.filter(|text| text.contains(kept)).map(str::to_owned));
    }
}
