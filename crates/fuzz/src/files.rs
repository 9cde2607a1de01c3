//! Files that people edit: a passphrase, a server's key, the keys of operators, and those of known servers.
//!
//! Required:
//! - an error is one line, which is safe to show and has nothing of a secret in it;
//! - what is remembered of one server changes nothing that is known of another, and forgetting it forgets it.

use crate::safe::assert_safe;
use chat_client::address::Address;
use chat_client::known_servers::{Known, KnownServers};
use chat_client::net::secure::Proven;
use chat_proto::opaque::Opaque;
use chat_server::door::Door;
use chat_server::identity::Identity;
use chat_server::operators::read_keys;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// So much of a secret in an error is no chance.
const EXCERPT: usize = 12;

const SERVERS: [&str; 3] = ["lab 9000", "10.0.0.5 9000", "lab 90001"];

pub(crate) fn target(input: &[u8]) {
    let path = std::env::temp_dir().join(format!("chat-fuzz-{}", std::process::id()));
    fs::write(&path, input).expect("a file for this input");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a file of its own");
    read_secrets(&path, input);
    if let Err(error) = read_keys(&path) {
        assert_safe(&format!("{error:#}"));
    }
    know(&path);
    fs::remove_file(&path).expect("the file");
}

fn read_secrets(path: &Path, input: &[u8]) {
    let door = Door::load(Some(path), false);
    let errors = [door.err(), Identity::load(Some(path)).err()];
    let secret = String::from_utf8_lossy(input);
    let excerpt: String = secret.trim().chars().take(EXCERPT).collect();
    for error in errors.into_iter().flatten() {
        let error = format!("{error:#}");
        assert_safe(&error);
        assert!(excerpt.len() < EXCERPT || !error.contains(&excerpt), "{error}");
    }
}

fn know(path: &Path) {
    let known = KnownServers::at(PathBuf::from(path));
    let [server, others @ ..] = SERVERS.map(|server| server.parse::<Address>().ok());
    let server = server.expect("an address");
    let recall = |server: &Address| known.recall(server).map_err(|error| format!("{error:#}"));
    let all = || others.iter().flatten().map(recall).collect::<Vec<_>>();
    let before = all();
    for error in before.iter().flat_map(|known| known.as_ref().err()) {
        assert_safe(error);
    }
    let key = Opaque([7; 32]);
    let proven = Proven {
        key,
        is_kept: true,
        has_phrase: true,
    };
    if recall(&server) == Ok(None) {
        known.meet(&server, proven);
        let has_phrase = true;
        assert_eq!(recall(&server), Ok(Some(Known { key, has_phrase })));
        assert_eq!(all(), before);
    }
    if known.forget(&server).is_ok() {
        assert_eq!(recall(&server), Ok(None));
        assert_eq!(all(), before);
    }
}
