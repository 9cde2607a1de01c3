//! `chat-reference`: a minimal chat server, as a baseline.

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
