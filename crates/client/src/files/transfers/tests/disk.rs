//! A pretended disk: what is on it outlives the program.

use crate::files::message::{Hash, Reason};
use crate::files::name::FileName;
use crate::files::request::{Answer, BLOCK, Handle, Part, Request};
use chat_proto::text::Text;
use ring::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Default)]
pub(super) struct FakeDisk {
    /// Content, and when it was changed.
    pub(super) sources: BTreeMap<PathBuf, (Vec<u8>, u64)>,
    pub(super) parts: BTreeMap<String, Vec<u8>>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    open: BTreeMap<Handle, Open>,
    /// The next write fails.
    pub(super) is_full: bool,
    /// Parts that were opened.
    pub(super) accepted: usize,
    /// Parts that were emptied.
    pub(super) restarts: usize,
}

enum Open {
    Source {
        path: PathBuf,
        at: usize,
        modified: u64,
        size: usize,
    },
    Part {
        name: String,
        size: u64,
    },
}

pub(super) fn hash(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

impl FakeDisk {
    /// The program was killed.
    pub(super) fn kill(&mut self) {
        self.open.clear();
    }

    pub(super) fn carry_out(&mut self, handle: Handle, request: Request) -> Option<Answer> {
        match request {
            Request::Open(path) => {
                let Some((content, modified)) = self.sources.get(&path) else {
                    return Some(Answer::Failed(Reason::CannotRead, Text::new("no such file")));
                };
                let name = FileName::new(path.file_name().unwrap().as_encoded_bytes());
                let (size, modified) = (content.len(), *modified);
                self.open.insert(
                    handle,
                    Open::Source {
                        path,
                        at: 0,
                        modified,
                        size,
                    },
                );
                return Some(Answer::Source {
                    size: size as u64,
                    modified,
                    name,
                });
            }
            Request::OpenPart(Part {
                name, size, modified, ..
            }) => {
                self.accepted += 1;
                let mut name = format!(".{name}.{size}.{modified}.chat-part");
                let is_taken =
                    |open: &Open, wanted: &str| matches!(open, Open::Part { name, .. } if name == wanted);
                while self.open.values().any(|open| is_taken(open, &name)) {
                    name.push('+');
                }
                let content = self.parts.entry(name.clone()).or_default();
                self.open.insert(handle, Open::Part { name, size });
                return Some(Answer::Part(content.len() as u64, hash(content)));
            }
            Request::RemovePart(Part {
                name, size, modified, ..
            }) => {
                self.parts.remove(&format!(".{name}.{size}.{modified}.chat-part"));
                return None;
            }
            _ => {}
        }
        let answer = match (self.open.get_mut(&handle)?, request) {
            (Open::Source { path, at, .. }, Request::Skip(bytes)) => {
                *at = usize::try_from(bytes).unwrap();
                match self.sources[path].0.get(..*at) {
                    Some(before) => Answer::Hashed(hash(before)),
                    None => Answer::Failed(Reason::Changed, Text::new("shorter")),
                }
            }
            (Open::Source { path, at, size, .. }, Request::Read) => {
                let end = (*at + BLOCK).min(*size);
                match self.sources[path].0.get(std::mem::replace(at, end)..end) {
                    Some(bytes) => Answer::Block(bytes.to_vec()),
                    None => Answer::Failed(Reason::Changed, Text::new("shorter")),
                }
            }
            (
                Open::Source {
                    path,
                    at,
                    modified,
                    size,
                },
                Request::End,
            ) => {
                let (content, now) = &self.sources[path];
                if (content.len(), *now) == (*size, *modified) {
                    assert_eq!(at, size);
                    Answer::End(hash(content))
                } else {
                    Answer::Failed(Reason::Changed, Text::new("changed"))
                }
            }
            (Open::Part { name, .. }, Request::Restart) => {
                self.restarts += 1;
                self.parts.insert(name.clone(), Vec::new());
                return None;
            }
            (Open::Part { name, size }, Request::Write(bytes)) => {
                if std::mem::take(&mut self.is_full) {
                    Answer::Failed(Reason::DiskFull, Text::new("full"))
                } else {
                    let part = self.parts.get_mut(name).unwrap();
                    part.extend_from_slice(&bytes);
                    assert!(part.len() as u64 <= *size);
                    Answer::Written(bytes.len() as u64)
                }
            }
            (Open::Part { name, size }, Request::Finish(expected, wanted)) => {
                let part = self.parts.remove(name).unwrap();
                if hash(&part) == expected && part.len() as u64 == *size {
                    let mut names =
                        std::iter::once(wanted.clone()).chain((2..).map(|number| wanted.numbered(number)));
                    let name = names
                        .find(|name| !self.files.contains_key(name.as_str()))
                        .unwrap();
                    self.files.insert(name.as_str().to_owned(), part);
                    self.open.remove(&handle);
                    return Some(Answer::Kept(name));
                }
                Answer::Failed(Reason::Damaged, Text::new("damaged"))
            }
            (_, Request::Close) => {
                self.open.remove(&handle);
                return None;
            }
            (Open::Part { name, .. }, Request::Discard) => {
                self.parts.remove(name);
                self.open.remove(&handle);
                return None;
            }
            (_, Request::Discard) => unreachable!("a source is not discarded"),
            (_, request) => unreachable!("{request:?}"),
        };
        if matches!(answer, Answer::Failed(..)) {
            self.open.remove(&handle);
        }
        Some(answer)
    }
}
