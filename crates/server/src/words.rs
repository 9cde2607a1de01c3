//! New passphrases: words that people can say on the telephone.

use anyhow::{Context, Result};
use chat_sys::files;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Its words, behind a comment that says where they are from.
const LIST: &str = include_str!("words.txt");

/// Words in the list: each stands for 11 bits.
const WORDS: u16 = 1 << 11;

/// Words of a passphrase: 66 bits.
pub(crate) const COUNT: usize = 6;

/// Makes a passphrase, and writes it to this new file, else to `out`.
///
/// # Errors
/// If the system has no randomness, or it can't be written, or the file is there already.
pub fn write_new(file: Option<&Path>, out: &mut impl Write) -> Result<()> {
    let mut random = [0; 2 * COUNT];
    getrandom::fill(&mut random).context("the system has no randomness")?;
    let phrase = phrase(random);
    let Some(path) = file else {
        return Ok(writeln!(out, "{phrase}")?);
    };
    files::make_secret(path, &phrase)
        .map_err(explain)
        .with_context(|| format!("passphrase file {}", path.display()))?;
    Ok(writeln!(out, "a new passphrase is in {}", path.display())?)
}

fn explain(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::AlreadyExists => {
            io::Error::new(ErrorKind::AlreadyExists, "it exists, and is not replaced")
        }
        _ => error,
    }
}

/// The passphrase that these random bytes stand for.
pub(crate) fn phrase(random: [u8; 2 * COUNT]) -> String {
    let list: Vec<&str> = words().collect();
    let (numbers, _) = random.as_chunks();
    let numbers = numbers
        .iter()
        .map(|&pair| usize::from(u16::from_be_bytes(pair) % WORDS));
    let words: Vec<&str> = numbers.filter_map(|number| list.get(number).copied()).collect();
    words.join(" ")
}

fn words() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_list_has_2048_different_words() {
        let all: HashSet<&str> = words().collect();
        assert_eq!((all.len(), words().count()), (2048, 2048));
        assert!(
            all.iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()) && word.len() >= 3)
        );
        // The first four letters tell them apart.
        let beginnings: HashSet<&str> = all.iter().map(|word| &word[..word.len().min(4)]).collect();
        assert_eq!(beginnings.len(), 2048);
    }

    #[test]
    fn a_phrase_has_six_words_and_11_bits_of_each() {
        assert_eq!(phrase([0; 12]), "abandon abandon abandon abandon abandon abandon");
        let random = [0, 0, 0, 1, 0, 2, 0x07, 0xFF, 0xFF, 0xFF, 0xF8, 0];
        assert_eq!(phrase(random), "abandon ability able zoo zoo abandon");
    }
}
