//! The manual pages and shell completions that the programs print.

use crate::harness::{Journal, Process, client_command, server_command};
use std::process::Command;

pub fn document(mut command: Command, name: &str) -> String {
    command.args(["--generate", name]);
    let mut process = Process::start(name, &Journal::new(), &mut command);
    assert_eq!(process.exit_code(), 0);
    process.stdout.lines().join("\n")
}

/// The lines of `--help`.
pub fn help(mut command: Command) -> Vec<String> {
    command.arg("--help");
    let mut process = Process::start("help", &Journal::new(), &mut command);
    assert_eq!(process.exit_code(), 0);
    process.stdout.lines()
}

/// The long options that the lines of `--help` name.
pub fn options(help: &[String]) -> Vec<String> {
    let names = help.iter().filter_map(|line| {
        let (_, option) = line.trim_start().strip_prefix("-").and(line.split_once("--"))?;
        let end = option.find(|c: char| c != '-' && !c.is_ascii_lowercase());
        Some(option[..end.unwrap_or(option.len())].to_owned())
    });
    names.collect()
}

#[test]
fn every_document_names_every_option() {
    for command in [client_command, || server_command()] {
        let options = options(&help(command()));
        assert!(options.contains(&"generate".to_owned()), "{options:?}");
        for name in ["man", "complete-bash", "complete-zsh", "complete-fish"] {
            // The manual page writes hyphens as \\-, so that man(1) breaks no line there.
            let document = document(command(), name).replace("\\-", "-");
            for option in &options {
                assert!(
                    document.contains(option.as_str()),
                    "{name} does not name --{option}"
                );
            }
        }
    }
}

#[test]
fn the_manual_names_commands_keys_and_exit_statuses() {
    let manual = document(client_command(), "man").replace("\\-", "-");
    for text in [
        ".SH COMMANDS",
        "/msg WHO TEXT",
        ".SH KEYS",
        "Ctrl-R",
        ".SH \"EXIT STATUS\"",
        "the room is full",
    ] {
        assert!(manual.contains(text), "{text}: {manual}");
    }
}

#[test]
fn bash_completes_options_and_their_values() {
    let script = document(client_command(), "complete-bash");
    let complete = |words: &str| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             function=$(complete -p chat-client | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n\
             $function chat-client \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
             echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &ask])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("chat-client --colo"), "--colours");
    assert_eq!(complete("chat-client --bell m"), "mention");
}

#[test]
fn a_document_that_cannot_be_written_is_an_error() {
    for is_server in [false, true] {
        let command = |words: &[&str]| {
            let mut command = if is_server {
                server_command()
            } else {
                client_command()
            };
            command.args(words);
            command
        };
        for words in [["--generate", "man"].as_slice(), &["--help"], &["--version"]] {
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let output = command(words).stdout(full).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(!output.stderr.is_empty(), "{words:?}");
            // A closed pipe is an end, and no failure to report.
            let (_, closed) = std::io::pipe().unwrap();
            let output = command(words).stdout(closed).output().unwrap();
            assert_eq!(
                (output.status.code(), output.stderr),
                (Some(1), vec![]),
                "{words:?}"
            );
        }
    }
}
