//! The lab's original server: it knows no nicks, no history and no line ends, and takes short texts only.

pub(super) mod decoder;
mod room;
