//! Values of the settings file that are options too: the same words, and errors that name them.

use super::{Colours, Lines, Timestamps};
use crate::command::{Bell, words};
use clap::ValueEnum;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Takes one of the words that the command line takes for `T`.
struct OneOf<T>(PhantomData<T>);

impl<T: ValueEnum> Visitor<'_> for OneOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = words::<T>().iter().map(|word| format!("{word:?}")).collect();
        write!(f, "one of {}", words.join(", "))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        T::from_str(word, false).map_err(|_| E::invalid_value(Unexpected::Str(word), &self))
    }
}

fn one_of<'de, T: ValueEnum, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(OneOf(PhantomData))
}

impl<'de> Deserialize<'de> for Bell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(deserializer)
    }
}

impl<'de> Deserialize<'de> for Colours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(deserializer)
    }
}

impl<'de> Deserialize<'de> for Timestamps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(deserializer)
    }
}

/// Takes a number of lines.
struct LinesVisitor;

impl Visitor<'_> for LinesVisitor {
    type Value = Lines;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of lines, without quotes")
    }

    fn visit_i64<E: Error>(self, lines: i64) -> Result<Lines, E> {
        Lines::try_from(lines).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(LinesVisitor)
    }
}
