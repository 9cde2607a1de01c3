//! A user of the storm: a client on a host, with its directories.

use super::network::{self, SERVER};
use crate::harness::{Client, Journal, client_command};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::thread;

/// In the network, a file system in memory.
pub const DIRECTORY: &str = "/run/chat";

pub struct User {
    pub name: &'static str,
    pub host: &'static str,
    pub client: Client,
    /// How often it was started before.
    pub run: usize,
    /// As others know it.
    pub who: String,
    /// Its router maps all datagrams to one port.
    is_mapped: bool,
}

/// A line of a client's output, or its end; and of which run.
pub struct Line {
    pub user: usize,
    pub run: usize,
    pub text: Option<String>,
}

impl User {
    pub fn new(name: &'static str, host: &'static str, journal: &Journal) -> Self {
        for what in ["out", "in"] {
            fs::create_dir_all(format!("{DIRECTORY}/{name}/{what}")).unwrap();
        }
        Self {
            name,
            host,
            client: start(name, host, journal),
            run: 0,
            who: String::new(),
            is_mapped: false,
        }
    }

    /// Passes on what the client writes, once it is in the room.
    pub fn follow(&mut self, number: usize, lines: &Sender<Line>) {
        let feed = self.client.shows().clone();
        let welcome = feed.expect("\"kind\":\"welcome\"");
        self.who = field(&welcome, "to").unwrap();
        let (run, lines) = (self.run, lines.clone());
        thread::spawn(move || {
            let mut at = 0;
            loop {
                let next = feed.wait(|lines, is_ended| match lines.get(at) {
                    Some(line) => Some(Some(line.clone())),
                    None => is_ended.then_some(None),
                });
                // Nothing within the deadline.
                let Some(text) = next else { continue };
                at += 1;
                let is_last = text.is_none();
                let line = Line {
                    user: number,
                    run,
                    text,
                };
                if lines.send(line).is_err() || is_last {
                    return;
                }
            }
        });
    }

    pub fn map_to(&mut self, port: u16) {
        network::map_to(self.host, port);
        self.is_mapped = true;
    }

    /// Kills the client and starts it again with the same key. `is_silent`: the server is not told of the end.
    pub fn restart(&mut self, is_silent: bool, journal: &Journal) {
        if is_silent {
            let (_, port) = self.who.rsplit_once(':').unwrap();
            network::silence(self.host, port.parse().unwrap());
        }
        self.client.signal(Signal::SIGKILL);
        self.client.wait();
        if std::mem::take(&mut self.is_mapped) {
            // The one port is that of the killed client for a while.
            network::keep_ports(self.host);
        }
        self.client = start(self.name, self.host, journal);
        self.run += 1;
    }

    /// A file that this user sends.
    pub fn source(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{DIRECTORY}/{}/out/{name}", self.name))
    }

    /// The directory for files.
    pub fn inbox(&self) -> PathBuf {
        PathBuf::from(format!("{DIRECTORY}/{}/in", self.name))
    }

    /// The names in there, and how large the files are.
    pub fn received(&self) -> Vec<(String, u64)> {
        let entries = fs::read_dir(self.inbox()).unwrap();
        let named = entries.filter_map(|entry| {
            let entry = entry.unwrap();
            // A part may get its name meanwhile.
            let size = entry.metadata().ok()?.len();
            Some((entry.file_name().into_string().unwrap(), size))
        });
        named.collect()
    }
}

fn start(name: &str, host: &str, journal: &Journal) -> Client {
    let mut command = client_command();
    command
        .args([SERVER, "9000", "--json", "--nick", name])
        .args(["--files-dir", &format!("{DIRECTORY}/{name}/in")])
        .env("XDG_STATE_HOME", format!("{DIRECTORY}/{name}"));
    Client::start_command(name, &mut network::inside(host, &command), journal)
}

/// A value of a JSON object: a text without escapes, or a number.
pub fn field(object: &str, key: &str) -> Option<String> {
    let (_, rest) = object.split_once(&format!("\"{key}\":"))?;
    let value = match rest.strip_prefix('"') {
        Some(text) => text.split('"').next()?,
        None => rest.split([',', '}']).next()?,
    };
    Some(value.to_owned())
}
