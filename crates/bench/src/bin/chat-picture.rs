//! `chat-picture`: pictures of the client's screen.

use chat_bench::picture::{Args, run};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat-picture: {error:#}");
            ExitCode::FAILURE
        }
    }
}
