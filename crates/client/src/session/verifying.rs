//! `/verify WHO`, `/verify WHO yes` and `/verify WHO no`.

use super::event::{Event, Verification, Verified, VerifyCode};
use super::state::Session;
use super::trust::{VERIFIED_MAX, is_alike};
use chat_proto::nick::{Nick, NickKey};
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use chat_proto::text::Text;

impl Session {
    /// `/verify`: shows the code to compare.
    pub(super) fn verify(&mut self, typed: &str) {
        let code = self.resolve(typed).and_then(|peer| {
            let why = match peer.key() {
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
    pub(super) fn confirm(&mut self, typed: &str) {
        let peer = match self.resolve(typed) {
            Ok(peer) => peer,
            Err(reason) => return self.fail(format!("can't verify {}: {reason}", Text::new(typed))),
        };
        let profile = self.profile_of_other(peer.who.id).filter(|profile| {
            // The code is of a key that no other user here has.
            profile.key.is_some() && self.private.verify_code(profile.who.id).is_some()
        });
        let Some((profile, key)) = profile.and_then(|profile| Some((profile.clone(), profile.key?))) else {
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
                *key == Some(verified.key)
                    || former.contains(&verified.key)
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
