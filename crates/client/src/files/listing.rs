//! The names in a directory, for the completion of paths.

use chat_proto::text::{ROW_END, Text};
use std::fs::{self, DirEntry};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Entries of a directory that are read.
const ENTRIES_MAX: usize = 10_000;
/// The disk may take this long. A network file system may never answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// A thread still reads a directory.
static IS_READING: AtomicBool = AtomicBool::new(false);

/// The names of files and directories that can be typed; directories end in a slash. Empty if reading takes too long.
#[must_use]
pub fn names(directory: &Path) -> Vec<String> {
    if IS_READING.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let (sender, receiver) = channel();
    let directory = directory.to_owned();
    let spawned = thread::Builder::new().name("names".to_owned()).spawn(move || {
        let names = read(&directory);
        IS_READING.store(false, Ordering::SeqCst);
        // Nobody may wait any more.
        let _ = sender.send(names);
    });
    if spawned.is_err() {
        IS_READING.store(false, Ordering::SeqCst);
    }
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

fn read(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries
        .take(ENTRIES_MAX)
        .flatten()
        .filter_map(|entry| name(&entry));
    names.collect()
}

/// `None` for what can't be sent, or can't be typed as it is.
fn name(entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let is_plain = !name.contains(|character: char| character.is_control() || character == ROW_END)
        && Text::new(&name).as_str() == name
        && name.trim() == name;
    let mut kind = entry.file_type().ok().filter(|_| is_plain)?;
    if kind.is_symlink() {
        kind = fs::metadata(entry.path()).ok()?.file_type();
    }
    match (kind.is_dir(), kind.is_file()) {
        (true, _) => Some(name + "/"),
        (_, true) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_names_that_can_be_typed_and_sent_are_listed() {
        let directory = std::env::temp_dir().join(format!("chat-listing-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("sub dir")).unwrap();
        for name in [
            "a b.txt",
            "报告 😀.pdf",
            ".hidden",
            "evil\x1b[2J",
            "two\nrows",
            "\u{202e}fdp",
            "end ",
        ] {
            fs::write(directory.join(name), "").unwrap();
        }
        symlink(directory.join("sub dir"), directory.join("link")).unwrap();
        symlink("/dev/null", directory.join("null")).unwrap();
        symlink("missing", directory.join("broken")).unwrap();
        let mut names = read(&directory);
        names.sort();
        assert_eq!(names, [".hidden", "a b.txt", "link/", "sub dir/", "报告 😀.pdf"]);
        assert!(read(&directory.join("missing")).is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }
}
