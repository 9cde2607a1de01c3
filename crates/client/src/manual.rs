//! What `--generate` prints: the manual page, and completions.

use crate::args::Args;
use crate::tui::keys;
use crate::{command, exit};
use chat_manual::{Document, Section};
use clap::CommandFactory;
use std::io::{self, Write};

/// Command lines, with their effect.
const EXAMPLES: [(&str, &str); 7] = [
    ("chat-client --rooms", "List the rooms of the LAN."),
    (
        "chat-client --nick alice 192.0.2.7",
        "Join the room at 192.0.2.7 as alice.",
    ),
    ("chat-client --doctor 192.0.2.7", "Check the connection to it."),
    (
        "make 2>&1 | chat-client --nick build --send-only --no-commands 192.0.2.7",
        "Send what a program prints to everybody.",
    ),
    (
        "chat-client --to bob 192.0.2.7 < notes.txt",
        "Send each line of a file to bob alone. Exit status 0 means that bob has all of them.",
    ),
    (
        "chat-client --to bob --file backup.tar.gz 192.0.2.7",
        "Send a file to bob. Exit status 0 means that bob's client has kept all of it.",
    ),
    (
        "chat-client --json --recv-only 192.0.2.7 | jq .",
        "Pass each event to a program.",
    ),
];

const FILES: [(&str, &str); 6] = [
    (
        "~/.config/chat/config.toml",
        "The settings: each option under Settings above is a key.",
    ),
    (
        "~/.local/state/chat/known-servers",
        "The keys of the servers that you joined.",
    ),
    (
        "~/.local/state/chat/client-key",
        "Your key, by which others know you again.",
    ),
    (
        "~/.local/state/chat/client-key-time",
        "The time of its last use for a private message.",
    ),
    (
        "~/.local/state/chat/verified",
        "The keys of the users that you verified.",
    ),
    (
        "~/.local/state/chat/last-server",
        "The server that you joined last, with `--last-server`.",
    ),
];

const ENVIRONMENT: [(&str, &str); 8] = [
    ("HOME", "The directory ~."),
    (
        "XDG_CONFIG_HOME",
        "The directory of chat/config.toml, in place of ~/.config.",
    ),
    (
        "XDG_STATE_HOME",
        "The directory of the other files, in place of ~/.local/state.",
    ),
    (
        "LOGNAME, USER",
        "The nick on the full screen, if no setting names one.",
    ),
    ("NO_COLOR", "Use no colours, if it is not empty."),
    ("TERM, COLORTERM", "What the terminal can do."),
    ("TERM_PROGRAM", "Whether the terminal shows notifications."),
    ("TZ", "The zone of the times that are shown."),
];

const SEE_ALSO: [(&str, &str); 3] = [
    ("chat-server(1)", "The server."),
    ("nc(1)", "Joins a room without this program."),
    (
        "/usr/share/doc/chat-client",
        "The guide, if this program came in a package.",
    ),
];

/// Writes a document about this program.
///
/// # Errors
/// If writing fails.
pub fn write(document: Document, to: &mut impl Write) -> io::Result<()> {
    let sections = [
        Section::new("COMMANDS", command::manual()),
        Section::new("KEYS", keys::manual()),
        Section::new("EXAMPLES", EXAMPLES),
        Section::new("FILES", FILES),
        Section::new("ENVIRONMENT", ENVIRONMENT),
        Section::exit_statuses(exit::HELP),
        Section::new("SEE ALSO", SEE_ALSO),
    ];
    document.write(Args::command(), &sections, to)
}
