//! The settings file: accepted values are printed unchanged, and errors name their line.

use crate::safe::assert_safe;
use chat_client::address::Address;
use chat_client::args::Args;
use chat_client::settings::File;

pub(crate) fn target(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(address) = text.parse::<Address>() {
        let shown = address.to_string().parse::<Address>();
        assert_eq!(shown.map(|shown| shown.joined()), Ok(address.joined()));
    }
    match File::parse(input) {
        Err(error) => {
            let lines = 1 + input.iter().filter(|&&byte| byte == b'\n').count();
            assert!((1..=lines).contains(&error.line));
            let shown = error.to_string();
            assert!(!shown.contains('\n'), "{shown:?} contains a line feed");
            assert_safe(&shown);
        }
        Ok(file) => {
            let shown = printed(&file);
            let again = File::parse(shown.as_bytes()).map(|file| printed(&file));
            // The second file sets every value, so the comments differ.
            assert_eq!(again.map(|again| values(&again)), Ok(values(&shown)));
        }
    }
}

fn printed(file: &File) -> String {
    let args = Args::parse_with(file, ["chat-client"], || None);
    args.expect("the command line is empty")
        .settings
        .report
        .to_string()
}

/// A printed settings file without its comments. A nick may contain a `#`.
fn values(printed: &str) -> Vec<String> {
    let rows = printed.lines();
    let rows = rows.map(|row| {
        row.rsplit_once("  # ")
            .map_or("", |(value, _)| value.trim_end())
            .to_owned()
    });
    rows.collect()
}
