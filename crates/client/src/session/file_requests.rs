//! Files: the user's commands, and the needs of the disk and the sockets.

use super::deferred::Deferred;
use super::event::Event;
use super::files::{Asking, FileOptions, Files, PATH_WAIT, UnderWay};
use super::state::Session;
use crate::command::{ACCEPT_USAGE, CANCEL_USAGE, DECLINE_USAGE};
use crate::files::message::Reason;
use crate::files::name::FileName;
use crate::files::request::{Answer, Handle, Request};
use crate::files::transfers::{State, Status, Way};
use crate::format::name;
use crate::private::{BULK_MAX, Path};
use crate::roster::KeyTrust;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization;

/// The largest file that goes through the server.
const RELAYED_MAX: u64 = 8 << 20;

/// How long a peer's client may take to say that it takes files.
const ABLE_WAIT: Duration = Duration::from_secs(10);

/// Files that wait for that at a time.
const ASKING_MAX: usize = 32;

/// What the user types.
impl Session {
    /// The user's options for files. Before any is sent or received.
    pub fn set_files(&mut self, options: FileOptions) {
        self.files = Files::new(options);
    }

    /// A path that a person types: `~` is the home directory.
    pub fn typed_path(&self, typed: &str) -> PathBuf {
        self.files.path(typed)
    }

    /// `/send`: offers a file.
    pub(super) fn send_file(&mut self, typed: &str, path: PathBuf, now: Now) {
        if self.defers(typed, Deferred::Send(path.clone()), now) {
            return;
        }
        let (key, who) = match self.file_peer(typed) {
            Ok(found) => found,
            Err(reason) => return self.fail_file(format!("not sent to {}: {reason}", Text::new(typed))),
        };
        if let Err(doubt) = self.may_send_to(who.id) {
            self.failures.files += 1;
            return self.tell_doubt(&who, format!("not sent to {who}: {doubt}"));
        }
        self.files.names.insert(key, who);
        if self.files.asking.len() >= ASKING_MAX {
            return self.fail_file("not sent: too many files wait; try again later".into());
        }
        self.files.asking.push(Asking {
            peer: key,
            path,
            until: now.monotonic + ABLE_WAIT,
            next: now.monotonic,
        });
        self.ask_able(now);
    }

    /// The user that was typed, who can be sent files.
    fn file_peer(&self, typed: &str) -> Result<(PublicKey, Who), String> {
        if self.is_legacy() {
            return Err("an original server has no keys, so files can't be sealed".into());
        }
        let peer = self.resolve(typed)?;
        let found = peer.find(self.roster()).map(|profile| profile.who.clone());
        let who = found.ok_or("that user is not here now; try again later")?;
        if self.me.as_ref().is_some_and(|me| me.id == who.id) {
            return Err("that is you".into());
        }
        match self.roster().trust(who.id) {
            Some(KeyTrust::Trusted(key)) => Ok((key, who)),
            Some(KeyTrust::Contested(_)) => Err("another user has the same key".into()),
            Some(KeyTrust::Rejected) => Err("that user's key can't be trusted".into()),
            Some(KeyTrust::Unasked) => Err("the server has not sent that user's key yet; try again".into()),
            Some(KeyTrust::NoKey) | None => {
                Err("that user has no key, so files can't be sealed; it needs chat-client, not nc".into())
            }
        }
    }

    /// `/accept`: receives a file that is offered.
    pub(super) fn accept_file(&mut self, number: Option<u32>, own_name: Option<&str>) {
        let is_offered = |status: &Status| status.way == Way::Receiving && status.state == State::Offered;
        let Some(directory) = self.files.options.directory.clone() else {
            let why = "not accepted: HOME is not set; name a directory with the setting files-dir";
            return self.fail(why.into());
        };
        let (typed, own_name) = (own_name, own_name.map(|name| FileName::new(name.as_bytes())));
        if let (Some(typed), Some(name)) = (typed, &own_name)
            && !typed.nfc().eq(name.as_str().chars())
        {
            return self.fail(format!(
                "not accepted: a file can't have that name in {}; {name} is possible",
                directory.display()
            ));
        }
        let meant = self.files.meant(number, ACCEPT_USAGE, is_offered);
        let accepted = meant.and_then(|number| {
            let accepted = self.files.transfers.accept(number, directory, own_name);
            accepted.map_err(|refusal| refusal.to_string())
        });
        if let Err(reason) = accepted {
            self.fail(format!("not accepted: {reason}"));
        }
    }

    /// `/decline`: does not receive a file, or not to its end.
    pub(super) fn decline_file(&mut self, number: Option<u32>) {
        let is_named = number.is_some();
        let fits =
            |status: &Status| status.way == Way::Receiving && (is_named || status.state == State::Offered);
        self.end_file(number, DECLINE_USAGE, "not declined", fits);
    }

    /// `/cancel`: ends a transfer.
    pub(super) fn cancel_file(&mut self, number: Option<u32>) {
        self.end_file(number, CANCEL_USAGE, "not cancelled", |_| true);
    }

    fn end_file(&mut self, number: Option<u32>, usage: &str, what: &str, fits: impl Fn(&Status) -> bool) {
        let meant = self.files.meant(number, usage, fits);
        let ended = meant.and_then(|number| {
            let ended = self.files.transfers.end(number, Reason::User);
            ended.map_err(|refusal| refusal.to_string())
        });
        if let Err(reason) = ended {
            self.fail(format!("{what}: {reason}"));
        }
    }

    /// `/files`: lists all.
    pub(super) fn list_files(&mut self) {
        let mut lines: Vec<String> = Vec::new();
        for status in self.files.transfers.list() {
            let who = self.files.names.get(&status.peer);
            let who = who.map_or_else(|| self.files.name_of(&status.peer), name);
            let direction = match status.way {
                Way::Sending => "to",
                Way::Receiving => "from",
            };
            let words = self.files.in_words(&status);
            lines.push(format!("{}. {direction} {who}: {words}", status.number.0));
        }
        if lines.is_empty() {
            lines.push("no file is offered, sent or received; /send WHO PATH offers one".into());
        }
        let answers = lines.into_iter().map(|line| Event::Answer(Text::from(line)));
        self.events.extend(answers);
    }

    /// What the end of the input waits for, if that is a file.
    pub fn awaited_file(&self) -> Option<String> {
        let name_of = |peer: &PublicKey| self.files.names.get(peer).map_or("that user".into(), name);
        let files = self.files.awaited().map(|status| {
            let (who, file) = (name_of(&status.peer), self.files.in_words(&status));
            match status.way {
                Way::Sending => format!("your file to {who} has arrived: {file}"),
                Way::Receiving => format!("the file from {who} is complete: {file}"),
            }
        });
        let asking = self.files.asking.iter().map(|asking| {
            let who = name_of(&asking.peer);
            format!("your file to {who} has arrived: {}", asking.path.display())
        });
        let all: Vec<String> = files.chain(asking).collect();
        let more = match all.len() {
            0 | 1 => String::new(),
            count => format!(" (+{})", count - 1),
        };
        Some(format!("{}{more}", all.first()?))
    }

    /// What moves, for a status line, with the peer of each.
    pub fn files_under_way(&self) -> Vec<UnderWay> {
        let moving = self.files.transfers.list().filter(|status| {
            status.state == State::Moving || status.state == State::Checking && status.bytes > 0
        });
        let named = moving.filter_map(|status| {
            Some(UnderWay {
                who: self.files.names.get(&status.peer)?.clone(),
                progress: self.files.progress(&status),
                name: status.name,
            })
        });
        named.collect()
    }
}

/// What the disk and the sockets need.
impl Session {
    /// The next request for the disk.
    pub fn next_file_request(&mut self) -> Option<(Handle, Request)> {
        self.files.requests.pop_front()
    }

    /// The disk has answered.
    pub fn file_answer(&mut self, handle: Handle, answer: Answer, now: Now) {
        self.files.transfers.answer(handle, answer);
        self.drain_private(now);
    }

    /// Sends pieces of files for which there is room. Call it when no datagram waits. Whether any was sent.
    pub fn send_pieces(&mut self, now: Now) -> bool {
        let moving = |status: &Status| status.way == Way::Sending && status.state == State::Moving;
        let peers: BTreeSet<PublicKey> = {
            let moving = self.files.transfers.list().filter(moving);
            moving.map(|status| status.peer).collect()
        };
        let mut is_any = false;
        let (before, after): (Vec<_>, Vec<_>) = peers
            .into_iter()
            .partition(|peer| Some(*peer) <= self.files.served);
        for peer in after.into_iter().chain(before) {
            let Some(to) = self.roster().holder(&peer) else {
                continue;
            };
            let room = self.private.bulk_room(now, to);
            let size_max = match self.private.bulk_path(now, to) {
                Some(Path::Direct) => u64::MAX,
                Some(Path::Relayed) => self.relayed_max(),
                None => 0,
            };
            for _ in 0..room {
                let Some((piece, bytes)) = self.files.transfers.next_piece(&peer, BULK_MAX, size_max) else {
                    break;
                };
                if !self.private.send_bulk(now, to, piece, bytes) {
                    self.files.transfers.lost(&piece);
                    break;
                }
                is_any = true;
                self.files.served = Some(peer);
            }
            self.note_stuck(&peer, size_max, now);
        }
        self.drain_private(now);
        is_any
    }

    /// The largest file that may go through the server.
    fn relayed_max(&self) -> u64 {
        match self.carries_files && self.private.may_relay() {
            true => RELAYED_MAX,
            false => 0,
        }
    }

    /// A file that is too large for its path waits for another one, and not for ever.
    fn note_stuck(&mut self, peer: &PublicKey, size_max: u64, now: Now) {
        let size_max = size_max.max(self.relayed_max());
        let files = &mut self.files;
        let of_peer = files.transfers.list().filter(|status| status.peer == *peer);
        for Status {
            number,
            size,
            bytes,
            state,
            ..
        } in of_peer.collect::<Vec<_>>()
        {
            // What has begun goes on when the path is back.
            let waits = state == State::Moving && bytes == 0 && size > size_max;
            if !waits {
                files.stuck.remove(&number);
            } else if now.monotonic >= *files.stuck.entry(number).or_insert(now.monotonic) + PATH_WAIT {
                files.stuck.remove(&number);
                let reason = if size > RELAYED_MAX {
                    Reason::NoPath
                } else {
                    Reason::NotRelayed
                };
                let _ = files.transfers.end(number, reason);
            }
        }
    }

    /// The program ends: what has arrived is to be written.
    pub fn close_files(&mut self, now: Now) {
        let peers: BTreeSet<PublicKey> = self.files.transfers.list().map(|status| status.peer).collect();
        for peer in peers {
            self.files.transfers.left(peer);
        }
        self.drain_files(now);
    }
}
