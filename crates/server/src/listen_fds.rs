//! Sockets that systemd, or another service manager, passes to the server: sd_listen_fds(3).

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::close;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::env;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

/// The first descriptor that is passed. The others follow.
const FIRST: RawFd = 3;

/// The descriptors that were passed to this process, without those numbers. To be called once.
///
/// # Errors
/// If the environment is not as the manual page says, or the system refuses.
pub(crate) fn take() -> io::Result<Vec<OwnedFd>> {
    let variable = |name: &str| env::var(name).ok();
    let count = count(variable("LISTEN_PID"), variable("LISTEN_FDS"));
    let count = count.ok_or_else(|| io::Error::other("LISTEN_FDS is no number of descriptors"))?;
    let checked = |number| {
        if is_inherited(number) {
            return own(number);
        }
        Err(io::Error::other(format!("descriptor {number} was not passed")))
    };
    (FIRST..FIRST + count).map(checked).collect()
}

/// Whether a descriptor is open since the start. Those that the server opened itself, some of them just now, are all closed on
/// exec: to own one of them twice would end the process.
fn is_inherited(number: RawFd) -> bool {
    /// `O_CLOEXEC`, as the system shows it.
    const CLOEXEC: u32 = nix::libc::O_CLOEXEC.cast_unsigned();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOEXEC == 0)
}

/// How many descriptors were passed to this process. A child of the one that was meant inherits the variables too.
fn count(pid: Option<String>, count: Option<String>) -> Option<RawFd> {
    if pid.and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Some(0);
    }
    let count: RawFd = count.unwrap_or_default().parse().ok()?;
    (0..=i32::from(u8::MAX)).contains(&count).then_some(count)
}

/// Owns a descriptor of which only the number is known. The number is sent to this process itself, and what the system returns for
/// it is owned. The number is closed: the socket would stay open under it.
fn own(number: RawFd) -> io::Result<OwnedFd> {
    let (from, to) = UnixDatagram::pair()?;
    let numbers = [number];
    let message = [ControlMessage::ScmRights(&numbers)];
    sendmsg::<()>(
        from.as_raw_fd(),
        &[IoSlice::new(b"-")],
        &message,
        MsgFlags::empty(),
        None,
    )?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        &to,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let owned = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    close(number)?;
    owned.ok_or_else(|| io::Error::other("the system did not pass the descriptor on"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write, pipe};
    use std::os::fd::IntoRawFd;

    #[test]
    fn descriptors_of_another_process_are_left_alone() {
        let own = || Some(std::process::id().to_string());
        assert_eq!(count(own(), Some("2".to_owned())), Some(2));
        assert_eq!(count(Some("1".to_owned()), Some("2".to_owned())), Some(0));
        assert_eq!(count(None, Some("2".to_owned())), Some(0));
        for wrong in ["-1", "many", "", "256"] {
            assert_eq!(count(own(), Some(wrong.to_owned())), None);
        }
        assert_eq!(count(own(), None), None);
    }

    #[test]
    fn a_number_becomes_an_owned_descriptor_and_is_closed() {
        let (mut reader, writer) = pipe().unwrap();
        let number = writer.into_raw_fd();
        let mut owned = fs::File::from(own(number).unwrap());
        owned.write_all(b"hello").unwrap();
        drop(owned);
        let mut text = String::new();
        // It ends, so no other descriptor of the writing end is left.
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn descriptors_of_the_server_itself_were_not_passed() {
        let (reader, _writer) = pipe().unwrap();
        assert!(is_inherited(2), "standard error");
        assert!(!is_inherited(reader.as_raw_fd()));
        assert!(!is_inherited(1 << 20));
    }

    #[test]
    fn a_number_that_is_not_open_is_an_error() {
        assert!(own(1 << 20).is_err());
    }
}
