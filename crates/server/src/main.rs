//! `chat-server`: a chat room for everybody who can reach this machine.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = chat_server::args::Args::parse();
    match chat_server::server::Server::open(&args).and_then(chat_server::server::Server::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
