//! The rich dialect in both directions: a line that is written and parsed again keeps its meaning.

use crate::safe::assert_safe;
use chat_proto::rich::{FromClient, FromServer};

pub(crate) fn target(input: &[u8]) {
    for line in input.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Ok(said) = FromClient::parse(&line) {
            let written = said.to_string();
            assert!(!written.contains('\n'), "{written:?} contains a line feed");
            assert_eq!(FromClient::parse(&written), Ok(said));
        }
        if let Ok(said) = FromServer::parse(&line) {
            let written = said.to_string();
            assert_safe(&written);
            assert_eq!(FromServer::parse(&written), Ok(said));
        }
    }
}
