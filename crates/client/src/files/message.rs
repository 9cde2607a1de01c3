//! Messages about a file between two clients. They are parts of their conversation: delivered in order and once.

use super::name::FileName;
use std::fmt;

/// A file that a peer sends; the sender chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// The largest file, in bytes: a signed number of the file system.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// SHA-256 of bytes of a file.
pub type Hash = [u8; 32];

/// One of these messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileMessage {
    /// The sender offers a file.
    Offer(Offer),
    /// The receiver has the bytes before this one, and wants the rest. The sender begins there, even if it began before.
    Accept(FileId, u64),
    /// The receiver has accepted it, but other files come first.
    Queued(FileId),
    /// The receiver does not want it, or not any more.
    Decline(FileId, Reason),
    /// The sender ends the transfer.
    Cancel(FileId, Reason),
    /// The sender's hash of the bytes before this one, which the receiver has.
    Prefix(FileId, u64, Hash),
    /// All was sent; the hash of the whole file.
    Done(FileId, Hash),
    /// The file is on the receiver's disk, under its name.
    Kept(FileId),
}

/// A file that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The sender's number of it.
    pub id: FileId,
    /// In bytes, at most [`SIZE_MAX`].
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    pub modified: u64,
    /// The name that the sender suggests.
    pub name: FileName,
}

/// Why a file is not sent, or not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A user cancelled or declined it.
    User,
    /// The receiver accepts no files, or none from this user.
    NotAccepted,
    /// There are too many offers.
    TooMany,
    /// Nobody answered in time.
    Expired,
    /// The receiver's disk is full.
    DiskFull,
    /// The receiver can't write it.
    CannotWrite,
    /// The sender can't read it any more.
    CannotRead,
    /// It changed while it was sent.
    Changed,
    /// What arrived is not what was sent.
    Damaged,
    /// There is no direct path, and it is too large for the relay.
    NoPath,
    /// The peer breaks the rules.
    Broken,
    /// This client does not know the file, or no longer.
    Forgotten,
    /// The same file was offered again.
    Twice,
    /// There is no direct path, and the server or the sender's options forbid the relay.
    NotRelayed,
    /// A reason of a later version.
    Other,
}

impl Reason {
    const ALL: [Self; 14] = [
        Self::User,
        Self::NotAccepted,
        Self::TooMany,
        Self::Expired,
        Self::DiskFull,
        Self::CannotWrite,
        Self::CannotRead,
        Self::Changed,
        Self::Damaged,
        Self::NoPath,
        Self::Broken,
        Self::Forgotten,
        Self::Twice,
        Self::NotRelayed,
    ];

    fn code(self) -> u8 {
        let place = Self::ALL.iter().position(|&reason| reason == self);
        place
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or(u8::MAX)
    }

    fn of_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Other)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "cancelled",
            Self::NotAccepted => "files are not accepted there",
            Self::TooMany => "too many offers",
            Self::Expired => "no answer within 10 minutes",
            Self::DiskFull => "the receiver's disk is full",
            Self::CannotWrite => "the receiver can't write it",
            Self::CannotRead => "the sender can't read it any more",
            Self::Changed => "it was changed while it was sent",
            Self::Damaged => "it arrived damaged",
            Self::NoPath => "there is no direct path, and it is too large for the server to relay",
            Self::Broken => "the other client broke the protocol",
            Self::Forgotten => "the other client does not know it any more",
            Self::Twice => "it was offered again",
            Self::NotRelayed => "there is no direct path, and no files go through this server",
            Self::Other => "the other client gives no reason",
        })
    }
}

impl FileMessage {
    /// The file that it is about.
    #[must_use]
    pub fn id(&self) -> FileId {
        match self {
            Self::Offer(offer) => offer.id,
            Self::Accept(id, _) | Self::Decline(id, _) | Self::Cancel(id, _) => *id,
            Self::Prefix(id, ..) | Self::Done(id, _) | Self::Kept(id) | Self::Queued(id) => *id,
        }
    }

    /// The message as bytes: kind, id, fields; integers are big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let encode = |kind: u8, fields: &[&[u8]]| {
            let id = self.id().0.to_be_bytes();
            [&[kind], &id[..], &fields.concat()].concat()
        };
        match self {
            Self::Offer(offer) => encode(
                1,
                &[
                    &offer.size.to_be_bytes(),
                    &offer.modified.to_be_bytes(),
                    offer.name.as_str().as_bytes(),
                ],
            ),
            Self::Accept(_, offset) => encode(2, &[&offset.to_be_bytes()]),
            Self::Decline(_, reason) => encode(3, &[&[reason.code()]]),
            Self::Cancel(_, reason) => encode(4, &[&[reason.code()]]),
            Self::Prefix(_, offset, hash) => encode(5, &[&offset.to_be_bytes(), hash]),
            Self::Done(_, hash) => encode(6, &[hash]),
            Self::Kept(_) => encode(7, &[]),
            Self::Queued(_) => encode(8, &[]),
        }
    }

    /// The message in these bytes; `None` if there is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[kind, ref id @ ..], fields) = bytes.split_first_chunk::<5>()?;
        let id = FileId(u32::from_be_bytes(*id));
        let hash = |bytes: &[u8]| bytes.try_into().ok();
        let number = |bytes: &[u8; 8]| Some(u64::from_be_bytes(*bytes)).filter(|&number| number <= SIZE_MAX);
        let reason = || match fields {
            &[code] => Some(Reason::of_code(code)),
            _ => None,
        };
        Some(match kind {
            1 => {
                let (size, fields) = fields.split_first_chunk()?;
                let (modified, name) = fields.split_first_chunk()?;
                Self::Offer(Offer {
                    id,
                    size: number(size)?,
                    modified: u64::from_be_bytes(*modified),
                    name: FileName::new(name),
                })
            }
            2 => Self::Accept(id, number(fields.try_into().ok()?)?),
            3 => Self::Decline(id, reason()?),
            4 => Self::Cancel(id, reason()?),
            5 => {
                let (offset, fields) = fields.split_first_chunk()?;
                Self::Prefix(id, number(offset)?, hash(fields)?)
            }
            6 => Self::Done(id, hash(fields)?),
            7 if fields.is_empty() => Self::Kept(id),
            8 if fields.is_empty() => Self::Queued(id),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: FileId = FileId(0x0102_0304);

    #[test]
    fn every_message_is_parsed_as_it_was_encoded() {
        let offer = Offer {
            id: ID,
            size: SIZE_MAX,
            modified: 1_700_000_000,
            name: FileName::new("報告書.pdf".as_bytes()),
        };
        let mut messages = vec![
            FileMessage::Offer(offer),
            FileMessage::Accept(ID, 4096),
            FileMessage::Queued(ID),
            FileMessage::Prefix(ID, 4096, [7; 32]),
            FileMessage::Done(ID, [8; 32]),
            FileMessage::Kept(ID),
        ];
        for reason in Reason::ALL {
            messages.extend([FileMessage::Decline(ID, reason), FileMessage::Cancel(ID, reason)]);
        }
        for message in messages {
            let bytes = message.to_bytes();
            assert_eq!(FileMessage::parse(&bytes), Some(message.clone()));
            if !matches!(message, FileMessage::Offer(_)) {
                assert_eq!(
                    FileMessage::parse(&[&bytes[..], b"x"].concat()),
                    None,
                    "{message:?}"
                );
            }
        }
        let later = FileMessage::parse(&[4, 1, 2, 3, 4, 200]);
        assert_eq!(later, Some(FileMessage::Cancel(ID, Reason::Other)));
    }

    #[test]
    fn a_size_that_no_file_has_is_refused() {
        let mut bytes = FileMessage::Accept(ID, SIZE_MAX).to_bytes();
        assert!(FileMessage::parse(&bytes).is_some());
        bytes[5] = 0x80;
        assert_eq!(FileMessage::parse(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(kind in 0u8..10, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = FileMessage::parse(&bytes);
            if let Some(message) = FileMessage::parse(&[&[kind], &bytes[..]].concat()) {
                prop_assert_eq!(FileMessage::parse(&message.to_bytes()), Some(message));
            }
        }
    }
}
