//! Any file, over any network: it arrives whole, or both sides are told why not.

use super::world::{Dice, Troubles, World};
use crate::files::message::Reason;
use crate::files::transfers::{FileEvent, Number, State, Way, What};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEEDS: u64 = 60;

/// What the user of this run does next, and when.
enum Act {
    Offer(usize, String),
    Break,
    Leave(usize),
    Restart(usize),
    Cancel(usize),
    Change(usize, String),
    Fill(usize),
}

/// All that was ever under a name at its sender.
type Versions = BTreeMap<String, BTreeSet<Vec<u8>>>;

fn content(dice: &mut Dice) -> Vec<u8> {
    let size = match dice.below(10) {
        0 => 0,
        1 => 1,
        2 => 65_536 * dice.below(4),
        3..6 => dice.below(10_000),
        6..9 => dice.below(400_000),
        _ => dice.below(5_000_000),
    };
    let mut generator = Dice(dice.below(u64::MAX));
    let words = (0..size.div_ceil(8)).flat_map(|_| generator.below(u64::MAX).to_le_bytes());
    words.take(usize::try_from(size).unwrap()).collect()
}

fn plan(
    dice: &mut Dice,
    world: &mut World,
    versions: &mut Versions,
    has_breaks: bool,
) -> BTreeMap<Duration, Act> {
    let mut acts = BTreeMap::new();
    for file in 0..2 + dice.below(8) {
        let side = usize::try_from(dice.below(2)).unwrap();
        let name = format!("{side}-{file}.bin");
        let bytes = content(dice);
        versions.entry(name.clone()).or_default().insert(bytes.clone());
        world.sides[side]
            .disk
            .sources
            .insert(PathBuf::from(&name), (bytes, 1));
        acts.insert(dice.millis(20_000), Act::Offer(side, name.clone()));
        if dice.percent(10) {
            acts.insert(dice.millis(20_000), Act::Offer(side, name.clone()));
        }
        if dice.percent(5) {
            acts.insert(dice.millis(20_000), Act::Change(side, name));
        }
    }
    if has_breaks {
        for _ in 0..dice.below(6) {
            let side = usize::try_from(dice.below(2)).unwrap();
            let act = match dice.below(8) {
                0..3 => Act::Break,
                3..5 => Act::Leave(side),
                5..6 => Act::Restart(side),
                6..7 => Act::Cancel(side),
                _ => Act::Fill(side),
            };
            acts.insert(dice.millis(30_000), act);
        }
    }
    acts
}

fn act(world: &mut World, versions: &mut Versions, act: Act) {
    match act {
        Act::Offer(side, name) => world.offer(side, &name),
        Act::Break => world.break_path(),
        Act::Leave(side) => {
            let time = world.dice.millis(5000);
            world.leave(side, time);
        }
        Act::Restart(side) => {
            world.restart(side);
            // The user sends again what was not over.
            let names: Vec<PathBuf> = world.sides[side].disk.sources.keys().cloned().collect();
            for name in names {
                if world.dice.percent(50) {
                    world.offer(side, name.to_str().unwrap());
                }
            }
        }
        Act::Cancel(side) => {
            let numbers: Vec<Number> = world.sides[side]
                .transfers
                .list()
                .map(|status| status.number)
                .collect();
            if let Some(&number) = numbers.first() {
                world.sides[side].transfers.end(number, Reason::User).unwrap();
                world.settle();
            }
        }
        Act::Change(side, name) => {
            let source = world.sides[side].disk.sources.get_mut(Path::new(&name)).unwrap();
            let middle = source.0.len() / 2;
            source.0.truncate(middle);
            source.0.extend_from_slice(&[7; 100]);
            source.1 += 1;
            versions.get_mut(&name).unwrap().insert(source.0.clone());
        }
        Act::Fill(side) => world.sides[side].disk.is_full = true,
    }
}

/// Users answer offers, some after a while, most with yes.
fn answer(world: &mut World, asked: &mut BTreeSet<(usize, u64, Number)>) {
    for side in [0, 1] {
        let run = world.sides[side].run;
        let offers = world.sides[side].transfers.list();
        let offers = offers.filter(|status| status.way == Way::Receiving && status.state == State::Offered);
        for number in offers.map(|status| status.number).collect::<Vec<_>>() {
            if world.dice.percent(70) || !asked.insert((side, run, number)) {
                continue;
            }
            if world.dice.percent(10) {
                world.sides[side].transfers.end(number, Reason::User).unwrap();
            } else {
                let written = world.sides[side].disk.accepted;
                world.sides[side]
                    .transfers
                    .accept(number, PathBuf::from("/"), None)
                    .unwrap();
                assert_eq!(world.sides[side].disk.accepted, written);
            }
        }
        world.settle();
    }
}

fn simulate(seed: u64, has_breaks: bool) {
    let mut dice = Dice(seed);
    let troubles = Troubles {
        loss: [0, 1, 5, 30][usize::try_from(dice.below(4)).unwrap()],
        copies: dice.below(5),
        lost_messages: if has_breaks { dice.below(3) * 5 } else { 0 },
    };
    let mut world = World::new(seed, troubles);
    let mut versions = Versions::new();
    let mut acts = plan(&mut dice, &mut world, &mut versions, has_breaks);
    let mut asked = BTreeSet::new();
    while let Some((at, next)) = acts.pop_first() {
        let mut time = world.now;
        while time < at {
            time = at.min(time + Duration::from_millis(500));
            world.run_for(time.saturating_sub(world.now));
            answer(&mut world, &mut asked);
        }
        act(&mut world, &mut versions, next);
    }
    world.troubles.lost_messages = 0;
    for _ in 0..2000 {
        world.run_for(Duration::from_secs(1));
        answer(&mut world, &mut asked);
    }
    check(seed, &world, &versions, has_breaks);
}

fn check(seed: u64, world: &World, versions: &Versions, has_breaks: bool) {
    for side in [0, 1] {
        let here = &world.sides[side];
        assert_eq!(
            here.consumed_by_peer, here.delivered,
            "{seed}: each byte is consumed once"
        );
        for (name, bytes) in &here.disk.files {
            let base = name.split(' ').next().unwrap();
            let base = if base.ends_with(".bin") {
                base.to_owned()
            } else {
                format!("{base}.bin")
            };
            assert!(versions[&base].contains(bytes), "{seed}: wrong bytes in {name}");
        }
        for status in here.transfers.list() {
            let was_restarted = world.sides[1 - side].run > 0;
            assert!(
                was_restarted
                    && matches!(status.state, State::Paused | State::Forgotten)
                    && status.way == Way::Receiving,
                "{seed}: {side} {status:?}, {:?}",
                world.events_of(side, status.name.as_str())
            );
        }
        let mut last: BTreeMap<(u64, Number), &What> = BTreeMap::new();
        for (run, event) in &here.events {
            let over = last.insert((*run, event.number), &event.what);
            let is_over = matches!(over, Some(What::Kept | What::Failed(..)));
            assert!(!is_over, "{seed}: {event:?} after {over:?}");
            if let What::Failed(reason, _) = &event.what {
                let is_expected = match reason {
                    Reason::Broken | Reason::Damaged | Reason::Expired | Reason::NoPath | Reason::Other => {
                        false
                    }
                    Reason::User | Reason::Changed | Reason::Twice => true,
                    _ => has_breaks,
                };
                assert!(is_expected, "{seed}: {event:?}");
            }
            if event.what == What::Kept && event.way == Way::Sending {
                let kept = &world.sides[1 - side].events;
                let is_kept = |event: &&(u64, FileEvent)| event.1.what == What::Kept;
                let bytes = |name: &str| {
                    world.sides[1 - side]
                        .disk
                        .files
                        .get(name)
                        .is_some_and(|bytes| bytes.len() as u64 == event.size)
                };
                assert!(
                    kept.iter()
                        .filter(is_kept)
                        .any(|(_, kept)| bytes(kept.name.as_str())),
                    "{seed}: {event:?}"
                );
            }
        }
        if !has_breaks {
            let is_kept = |what: &&What| matches!(what, What::Kept);
            let sent = here.events.iter().filter(|(_, event)| event.way == Way::Sending);
            let sent = sent.map(|(_, event)| &event.what).filter(is_kept).count();
            assert_eq!(sent, world.sides[1 - side].disk.files.len(), "{seed}");
        }
    }
}

/// `CHAT_FILES_SEEDS=17..18` is one of them, and tells what happens.
fn seeds() -> Range<u64> {
    let given = std::env::var("CHAT_FILES_SEEDS").ok();
    let range = given.as_deref().and_then(|seeds| seeds.split_once(".."));
    range.map_or(0..SEEDS, |(first, end)| {
        first.parse().unwrap()..end.parse().unwrap()
    })
}

#[test]
fn every_file_arrives_whole_over_a_lossy_network() {
    seeds().for_each(|seed| simulate(seed, false));
}

#[test]
fn breaks_and_restarts_never_leave_wrong_bytes() {
    seeds().for_each(|seed| simulate(seed, true));
}
