//! `chat-reference`: the least that a chat server can do.

use chat_bench::reference::{Args, Reference};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Reference::open(Args::parse()).and_then(Reference::run) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("chat-reference: {error:#}");
            ExitCode::FAILURE
        }
    }
}
