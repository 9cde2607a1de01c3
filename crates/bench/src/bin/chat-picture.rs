//! `chat-picture`: the picture of the client's screen in the README.

use chat_bench::picture::{Args, run};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(picture) => {
            print!("{picture}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chat-picture: {error:#}");
            ExitCode::FAILURE
        }
    }
}
