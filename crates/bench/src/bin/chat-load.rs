//! `chat-load`: many chat users, to measure a server.

use chat_bench::{args::Args, scenario};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match scenario::run(&Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chat-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
