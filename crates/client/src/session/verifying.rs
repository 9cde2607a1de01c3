//! What needs the whole key of a user: `/verify WHO`, `/verify WHO yes`, `/verify WHO no`, `/whois WHO` and
//! `/send WHO PATH`.

use super::deferred::{Deferred, Waiting};
use super::event::{Event, Verification, Verified, VerifyCode};
use super::state::Session;
use super::trust::{VERIFIED_MAX, is_alike};
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use chat_proto::text::Text;

impl Session {
    /// `/verify`: shows the code to compare.
    pub(super) fn verify(&mut self, typed: &str, now: Now) {
        if self.defers(typed, Deferred::Verify, now) {
            return;
        }
        let code = self.resolve(typed).and_then(|peer| {
            let why = match peer.key() {
                None if peer.is_unasked() => "the server has not told that user's key",
                None => "that user has no key",
                Some(_) => "that user is not here",
            };
            let code = self.private.verify_code(peer.who.id).ok_or(why)?;
            Ok((peer.who, code))
        });
        match code {
            Ok((who, code)) => self.events.push_back(Event::Code(VerifyCode { who, code })),
            Err(reason) => self.fail(format!("nothing to compare with {}: {reason}", Text::new(typed))),
        }
    }

    /// `/verify WHO yes`: the codes were the same.
    pub(super) fn confirm(&mut self, typed: &str, now: Now) {
        if self.defers(typed, Deferred::Confirm, now) {
            return;
        }
        let peer = match self.resolve(typed) {
            Ok(peer) => peer,
            Err(reason) => return self.fail(format!("can't verify {}: {reason}", Text::new(typed))),
        };
        let profile = self.profile_of_other(peer.who.id).filter(|profile| {
            // The code is of a key that no other user here has.
            profile.key.is_some() && self.private.verify_code(profile.who.id).is_some()
        });
        let Some((profile, key)) = profile.and_then(|profile| Some((profile.clone(), profile.key?.whole()?)))
        else {
            return self.fail(format!("can't verify {}: it has no key of its own", peer.who));
        };
        self.trust.verified.retain(|verified| verified.key != key);
        if self.trust.verified.len() >= VERIFIED_MAX {
            return self.fail(format!(
                "can't verify more than {VERIFIED_MAX} users: take one back with /verify WHO no"
            ));
        }
        let verified = Verified {
            key,
            nick: profile.who.nick.clone(),
        };
        self.trust.verified.push(verified.clone());
        self.trust.accept(&profile);
        let who = profile.who;
        let note =
            format!("{who} is verified: if that name comes back with another key, nothing is sent there");
        self.events.push_back(Event::Verified(Verification {
            note: Text::from(note),
            who: Some(who),
            added: Some(verified),
            removed: Vec::new(),
        }));
    }

    /// `/verify WHO no`: forgets what is known of the keys behind a name.
    pub(super) fn unconfirm(&mut self, typed: &str) {
        let found = self.resolve(typed).ok();
        let found = found.and_then(|peer| self.profile_of_other(peer.who.id));
        let former = found
            .as_ref()
            .map_or(Vec::new(), |profile| self.trust.former(&profile.who));
        let look = NickKey::of(typed.split('@').next().unwrap_or_default()).skeleton();
        let is_meant = |verified: &mut Verified| match &found {
            Some(Profile { who, key, .. }) => {
                *key == Some(verified.key.into())
                    || former.contains(&verified.key.into())
                    || is_alike(verified.nick.as_ref(), who.nick.as_ref())
            }
            // The user is not here.
            None => verified
                .nick
                .iter()
                .flat_map(Nick::skeletons)
                .any(|other| other == look),
        };
        let is_doubted = found
            .as_ref()
            .is_some_and(|profile| self.doubt(profile).is_some());
        let removed: Vec<PublicKey> = self
            .trust
            .verified
            .extract_if(.., is_meant)
            .map(|verified| verified.key)
            .collect();
        if removed.is_empty() && !is_doubted {
            return self.fail(format!("{} is not verified", Text::new(typed)));
        }
        let typed = Text::new(typed);
        let note = match &found {
            Some(Profile { who, key: None, .. }) => {
                format!("{who} is not verified, and what you send there goes in the clear")
            }
            Some(Profile { who, .. }) => format!("{who} is not verified any more"),
            None => format!("{typed} is not verified any more"),
        };
        if let Some(profile) = &found {
            self.trust.accept(profile);
        }
        self.events.push_back(Event::Verified(Verification {
            note: Text::from(note),
            who: found.map(|profile| profile.who),
            added: None,
            removed,
        }));
    }
}

// While a key is asked for.
impl Session {
    /// `/whois`: answers with [`Event::Answer`], at once or when the server has told what it knows of that user.
    pub(super) fn look_up(&mut self, typed: &str, now: Now) {
        if self.defers(typed, Deferred::Whois, now) {
            return;
        }
        match self.roster().resolve(typed) {
            Ok(profile) => {
                let found = Event::Answer(Text::from(self.description(profile)));
                self.events.push_back(found);
            }
            Err(reason) => self.fail(format!("{}: {reason}", Text::new(typed))),
        }
    }

    fn description(&self, profile: &Profile) -> String {
        let Profile { who, udp, key } = profile;
        let is_me = self.me().is_some_and(|me| me.id == who.id);
        let own = if is_me { ", that is you" } else { "" };
        let seal = if key.is_some() { "sealed" } else { "unencrypted" };
        let address = udp.map_or(String::new(), |udp| format!(" (UDP {udp})"));
        let ignored = if self.is_ignored(who) { "; ignored" } else { "" };
        let verified = self
            .verified(profile)
            .map_or(String::new(), |verified| format!("; {verified}"));
        format!("{who}{own}: private messages are {seal}{address}{verified}{ignored}")
    }

    /// Whether a request has to wait for the key of its user.
    pub(super) fn defers(&mut self, typed: &str, what: Deferred, now: Now) -> bool {
        let Ok(peer) = self.resolve(typed) else {
            return false;
        };
        let id = peer.who.id;
        if !self.is_ready() || !self.private.is_unasked(id) || self.private.answer_is_late(id) {
            return false;
        }
        self.private.ask_about(now, id);
        let typed = typed.to_owned();
        self.deferred.push(Waiting { what, typed, id });
        true
    }

    /// A user left, or all did with the connection: nothing about them is answered.
    pub(super) fn fail_deferred(&mut self, of: Option<UserId>, reason: &str) {
        let is_meant = |waiting: &mut Waiting| of.is_none_or(|id| id == waiting.id);
        let failed: Vec<Waiting> = self.deferred.extract_if(.., is_meant).collect();
        for waiting in failed {
            self.fail_waiting(&waiting, reason);
        }
    }

    pub(super) fn fail_waiting(&mut self, waiting: &Waiting, reason: &str) {
        let typed = Text::new(&waiting.typed);
        match waiting.what {
            Deferred::Send(_) => self.fail_file(format!("not sent to {typed}: {reason}")),
            Deferred::Verify | Deferred::Confirm | Deferred::Whois => self.fail(format!("{typed}: {reason}")),
        }
    }
}
