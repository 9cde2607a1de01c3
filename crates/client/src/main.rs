//! `chat-client`: joins a chat room.

use anyhow::{Context, Error, Result};
use chat_client::args::Args;
use chat_client::client::{self, Client, FrontEnd};
use chat_client::connect::{Connection, connect};
use chat_client::doctor;
use chat_client::exit::Exit;
use chat_client::line::LineMode;
use chat_client::paths::LastServer;
use chat_client::settings::Settings;
use chat_client::tui::{self, FullScreen};
use chat_client::wire::Wire;
use chat_sys::clock::Clock;
use chat_sys::signals::Signals;
use std::io::{self, Write};
use std::process::ExitCode;

/// What it means if a connection that was just made has no other end any more.
const CLOSED_AT_ONCE: &str = "the connection was closed at once";

fn main() -> ExitCode {
    let args = Args::of_this_program();
    if let Some(document) = args.generate {
        let written = Args::write_document(document, &mut io::stdout());
        return written.map_or_else(
            |error| fail(&error.into(), Exit::Error),
            |()| Exit::Delivered.into(),
        );
    }
    let settings = match Settings::load(&args) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    match run(&args, &settings) {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, Exit::Error),
    }
}

fn fail(error: &Error, exit: Exit) -> ExitCode {
    // If nobody can read it, the exit status still tells.
    let _ = writeln!(io::stderr(), "chat-client: {error:#}");
    exit.into()
}

fn run(args: &Args, settings: &Settings) -> Result<Exit> {
    if args.print_config {
        write!(io::stdout(), "{settings}").context("can't print the settings")?;
        return Ok(Exit::Delivered);
    }
    if args.doctor {
        return doctor::run(settings);
    }
    let clock = Clock::start();
    let server = &settings.server.value;
    let connection = connect(&server.host, server.port(), args.connect_timeout)?;
    let warning = connection.ports.warning();
    let is_screen = tui::is_wanted(args);
    let signals = client::signals(is_screen).context("can't take over the signals")?;
    if is_screen {
        let mut front_end =
            FullScreen::new(settings).context("can't draw on the terminal; --line-mode does without")?;
        warning.into_iter().for_each(|warning| front_end.warn(warning));
        run_with(args, settings, clock, signals, connection, front_end)
    } else {
        let mut front_end = LineMode::new(args, clock.now())?;
        warning.into_iter().for_each(|warning| front_end.warn(warning));
        run_with(args, settings, clock, signals, connection, front_end)
    }
}

fn run_with(
    args: &Args,
    settings: &Settings,
    clock: Clock,
    signals: Signals,
    connection: Connection,
    front_end: impl FrontEnd,
) -> Result<Exit> {
    let config =
        client::config(args, settings, &connection, front_end.is_a_person()).context(CLOSED_AT_ONCE)?;
    let private = client::private(args, settings)?;
    let wire = Wire::new(connection, args.connect_timeout).context(CLOSED_AT_ONCE)?;
    let client = Client::new(clock, signals, wire, config, private, front_end);
    match LastServer::find().filter(|_| settings.last_server.value) {
        Some(place) => client.keeping_server(place, settings.server.value.clone()).run(),
        None => client.run(),
    }
}
