//! `chat-client`, the client of a chat room.

use anyhow::{Context, Error, Result, bail};
use chat_client::address::Address;
use chat_client::args::Args;
use chat_client::client::{self, Client, FrontEnd, Passphrase};
use chat_client::doctor;
use chat_client::exit::Exit;
use chat_client::fingerprint;
use chat_client::known_servers::KnownServers;
use chat_client::line::LineMode;
use chat_client::manual;
use chat_client::net::connect::Attempt;
use chat_client::passphrase;
use chat_client::rooms;
use chat_client::session::Event;
use chat_client::tui::{self, FullScreen};
use chat_client::zone;
use chat_noise::cpace::Phrase;
use chat_sys::clock::Clock;
use chat_sys::files;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Args::load() {
        Ok(args) => run(&args).unwrap_or_else(|error| print(&error, Exit::Error)),
        Err(error) => print(&error, Exit::Usage),
    };
    exit.into()
}

fn print(error: &Error, exit: Exit) -> Exit {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
        // The reader of a closed pipe needs no word.
        return exit;
    }
    // If standard error is closed, the exit status is all that is left.
    let _ = writeln!(io::stderr(), "chat-client: {error:#}");
    exit
}

fn run(args: &Args) -> Result<Exit> {
    if let Some(document) = args.generate {
        manual::write(document, &mut io::stdout()).context("can't print the document")?;
        return Ok(Exit::Delivered);
    }
    if args.print_config {
        write!(io::stdout(), "{}", args.settings.report).context("can't print the settings")?;
        return Ok(Exit::Delivered);
    }
    if args.fingerprint {
        let key = fingerprint::ask(&args.settings.server, args.connect_timeout)?;
        writeln!(io::stdout(), "{key}").context("can't print the key")?;
        return Ok(Exit::Delivered);
    }
    if args.forget_server {
        return forget_server(&args.settings.server);
    }
    if args.rooms {
        return rooms::run(args.json);
    }
    if args.doctor {
        return doctor::run(&args.settings);
    }
    if tui::is_wanted(args) && args.settings.names_no_server() {
        return join_any(args.clone());
    }
    join(args, None)
}

/// Joins the server of this machine if one answers at once, else the room that the user chooses.
fn join_any(mut args: Args) -> Result<Exit> {
    if let Some(attempt) = Attempt::local(args.settings.server.port()) {
        return join(&args, Some(attempt));
    }
    let signals = client::signals(true).context("can't handle signals")?;
    match tui::choose(&args.settings, &signals)? {
        Ok(found) => {
            args.announced = found.room.about.fingerprint;
            args.settings.server = found.address;
        }
        Err(exit) => return Ok(exit),
    }
    drop(signals);
    join(&args, None)
}

fn forget_server(server: &Address) -> Result<Exit> {
    let known = KnownServers::find().context("neither XDG_STATE_HOME nor HOME is set")?;
    if !known.forget(server)? {
        bail!("no key of {server} is known");
    }
    Ok(Exit::Delivered)
}

fn join(args: &Args, mut begun: Option<Attempt>) -> Result<Exit> {
    let mut phrase = match &args.passphrase_file {
        Some(path) => Passphrase::Given(files::read_passphrase(path, Phrase::new)?),
        None if io::stdin().is_terminal() => Passphrase::Asked,
        None => Passphrase::Unknown,
    };
    loop {
        let exit = join_with(args, begun.take(), &phrase)?;
        if exit != Exit::Passphrase || !matches!(phrase, Passphrase::Asked) {
            return Ok(exit);
        }
        // The connection is closed meanwhile: the server waits for nobody who types.
        let signals = client::signals(tui::is_wanted(args)).context("can't handle signals")?;
        match passphrase::ask(&args.settings.server, &signals)? {
            Ok(typed) => phrase = Passphrase::Given(typed),
            Err(exit) => return Ok(exit),
        }
    }
}

fn join_with(args: &Args, begun: Option<Attempt>, phrase: &Passphrase) -> Result<Exit> {
    let clock = Clock::start();
    let is_full_screen = tui::is_wanted(args);
    let signals = client::signals(is_full_screen).context("can't handle signals")?;
    let (zone, warning) = zone::local();
    let warning = warning.map(|warning| Event::Warning(warning.into()));
    if is_full_screen {
        let mut front_end =
            FullScreen::new(&args.settings, zone).context("can't draw on the terminal; try --line-mode")?;
        warning.into_iter().for_each(|warning| front_end.show(&warning));
        Client::new(args, begun, phrase, clock, signals, front_end)?.run()
    } else {
        let mut front_end = LineMode::new(args, zone, clock.now())?;
        // Only history has times.
        let warning = warning.filter(|_| args.history);
        warning.into_iter().for_each(|warning| front_end.show(&warning));
        Client::new(args, begun, phrase, clock, signals, front_end)?.run()
    }
}
