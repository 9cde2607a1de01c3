//! What people type.

use crate::truth::{PersonNo, mark};
use crate::world::{LAST_ACT, OPERATOR, Scheduled, World};
use chat_client::command::Command;
use chat_proto::nick::Nick;
use chat_proto::who::Who;
use std::time::Duration;

impl World {
    /// Somebody does something.
    pub(crate) fn act(&mut self) {
        let person = 1 + self.rng.below(self.people.len() - 1);
        self.do_something(person);
        let pause = [60, 900][self.rng.below(2)];
        let next = self.sim.now + self.rng.ms(1, pause);
        if next < LAST_ACT {
            self.schedule(next, Scheduled::Act);
        }
    }

    fn do_something(&mut self, person: PersonNo) {
        if self.people[person].is_plain {
            return self.do_something_plain(person);
        }
        if person == OPERATOR && self.rng.chance(500) {
            return self.run_the_room(person);
        }
        match self.rng.below(100) {
            0..40 => self.write(person, ""),
            40..65 => {
                if let Some(name) = self.some_name(person) {
                    self.write(person, &format!("/msg {name} "));
                }
            }
            65..70 => self.write(person, "/reply "),
            70..76 => {
                let name = self.some_name(person);
                self.query(person, name.as_deref());
                self.write(person, "");
                if self.rng.chance(700) {
                    self.query(person, None);
                }
            }
            76..81 => {
                let nick = self.people[person].nicks[self.rng.below(2)].clone();
                self.ledger.truth.asks_for(person, &nick);
                self.type_line(person, &format!("/nick {nick}"));
            }
            81..85 => self.type_line(person, "/who"),
            85..90 => self.compare_codes(person),
            90..92 => self.unverify(person),
            _ if self.is_peaceful => {}
            92..94 => self.type_line(person, "/quit"),
            94..97 => self.crash(person),
            _ => self.cut(person),
        }
    }

    pub(crate) fn type_line(&mut self, person: PersonNo, line: &str) {
        let now = self.sim.clock();
        let Some(client) = self.people[person].client.as_mut() else {
            return;
        };
        if client.session.outcome().is_some() || client.session.is_ending() {
            return;
        }
        client.session.request(&Command::parse(line), now);
        self.note(|| format!("person {person} types {line}"));
        self.pump(person);
    }

    /// Writes a message, by this command.
    fn write(&mut self, person: PersonNo, command: &str) {
        let Some(client) = &self.people[person].client else {
            return;
        };
        let session = &client.session;
        let (run, takes) = (
            client.run,
            session.has_room() && session.me().is_some() && !session.is_ending(),
        );
        if !takes || session.outcome().is_some() {
            return;
        }
        let aim = self.ledger.aim(run, command);
        let word = self.ledger.writes(run, aim);
        let length = [0, 0, 0, 0, 300, 2000][self.rng.below(6)];
        let me = if command.is_empty() && self.rng.chance(100) {
            "/me "
        } else {
            ""
        };
        let filler = "x".repeat(self.rng.below(length + 1));
        self.type_line(person, &format!("{command}{me}{} {filler}", mark(word)));
    }

    fn query(&mut self, person: PersonNo, typed: Option<&str>) {
        if let Some(client) = &self.people[person].client
            && client.session.outcome().is_none()
            && !client.session.is_ending()
        {
            self.ledger.queries(client.run, typed);
            self.type_line(person, &format!("/query {}", typed.unwrap_or_default()));
        }
    }

    /// A name that this person sees, or has seen, in one of its forms.
    fn some_name(&mut self, person: PersonNo) -> Option<String> {
        let run = self.people[person].client.as_ref()?.run;
        let names = self.ledger.names(run);
        let who: &Who = self.rng.pick(&names)?;
        let nick = who.nick.as_ref().map(Nick::to_string);
        Some(match self.rng.below(4) {
            0 => who.id.to_string(),
            1 => who.to_string(),
            _ => nick.unwrap_or_else(|| who.id.to_string()),
        })
    }

    /// Two people meet and compare the codes of each other. If these are the same, one of them says so.
    fn compare_codes(&mut self, person: PersonNo) {
        let other = 1 + self.rng.below(self.people.len() - 1);
        let pair = [person, other];
        if person == other || pair.iter().any(|&person| self.people[person].is_insider) {
            return;
        }
        let nick_of = |person: PersonNo| {
            let client = self.people[person].client.as_ref()?;
            Some((client.run, client.session.me()?.nick.as_ref()?.to_string()))
        };
        let (Some((one, ones)), Some((another, others))) = (nick_of(person), nick_of(other)) else {
            return;
        };
        self.ledger.runs[one].code = None;
        self.ledger.runs[another].code = None;
        self.type_line(person, &format!("/verify {others}"));
        self.type_line(other, &format!("/verify {ones}"));
        let code = self.ledger.runs[one].code.take();
        if code.is_some() && code == self.ledger.runs[another].code {
            self.ledger.verifies(one, &others, another);
            self.type_line(person, &format!("/verify {others} yes"));
        }
    }

    fn run_the_room(&mut self, person: PersonNo) {
        let code = self.code.reveal();
        self.type_line(person, &format!("/op {code}"));
        if self.is_peaceful {
            return;
        }
        let order = [
            "kick",
            "kick",
            "ban",
            "unban",
            "mute",
            "mute",
            "unmute",
            "lock",
            "unlock",
            "unlock",
            "slow",
            "slow off",
            "topic",
            "passphrase new",
        ][self.rng.below(14)];
        let line = match order {
            "kick" | "ban" | "mute" => {
                let Some(name) = self.some_name(person) else {
                    return;
                };
                let (is_insider, is_rare) = (name.contains("mallory"), self.rng.chance(600));
                // Insiders are shown out more often than others.
                if !is_insider && is_rare {
                    return;
                }
                // Who shares a network with others is meant only when that is said twice.
                let times = 1 + self.rng.below(2);
                let minutes = if order == "mute" && is_rare { " 1" } else { "" };
                let line = format!("/{order} {name}{minutes}");
                // An insider that sees it coming lets what it is owed wait in the server.
                let is_late = is_insider && order != "mute" && self.rng.chance(700);
                let pause = if is_late {
                    self.rng.ms(300, 1500)
                } else {
                    Duration::ZERO
                };
                if is_late {
                    self.stop_reading(self.people.len() - 1);
                }
                for _ in 1..times {
                    self.schedule(self.sim.now + pause, Scheduled::Type(person, line.clone()));
                }
                return self.schedule(self.sim.now + pause, Scheduled::Type(person, line));
            }
            "unmute" => match self.some_name(person) {
                Some(name) => format!("/unmute {name}"),
                None => return,
            },
            "unban" => "/unban 1".to_owned(),
            "slow" => format!("/slow {}", 1 + self.rng.below(3)),
            "topic" => {
                let topic = format!("about {}", self.rng.below(1000));
                self.ledger.truth.sets_topic(&topic);
                format!("/topic {topic}")
            }
            _ => format!("/{order}"),
        };
        self.type_line(person, &line);
    }

    /// Takes back that codes were the same.
    fn unverify(&mut self, person: PersonNo) {
        let Some(client) = &self.people[person].client else {
            return;
        };
        let run = client.run;
        let nicks = self.ledger.runs[run]
            .verified
            .iter()
            .map(|(nick, _)| nick.to_string());
        let nicks: Vec<_> = nicks.collect();
        if let Some(nick) = self.rng.pick(&nicks) {
            self.ledger.unverifies(run, nick);
            self.type_line(person, &format!("/verify {nick} no"));
        }
    }

    /// The program stops at once.
    fn crash(&mut self, person: PersonNo) {
        self.stop(person);
        self.new_key(person);
    }

    /// The program stops at once, and starts again later.
    pub(crate) fn stop(&mut self, person: PersonNo) {
        if let Some(client) = &self.people[person].client {
            let run = client.run;
            self.note(|| format!("person {person} run {run} stops"));
            self.ledger.end_run(run);
            self.hang_up(person);
            self.people[person].client = None;
            let at = self.sim.now + self.rng.ms(0, 5000);
            self.schedule(at, Scheduled::Start(person));
        }
    }
}
