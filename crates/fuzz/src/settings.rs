//! The settings file: what is taken is what is printed, and what is not is named with its line.

use crate::safe::assert_safe;
use chat_client::address::Address;
use chat_client::args::Args;
use chat_client::paths::Source;
use chat_client::settings::{File, Settings};
use clap::Parser;

pub(crate) fn target(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(address) = text.parse::<Address>() {
        let shown = address.to_string().parse::<Address>();
        assert_eq!(shown.map(|shown| shown.joined()), Ok(address.joined()));
    }
    match File::parse(&text) {
        Err(error) => {
            assert!((1..=1 + text.matches('\n').count()).contains(&error.line));
            let shown = error.to_string();
            assert!(!shown.contains('\n'), "{shown:?} is more than a line");
            assert_safe(&shown);
        }
        Ok(file) => {
            let shown = in_force(file, &text);
            let again = File::parse(&shown).map(|file| in_force(file, &shown));
            // The second time everything is said by the file, and so the remarks differ.
            assert_eq!(again.map(|again| values(&again)), Ok(values(&shown)));
        }
    }
}

fn in_force(file: File, text: &str) -> String {
    let args = Args::parse_from(["chat-client"]);
    Settings::resolve(&args, file, text, Source::Nowhere, || None).to_string()
}

/// A printed settings file without its remarks; a nick may contain what begins one.
fn values(printed: &str) -> Vec<String> {
    let rows = printed.lines();
    let rows = rows.map(|row| {
        row.rsplit_once("  # ")
            .map_or("", |(value, _)| value.trim_end())
            .to_owned()
    });
    rows.collect()
}
