//! What the client says and refuses because of keys.

use super::event::{Doubt, Event, Verified};
use super::state::Session;
use super::trust::{Standing, VERIFIED_MAX, is_alike};
use chat_proto::id::UserId;
use chat_proto::rich::Profile;
use chat_proto::text::Text;
use chat_proto::who::Who;

impl Session {
    /// The user verified these keys in an earlier run.
    pub fn remember_verified(&mut self, verified: Vec<Verified>) {
        self.trust.verified = verified;
        self.trust.verified.truncate(VERIFIED_MAX);
    }

    /// What the user knows of a user's key: `verified`, with the nick of then if it is another.
    pub fn verified(&self, profile: &Profile) -> Option<String> {
        // Not before the server has told the whole key on this connection.
        let is_open = self.roster().unconfirmed(profile.who.id).is_some();
        let key = profile.key.filter(|_| !is_open)?.whole()?;
        let Verified { nick, .. } = self.trust.verified_with(&key)?;
        Some(match nick {
            Some(nick) if !is_alike(Some(nick), profile.who.nick.as_ref()) => format!("verified as {nick}"),
            _ => "verified".into(),
        })
    }

    /// A user is here, or has another nick.
    pub(super) fn note_key(&mut self, id: UserId) {
        let Some(profile) = self.profile_of_other(id) else {
            return;
        };
        self.trust.note(&profile);
        if self.is_ready() {
            self.warn_of_poser(&profile);
        }
    }

    /// The user list is complete.
    pub(super) fn warn_of_posers(&mut self) {
        if self.trust.verified.is_empty() {
            return;
        }
        let users: Vec<UserId> = self.roster().users().map(|profile| profile.who.id).collect();
        for id in users {
            if let Some(profile) = self.profile_of_other(id) {
                self.warn_of_poser(&profile);
            }
        }
    }

    /// Says once that a user has the name or address of a verified one.
    fn warn_of_poser(&mut self, profile: &Profile) {
        if self.trust.warns_of(profile)
            && let Some(reason) = self.doubt(profile)
        {
            self.tell_doubt(&profile.who, reason);
        }
    }

    /// Why nothing may be sent to this user.
    pub(super) fn doubt(&self, profile: &Profile) -> Option<String> {
        let who = &profile.who;
        match self.trust.standing(profile) {
            Standing::Good | Standing::Changed => None,
            Standing::Bare => Some(format!(
                "a user with that name or address had a key, and this one has none and would get the text in the clear: \
                 /verify {who} no allows that"
            )),
            Standing::Posing(nick) => {
                let verified = nick.map_or("that address".into(), |nick| nick.to_string());
                let (key, way) = match profile.key {
                    Some(_) => (
                        "another key",
                        format!("compare codes with /verify {who}, then confirm with /verify {who} yes"),
                    ),
                    None => ("no key", format!("/verify {who} no forgets the verified key")),
                };
                Some(format!(
                    "this may be somebody else: you verified {verified}, and this user has {key}. Nothing is sent there \
                     until you confirm: {way}"
                ))
            }
        }
    }

    /// Whether a message may be sent to this user. If its key is another one than before, says so.
    pub(super) fn may_send_to(&mut self, id: UserId) -> Result<(), String> {
        // An original server does not announce all of its users.
        let unknown = Profile {
            who: id.into(),
            udp: None,
            key: None,
        };
        if self.me().is_some_and(|me| me.id == id) {
            return Ok(());
        }
        let profile = self.profile_of_other(id).unwrap_or(unknown);
        if let Some(reason) = self.doubt(&profile) {
            return Err(reason);
        }
        if self.trust.standing(&profile) == Standing::Changed {
            self.trust.accept(&profile);
            let who = &profile.who;
            self.warn(format!(
                "the key of {who} is another one than before, so it may be somebody else: /verify {who} shows a code to \
                 compare"
            ));
        }
        Ok(())
    }

    pub(super) fn tell_doubt(&mut self, who: &Who, reason: String) {
        self.events.push_back(Event::Doubt(Doubt {
            who: who.clone(),
            text: Text::from(reason),
        }));
    }

    /// The user with this id, unless that is this client.
    pub(super) fn profile_of_other(&self, id: UserId) -> Option<Profile> {
        let is_me = self.me().is_some_and(|me| me.id == id);
        self.roster().get(id).filter(|_| !is_me).cloned()
    }
}
