mod system;

use super::Disk;
use crate::files::message::{Hash, Reason};
use crate::files::name::FileName;
use crate::files::request::{Answer, BLOCK, Handle, Part, Request};
use chat_proto::text::Text;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ring::digest::{SHA256, digest};
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A disk and a directory for one test.
struct Bench {
    disk: Disk,
    directory: PathBuf,
}

const SOURCE: Handle = Handle(1);
const PART: Handle = Handle(2);
const OTHER: Handle = Handle(3);

impl Bench {
    fn new(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("chat-files-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        Self::at(directory, 0)
    }

    fn at(directory: PathBuf, free_min: u64) -> Self {
        let disk = Disk::with_free(free_min, None).unwrap();
        Self { disk, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The next answer, within ten seconds.
    fn answer(&self) -> (Handle, Answer) {
        loop {
            if let Some(answer) = self.disk.next_answer() {
                return answer;
            }
            let mut fds = [PollFd::new(self.disk.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(10_000u16)).unwrap();
            assert_eq!(ready, 1, "the disk does not answer");
        }
    }

    fn ask(&self, handle: Handle, request: Request) -> Answer {
        self.disk.ask(handle, request);
        let (by, answer) = self.answer();
        assert_eq!(by, handle, "{answer:?}");
        answer
    }

    fn open(&self, path: &Path) -> Answer {
        self.ask(SOURCE, Request::Open(path.to_owned()))
    }

    fn open_part(&self, handle: Handle, name: &str, size: u64) -> Answer {
        let part = Part {
            directory: self.directory.clone(),
            name: FileName::new(name.as_bytes()),
            size,
            modified: 9,
        };
        self.ask(handle, Request::OpenPart(part))
    }

    fn finish(&self, handle: Handle, bytes: &[u8], name: &str) -> Answer {
        self.ask(
            handle,
            Request::Finish(hash(bytes), FileName::new(name.as_bytes())),
        )
    }

    /// Receives a file from its beginning.
    fn receive(&self, handle: Handle, name: &str, bytes: &[u8]) -> Answer {
        assert_eq!(
            self.open_part(handle, name, bytes.len() as u64),
            Answer::Part(0, hash(b""))
        );
        for block in bytes.chunks(BLOCK) {
            assert_eq!(
                self.write_part(handle, block),
                Answer::Written(block.len() as u64)
            );
        }
        self.finish(handle, bytes, name)
    }

    fn write_part(&self, handle: Handle, bytes: &[u8]) -> Answer {
        self.ask(handle, Request::Write(bytes.to_vec()))
    }

    /// All before was carried out.
    fn wait(&self) {
        let answer = self.ask(Handle(99), Request::Open(PathBuf::from("/nonexistent")));
        assert!(matches!(answer, Answer::Failed(Reason::CannotRead, _)));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn hash(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

fn kept(name: &str) -> Answer {
    Answer::Kept(FileName::new(name.as_bytes()))
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| u8::try_from(place * 31 % 251).unwrap())
        .collect()
}

fn reason(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Failed(reason, _) => Some(*reason),
        _ => None,
    }
}

#[test]
fn files_of_any_size_are_read_and_written_whole() {
    for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 300_000] {
        let bench = Bench::new("whole");
        let bytes = noise(size);
        let source = bench.write("source", &bytes);
        let Answer::Source { size: told, name, .. } = bench.open(&source) else {
            panic!()
        };
        assert_eq!((told, name.as_str()), (size as u64, "source"));
        assert_eq!(
            bench.open_part(PART, "copy", size as u64),
            Answer::Part(0, hash(b""))
        );
        for _ in 0..size.div_ceil(BLOCK) {
            let Answer::Block(block) = bench.ask(SOURCE, Request::Read) else {
                panic!()
            };
            bench.write_part(PART, &block);
        }
        assert_eq!(bench.ask(SOURCE, Request::End), Answer::End(hash(&bytes)));
        assert_eq!(bench.finish(PART, &bytes, "copy"), kept("copy"));
        assert_eq!(fs::read(bench.path("copy")).unwrap(), bytes);
        assert_eq!(bench.names(), ["copy", "source"]);
        let (copy, source) = (bench.path("copy"), bench.path("source"));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(copy), mode(source), "as of any new file");
    }
}

#[test]
fn a_taken_name_gets_a_number() {
    let bench = Bench::new("taken");
    bench.write("report.pdf", b"old");
    symlink("/nonexistent", bench.path("report (2).pdf")).unwrap();
    fs::create_dir(bench.path("report (3).pdf")).unwrap();
    assert_eq!(bench.receive(PART, "report.pdf", b"new"), kept("report (4).pdf"));
    assert_eq!(fs::read(bench.path("report.pdf")).unwrap(), b"old");
    assert_eq!(fs::read(bench.path("report (4).pdf")).unwrap(), b"new");
}

#[test]
fn two_files_of_one_name_at_once_are_two() {
    let bench = Bench::new("twice");
    for handle in [PART, OTHER] {
        assert_eq!(bench.open_part(handle, "a.txt", 3), Answer::Part(0, hash(b"")));
    }
    bench.write_part(PART, b"one");
    bench.write_part(OTHER, b"two");
    assert_eq!(bench.finish(OTHER, b"two", "a.txt"), kept("a.txt"));
    assert_eq!(bench.finish(PART, b"one", "a.txt"), kept("a (2).txt"));
    assert_eq!(fs::read(bench.path("a.txt")).unwrap(), b"two");
    assert_eq!(fs::read(bench.path("a (2).txt")).unwrap(), b"one");
    assert_eq!(bench.names().len(), 2);
}

#[test]
fn a_part_is_hidden_private_and_continued() {
    let bench = Bench::new("continued");
    bench.open_part(PART, "a.txt", 6);
    bench.write_part(PART, b"abc");
    let part = bench.path(".a.txt.6.9.chat-part");
    assert_eq!(fs::metadata(&part).unwrap().mode() & 0o777, 0o600);
    bench.disk.ask(PART, Request::Close);
    assert_eq!(bench.open_part(OTHER, "a.txt", 6), Answer::Part(3, hash(b"abc")));
    bench.write_part(OTHER, b"def");
    assert_eq!(bench.finish(OTHER, b"abcdef", "a.txt"), kept("a.txt"));
    assert_eq!(fs::read(bench.path("a.txt")).unwrap(), b"abcdef");
    assert_eq!(bench.names(), ["a.txt"]);
}

#[test]
fn a_foreign_part_is_emptied_on_request() {
    let bench = Bench::new("foreign");
    bench.write(".a.txt.6.9.chat-part", b"xyz");
    assert_eq!(bench.open_part(PART, "a.txt", 6), Answer::Part(3, hash(b"xyz")));
    bench.disk.ask(PART, Request::Restart);
    bench.write_part(PART, b"abcdef");
    assert_eq!(bench.finish(PART, b"abcdef", "a.txt"), kept("a.txt"));
    assert_eq!(fs::read(bench.path("a.txt")).unwrap(), b"abcdef");
}

#[test]
fn a_part_that_is_too_long_is_left_alone() {
    let bench = Bench::new("long");
    let long = bench.write(".a.txt.3.9.chat-part", b"more than three");
    assert_eq!(bench.receive(PART, "a.txt", b"abc"), kept("a.txt"));
    assert_eq!(fs::read(long).unwrap(), b"more than three");
}

#[test]
fn links_in_place_of_a_part_are_not_followed() {
    for is_hard in [false, true] {
        let bench = Bench::new(if is_hard { "hard" } else { "soft" });
        let victim = bench.write("victim", b"abc");
        let part = bench.path(".a.txt.6.9.chat-part");
        if is_hard {
            fs::hard_link(&victim, &part).unwrap();
        } else {
            symlink(&victim, &part).unwrap();
        }
        assert_eq!(bench.receive(PART, "a.txt", b"abcdef"), kept("a.txt"));
        assert_eq!(fs::read(&victim).unwrap(), b"abc");
        assert!(fs::symlink_metadata(&part).is_ok());
    }
}

#[test]
fn a_part_that_is_replaced_meanwhile_gets_no_name() {
    let bench = Bench::new("replaced");
    let victim = bench.write("victim", b"abc");
    bench.open_part(PART, "a.txt", 6);
    bench.write_part(PART, b"abcdef");
    let part = bench.path(".a.txt.6.9.chat-part");
    fs::remove_file(&part).unwrap();
    symlink(&victim, &part).unwrap();
    let answer = bench.finish(PART, b"abcdef", "a.txt");
    assert_eq!(reason(&answer), Some(Reason::CannotWrite));
    assert_eq!(bench.names(), [".a.txt.6.9.chat-part", "victim"]);
    assert_eq!(fs::read(&victim).unwrap(), b"abc");
}

#[test]
fn a_part_that_another_program_cuts_gets_no_name() {
    let bench = Bench::new("cut");
    bench.open_part(PART, "a.txt", 6);
    bench.write_part(PART, b"abc");
    fs::write(bench.path(".a.txt.6.9.chat-part"), b"").unwrap();
    bench.write_part(PART, b"def");
    assert_eq!(
        reason(&bench.finish(PART, b"abcdef", "a.txt")),
        Some(Reason::CannotWrite)
    );
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_part_that_another_program_writes_to_gets_no_name() {
    for (written, is_kept) in [("x", false), ("a", true)] {
        let bench = Bench::new("written");
        bench.open_part(PART, "a.txt", 6);
        bench.write_part(PART, b"abc");
        let mut options = fs::File::options();
        let mut part = options
            .write(true)
            .open(bench.path(".a.txt.6.9.chat-part"))
            .unwrap();
        part.write_all(written.as_bytes()).unwrap();
        // The clock of a file system may stand still for some milliseconds.
        part.set_modified(std::time::UNIX_EPOCH).unwrap();
        bench.write_part(PART, b"def");
        let answer = bench.finish(PART, b"abcdef", "a.txt");
        if is_kept {
            assert_eq!(answer, kept("a.txt"), "its bytes are the same");
        } else {
            assert_eq!(reason(&answer), Some(Reason::CannotWrite), "{answer:?}");
            assert_eq!(bench.names(), [""; 0]);
        }
    }
}

#[test]
fn a_directory_that_is_moved_keeps_its_file() {
    let bench = Bench::new("moved");
    let (inner, moved) = (bench.path("inner"), bench.path("moved"));
    fs::create_dir(&inner).unwrap();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    let part = Part {
        directory: inner.clone(),
        name: FileName::new(b"a"),
        size: 3,
        modified: 9,
    };
    assert_eq!(
        bench.ask(PART, Request::OpenPart(part)),
        Answer::Part(0, hash(b""))
    );
    fs::rename(&inner, &moved).unwrap();
    symlink(bench.path("elsewhere"), &inner).unwrap();
    bench.write_part(PART, b"abc");
    assert_eq!(bench.finish(PART, b"abc", "a"), kept("a"));
    assert_eq!(fs::read(moved.join("a")).unwrap(), b"abc");
    assert_eq!(fs::read_dir(bench.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_directory_that_goes_away_is_told() {
    let bench = Bench::new("gone");
    let gone = Part {
        directory: bench.path("none"),
        name: FileName::new(b"a"),
        size: 3,
        modified: 9,
    };
    let answer = bench.ask(PART, Request::OpenPart(gone));
    assert_eq!(reason(&answer), Some(Reason::CannotWrite), "{answer:?}");
    bench.open_part(PART, "a", 3);
    fs::remove_dir_all(&bench.directory).unwrap();
    bench.write_part(PART, b"abc");
    assert_eq!(
        reason(&bench.finish(PART, b"abc", "a")),
        Some(Reason::CannotWrite)
    );
}

#[test]
fn other_bytes_than_those_that_were_sent_get_no_name() {
    let bench = Bench::new("damaged");
    bench.open_part(PART, "a", 3);
    bench.write_part(PART, b"abc");
    assert_eq!(reason(&bench.finish(PART, b"abd", "a")), Some(Reason::Damaged));
    assert_eq!(bench.names(), [""; 0]);
    bench.open_part(PART, "a", 3);
    bench.write_part(PART, b"ab");
    assert_eq!(reason(&bench.finish(PART, b"ab", "a")), Some(Reason::Damaged));
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_is_unwanted_or_empty_leaves_nothing() {
    let bench = Bench::new("unwanted");
    for (bytes, request) in [
        (&b"abc"[..], Request::Discard),
        (b"", Request::Discard),
        (b"", Request::Close),
    ] {
        bench.open_part(PART, "a", 6);
        if !bytes.is_empty() {
            bench.write_part(PART, bytes);
        }
        bench.disk.ask(PART, request);
        bench.wait();
        assert_eq!(bench.names(), [""; 0]);
    }
    bench.open_part(PART, "a", 6);
    bench.write_part(PART, b"abc");
    bench.disk.ask(PART, Request::Close);
    let part = Part {
        directory: bench.directory.clone(),
        name: FileName::new(b"a"),
        size: 6,
        modified: 9,
    };
    bench.disk.ask(OTHER, Request::RemovePart(part));
    bench.wait();
    assert_eq!(bench.names(), [""; 0]);
    // Handles that are closed answer nothing.
    bench.disk.ask(PART, Request::Write(vec![1]));
    bench
        .disk
        .ask(PART, Request::Finish(hash(b""), FileName::new(b"a")));
    bench.disk.ask(SOURCE, Request::Read);
    bench.wait();
}

#[test]
fn the_end_of_the_program_leaves_what_arrived() {
    let mut bench = Bench::new("end");
    assert_eq!(bench.open_part(PART, "a", 64 << 20), Answer::Part(0, hash(b"")));
    bench.disk.ask(PART, Request::Write(b"abc".to_vec()));
    bench.disk = Disk::start(None).unwrap();
    let part = bench.path(&format!(".a.{}.9.chat-part", 64 << 20));
    assert_eq!(fs::read(&part).unwrap(), b"abc");
    let blocks = fs::metadata(&part).unwrap().blocks();
    assert!(blocks < 1000, "what was reserved is free again: {blocks}");
}

#[test]
fn only_regular_files_are_sent() {
    let bench = Bench::new("regular");
    let (fifo, socket, circle) = (bench.path("fifo"), bench.path("socket"), bench.path("circle"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    symlink("circle", &circle).unwrap();
    let irregular = "it is not a regular file";
    for (path, reason) in [
        (&fifo, irregular),
        (&socket, irregular),
        (&PathBuf::from("/dev/null"), irregular),
        // It has bytes, and its size is 0.
        (&PathBuf::from("/proc/version"), irregular),
        (
            &bench.directory,
            "it is a directory: make one file of it with tar, and send that",
        ),
        (&bench.path("none"), "no such file or directory"),
        (&circle, "too many levels of symbolic links"),
        (&bench.path(&"x".repeat(256)), "file name too long"),
    ] {
        let answer = bench.open(path);
        assert_eq!(
            answer,
            Answer::Failed(Reason::CannotRead, Text::new(reason)),
            "{path:?}"
        );
    }
}

#[test]
fn a_link_sends_its_file_under_the_name_of_the_link() {
    let bench = Bench::new("link");
    bench.write("file", b"abc");
    symlink("file", bench.path("link.txt")).unwrap();
    let Answer::Source { size, name, .. } = bench.open(&bench.path("link.txt")) else {
        panic!()
    };
    assert_eq!((size, name.as_str()), (3, "link.txt"));
    bench.ask(SOURCE, Request::Read);
    assert_eq!(bench.ask(SOURCE, Request::End), Answer::End(hash(b"abc")));
}

#[test]
fn a_source_that_is_replaced_or_removed_is_noticed() {
    for is_replaced in [false, true] {
        let bench = Bench::new("other");
        let source = bench.write("source", b"abc");
        bench.open(&source);
        bench.ask(SOURCE, Request::Read);
        if is_replaced {
            let other = bench.write("saved", b"abd");
            let modified = fs::metadata(&source).unwrap().modified().unwrap();
            fs::File::open(&other).unwrap().set_modified(modified).unwrap();
            fs::rename(other, source).unwrap();
        } else {
            fs::remove_file(source).unwrap();
        }
        assert_eq!(reason(&bench.ask(SOURCE, Request::End)), Some(Reason::Changed));
    }
}

#[test]
fn a_source_that_changes_is_noticed() {
    let bytes = noise(2 * BLOCK);
    let bench = Bench::new("changed");
    let source = bench.path("source");
    let longer = [&bytes[..], b"x"].concat();
    for (change, is_read) in [(&bytes[..BLOCK], false), (&longer, true), (&bytes, true)] {
        fs::write(&source, &bytes).unwrap();
        fs::File::open(&source)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        bench.open(&source);
        assert!(matches!(bench.ask(SOURCE, Request::Read), Answer::Block(_)));
        fs::write(&source, change).unwrap();
        let answer = bench.ask(SOURCE, Request::Read);
        let answer = if is_read {
            bench.ask(SOURCE, Request::End)
        } else {
            answer
        };
        assert_eq!(reason(&answer), Some(Reason::Changed));
    }
}

#[test]
fn hashing_tells_its_progress_and_delays_nobody() {
    let bench = Bench::new("progress");
    let (source, other) = (bench.path("source"), bench.write("other", b"abc"));
    let size = 300 << 20;
    fs::File::create(&source).unwrap().set_len(size).unwrap();
    bench.open(&source);
    bench.disk.ask(SOURCE, Request::Skip(size - 1));
    bench.disk.ask(OTHER, Request::Open(other));
    bench.disk.ask(OTHER, Request::Read);
    let mut answers = Vec::new();
    while !answers
        .iter()
        .any(|(_, answer)| matches!(answer, Answer::Hashed(_)))
    {
        answers.push(bench.answer());
    }
    let told = answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Progress(bytes) => Some(bytes >> 20),
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<u64>>(),
        [32, 64, 96, 128, 160, 192, 224, 256, 288]
    );
    let place = |wanted: Handle| answers.iter().rposition(|(handle, _)| *handle == wanted);
    assert!(place(OTHER).unwrap() < 4, "{answers:?}");
    assert_eq!(bench.ask(SOURCE, Request::Read), Answer::Block(vec![0]));
    let Answer::End(_) = bench.ask(SOURCE, Request::End) else {
        panic!()
    };
}

#[test]
fn hashing_ends_when_its_file_is_closed() {
    let bench = Bench::new("closed");
    let source = bench.path("source");
    fs::File::create(&source).unwrap().set_len(1 << 40).unwrap();
    bench.open(&source);
    bench.disk.ask(SOURCE, Request::Skip(1 << 40));
    bench.disk.ask(SOURCE, Request::Close);
    while bench.disk.next_answer().is_some() {}
    let other = bench.write("other", b"abc");
    bench.disk.ask(OTHER, Request::Open(other));
    while !matches!(bench.answer(), (OTHER, Answer::Source { .. })) {}
}
