//! What the user asks for.

use super::event::Event;
use super::legacy::decoder::SAFE_TEXT_MAX;
use super::outbox::Message;
use super::state::Session;
use chat_proto::TEXT_MAX;
use chat_proto::nick::Nick;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;

impl Session {
    pub(super) fn say(&mut self, text: &Text<'_>) {
        if text.as_str().len() > TEXT_MAX {
            return self.line_too_long();
        }
        if self.is_original() && text.as_str().len() > SAFE_TEXT_MAX {
            let (bytes, safe) = (text.as_str().len(), SAFE_TEXT_MAX);
            self.warn(format!(
                "{bytes} bytes: an original server takes {safe}, and may lose or spoil the rest"
            ));
        }
        let text = text.clone().into_owned();
        let seq = self.next_seq();
        self.outbox.push(Message { seq, text });
    }

    pub(super) fn ask_nick(&mut self, typed: &str) {
        if self.is_original() {
            return self.fail_nick("an original server knows no nicks".into());
        }
        if !self.is_ready() {
            return self.fail_nick("not connected yet".into());
        }
        match Nick::parse(typed) {
            Err(error) => self.fail_nick(error.to_string()),
            Ok(nick) if self.me.as_ref().and_then(|me| me.nick.as_ref()) == Some(&nick) => {
                self.tell_own_name();
            }
            Ok(nick) => {
                self.nicks_asked += 1;
                self.send_line(&FromClient::Nick(nick.as_str()));
            }
        }
    }

    /// The nick that was asked for is the user's already.
    pub(super) fn tell_own_name(&mut self) {
        if let Some(me) = &self.me {
            let text = Text::from(format!("you are {me} already"));
            self.events.push_back(Event::Notice(text));
        }
    }

    fn fail_nick(&mut self, why: String) {
        self.failures.nicks += 1;
        self.error(why);
    }

    pub(super) fn unknown(&mut self, name: &str, nearest: Option<&str>) {
        let name = Text::new(name);
        let hint = match nearest {
            Some(nearest) => format!("the nearest is /{nearest}"),
            None => "/help lists all".into(),
        };
        self.fail(format!(
            "no command /{name}: {hint}; // begins a message with a slash"
        ));
    }
}
