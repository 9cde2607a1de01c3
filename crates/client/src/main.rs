//! `chat-client`: joins a chat room.

use anyhow::{Context, Result};
use chat_client::args::Args;
use chat_client::client::{self, Client, FrontEnd};
use chat_client::connect::{Connection, connect};
use chat_client::exit::Exit;
use chat_client::plain::Plain;
use chat_client::screen::{self, FullScreen};
use chat_client::signals::Signals;
use chat_client::wire::Wire;
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

/// What it means if a connection that was just made has no other end any more.
const CLOSED_AT_ONCE: &str = "the connection was closed at once";

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // If nobody can read it, the exit status still tells.
            let _ = writeln!(io::stderr(), "chat-client: {error:#}");
            Exit::Error.into()
        }
    }
}

fn run(args: &Args) -> Result<Exit> {
    let connection = connect(&args.host, args.port, args.connect_timeout)?;
    let warning = connection.ports.warning();
    let is_screen = screen::is_wanted(args);
    let signals = Signals::new(is_screen).context("can't take over the signals")?;
    if is_screen {
        let mut front_end =
            FullScreen::new(args).context("can't draw on the terminal; --plain does without")?;
        warning.into_iter().for_each(|warning| front_end.warn(warning));
        run_with(args, connection, signals, front_end)
    } else {
        let mut front_end = Plain::new(args)?;
        warning.into_iter().for_each(|warning| front_end.warn(warning));
        run_with(args, connection, signals, front_end)
    }
}

fn run_with(args: &Args, connection: Connection, signals: Signals, front_end: impl FrontEnd) -> Result<Exit> {
    let config = client::config(args, &connection, front_end.is_a_person()).context(CLOSED_AT_ONCE)?;
    let wire = Wire::new(connection, args.connect_timeout).context(CLOSED_AT_ONCE)?;
    Client::new(wire, config, client::private(args)?, signals, front_end).run()
}
