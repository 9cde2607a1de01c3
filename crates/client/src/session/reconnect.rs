//! The end of a connection, and the next one that takes its place.
//!
//! The token of the last `WELCOME` resumes the nick. The number in the next one acknowledges messages; all later ones are
//! sent again, in order.

use super::event::Event;
use super::legacy::connection::Legacy;
use super::outbox::Message;
use super::outcome::{Ending, Outcome};
use super::stage::Stage;
use super::state::{Endpoints, Session};
use crate::files::transfers::Way;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::line::LineDecoder;
use chat_proto::now::Now;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use chat_proto::times::Times;

impl Session {
    /// Another connection was made in place of the lost one.
    pub fn connected(&mut self, endpoints: Endpoints, now: Now) {
        self.config.endpoints = endpoints;
        if let Some(me) = self.me.take() {
            self.outbox.lost(me.id);
            // The nick of now; it is optional once the client was in the room.
            self.config.nick = me.nick.or_else(|| self.config.nick.take());
        }
        self.config.insist_on_nick &= !self.joined;
        self.clocks.last_received = now.monotonic;
        self.stage = Stage::greeting(now);
    }

    /// Ends the session without waiting for the server's goodbye.
    pub(super) fn give_up(&mut self, outcome: Outcome) {
        if !self.is_legacy() {
            self.send_line(&FromClient::Quit);
        }
        self.end(outcome);
    }

    /// The user left. Messages without a result are counted.
    pub(super) fn end_left(&mut self) {
        self.end(match self.under_way() {
            0 => Outcome::Left,
            count => Outcome::Unacknowledged(count),
        });
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.survives(&outcome) {
            // A lost connection is not lost again.
            if !self.is_lost() {
                self.lose(outcome);
            }
        } else if self.outcome.is_none() {
            self.fail_deferred(None, "the session is over");
            self.fail_unfinished_files();
            let ending = Ending {
                outcome: outcome.clone(),
                unknown: self.under_way(),
                failed: self.failed_at_end,
            };
            self.events.push_back(Event::Ended(ending));
            self.outcome = Some(outcome);
        }
    }

    /// The session is over: what is not kept yet has failed, as far as this run knows.
    fn fail_unfinished_files(&mut self) {
        let sent = self.files.awaited().filter(|status| status.way == Way::Sending);
        let unfinished = sent.map(|status| (status.peer, status.name.to_string()));
        let asking = self.files.asking.iter();
        let asking = asking.map(|asking| (asking.peer, asking.path.display().to_string()));
        for (peer, file) in unfinished.chain(asking).collect::<Vec<_>>() {
            let who = self.files.name_of(&peer);
            self.fail_file(format!(
                "not sent to {who}: {file} is unfinished; if you send it again, it goes on where it stopped"
            ));
        }
    }

    /// Whether the session goes on after this end of a connection.
    fn survives(&self, outcome: &Outcome) -> bool {
        let by_the_server = !matches!(
            outcome,
            Outcome::Left
                | Outcome::Unacknowledged(_)
                | Outcome::NickRefused(_)
                | Outcome::Kicked(_)
                | Outcome::Banned(_)
                | Outcome::Locked(_)
                // Each attempt would give another guess to whoever answers.
                | Outcome::PassphraseNeeded
                | Outcome::WrongPassphrase
        );
        // Files go on without the server.
        let stays = match self.clocks.ending {
            Some(_) => self.files.hold_the_end(),
            None => self.config.interactive,
        };
        stays && self.clocks.leaving.is_none() && self.joined && by_the_server
    }

    fn lose(&mut self, outcome: Outcome) {
        let was_legacy = self.is_legacy();
        self.stage = Stage::Lost;
        self.decoder = LineDecoder::new(SERVER_LINE_MAX);
        self.legacy = Legacy::default();
        self.times = Times::default();
        self.clocks.pinged = None;
        self.clocks.awaited = None;
        self.clocks.address_gone = None;
        self.pending_nicks = 0;
        self.wish = None;
        self.goodbye = None;
        self.bytes.clear();
        self.datagrams.clear();
        if was_legacy {
            self.give_up_sent();
        }
        self.events.push_back(Event::Lost(outcome));
    }

    /// An original server acknowledges nothing, so a message sent again may arrive twice.
    fn give_up_sent(&mut self) {
        while let Some(Message { text, .. }) = self.outbox.acknowledge() {
            self.refused(
                text,
                Text::new("the connection was lost; it may not have arrived"),
            );
        }
    }
}
