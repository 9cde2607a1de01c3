//! The rich dialect, both directions: written and read again, a line says the same.

use crate::safe::assert_safe;
use chat_proto::rich::{FromClient, FromServer};

pub(crate) fn target(input: &[u8]) {
    for line in input.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Ok(said) = FromClient::parse(&line) {
            let written = said.to_string();
            assert!(!written.contains('\n'), "{written:?} is more than a line");
            assert_eq!(FromClient::parse(&written), Ok(said));
        }
        if let Ok(said) = FromServer::parse(&line) {
            let written = said.to_string();
            assert_safe(&written);
            assert_eq!(FromServer::parse(&written), Ok(said));
        }
    }
}
