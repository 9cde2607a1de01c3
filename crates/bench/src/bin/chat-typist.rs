//! `chat-typist`: a user that types while others send messages, to measure the client.

use chat_bench::typist::{Args, run};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chat-typist: {error:#}");
            ExitCode::FAILURE
        }
    }
}
