//! What `--generate` prints: the manual page, and completions.

use crate::args::{Args, EXIT_STATUS};
use chat_manual::{Document, Section};
use clap::CommandFactory;
use std::io::{self, Write};

/// Command lines, with their effect.
const EXAMPLES: [(&str, &str); 5] = [
    (
        "chat-server",
        "A room for everybody who can reach this machine, at port 9000.",
    ),
    (
        "chat-server localhost 9001",
        "A room for the users of this machine, at port 9001.",
    ),
    (
        "chat-server --new-passphrase --passphrase-file ~/room-passphrase",
        "Make a passphrase of six words.",
    ),
    (
        "chat-server --passphrase-file ~/room-passphrase --allow 10.0.0.0/8",
        "A room for those who know the passphrase, in one network.",
    ),
    (
        "chat-server --status 9000",
        "Print the status of the server at port 9000. Exit status 0 means that it is well.",
    ),
];

const FILES: [(&str, &str); 4] = [
    (
        "~/.local/state/chat/server-key",
        "The server's key, without `--key-file`.",
    ),
    (
        "~/.local/state/chat/operator-code-ADDRESS:PORT",
        "The code for operators, while the server runs and standard output is no terminal.",
    ),
    (
        "/var/lib/chat-server",
        "The key, the code, the room and the bans of the systemd unit.",
    ),
    (
        "chat-server.service, chat-server@.service, chat-server.socket",
        "The units: for port 9000, for the port after the @, and for port 443.",
    ),
];

const ENVIRONMENT: [(&str, &str); 5] = [
    ("HOME", "The directory ~."),
    (
        "XDG_STATE_HOME",
        "The directory of chat/server-key and of the code, in place of ~/.local/state.",
    ),
    (
        "NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC",
        "Set by systemd: where to report, and how often.",
    ),
    (
        "LISTEN_FDS, LISTEN_PID",
        "Set by systemd: the sockets that it passes, in place of ADDRESS and PORT.",
    ),
    (
        "JOURNAL_STREAM",
        "Set by systemd: lines of the log begin with their priority.",
    ),
];

const SEE_ALSO: [(&str, &str); 4] = [
    ("chat-client(1)", "The client."),
    ("nc(1)", "Joins a room without it."),
    ("systemctl(1)", "Starts the units."),
    (
        "/usr/share/doc/chat-server",
        "The operator's guide, if this program came in a package.",
    ),
];

/// Writes a document about this program.
///
/// # Errors
/// If writing fails.
pub fn write(document: Document, to: &mut impl Write) -> io::Result<()> {
    let sections = [
        Section::new("EXAMPLES", EXAMPLES),
        Section::new("FILES", FILES),
        Section::new("ENVIRONMENT", ENVIRONMENT),
        Section::exit_statuses(EXIT_STATUS),
        Section::new("SEE ALSO", SEE_ALSO),
    ];
    document.write(Args::command(), &sections, to)
}
