//! `chat-server`: a chat room for everybody who can reach this machine.

use anyhow::{Result, bail};
use chat_server::args::Args;
use chat_server::identity::Identity;
use chat_server::inquiry;
use chat_server::log::{Priority, is_journal};
use chat_server::manual;
use chat_server::server::Server;
use chat_server::words;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::load()) {
        Ok(exit) => exit,
        Err(error) => {
            let cause = error.root_cause().downcast_ref::<io::Error>();
            if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
                // The reader of a closed pipe needs no word.
                return ExitCode::FAILURE;
            }
            // If standard error is closed, the exit status is all that is left.
            let priority = is_journal().then(|| Priority::Error.to_string());
            let priority = priority.unwrap_or_default();
            let _ = writeln!(io::stderr(), "{priority}chat-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let written = match args.generate {
        Some(document) => manual::write(document, &mut io::stdout()).map_err(Into::into),
        None if args.fingerprint => {
            let (identity, _) = Identity::load(args.key_file.as_deref())?;
            if !identity.is_kept {
                bail!("the key can't be kept, so each run has another one; --key-file names a file for it");
            }
            writeln!(io::stdout(), "{}", identity.public()).map_err(Into::into)
        }
        None if args.new_passphrase => words::write_new(args.passphrase_file.as_deref(), &mut io::stdout()),
        None if args.status => {
            let (host, port) = args.ask_at();
            inquiry::run(host, port, args.json, &mut io::stdout())
        }
        None => return Server::open(args)?.run(),
    };
    written.map(|()| ExitCode::SUCCESS)
}
