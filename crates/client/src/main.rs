//! `chat-client`: joins a chat room.

use anyhow::Result;
use chat_client::args::Args;
use chat_client::client::{self, Client};
use chat_client::connect::connect;
use chat_client::exit::Exit;
use chat_client::plain::Plain;
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

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
    let mut front_end = Plain::new(args)?;
    if let Some(warning) = connection.ports.warning() {
        front_end.warn(warning);
    }
    let config = client::config(args, &connection)?;
    Client::new(connection, config, front_end)?.run()
}
