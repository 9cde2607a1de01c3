//! The manual pages and shell completions that the programs print.

use crate::harness::{Journal, Process, client_command, server_command};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
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

/// The lines of a section of the manual page.
fn section(command: Command, heading: &str) -> Vec<String> {
    let manual = document(command, "man")
        .replace("\\-", "-")
        .replace("\\*(Aq", "'");
    let (_, section) = manual.split_once(&format!(".SH {heading}\n")).unwrap();
    let (section, _) = section.split_once("\n.SH").unwrap();
    section.lines().map(str::to_owned).collect()
}

/// What a section of the manual page describes: commands, keys, files.
pub fn terms(command: Command, heading: &str) -> Vec<String> {
    let lines = section(command, heading);
    let terms = lines
        .iter()
        .filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR"));
    terms.map(str::to_owned).collect()
}

#[test]
fn the_manual_names_commands_keys_and_exit_statuses() {
    assert!(terms(client_command(), "COMMANDS").contains(&"/msg WHO TEXT, /m".to_owned()));
    assert!(terms(client_command(), "KEYS").contains(&"Ctrl-R".to_owned()));
    let statuses = section(client_command(), "\"EXIT STATUS\"").join("\n");
    assert!(statuses.contains("\n\\fB3\\fR\nthe room is full\n"), "{statuses}");
}

#[test]
fn manual_pages_have_all_sections_and_no_artefacts() {
    for (command, synopsis) in [
        (client_command as fn() -> Command, "[\\fIHOST\\fR] [\\fIPORT\\fR]"),
        (|| server_command(), "[\\fIADDRESS\\fR] [\\fIPORT\\fR]"),
    ] {
        let manual = document(command(), "man");
        let (_, title) = manual.split_once(".TH CHAT-").unwrap();
        let (title, _) = title.split_once('\n').unwrap();
        let words: Vec<&str> = title.splitn(4, ' ').collect();
        assert!(words[2].len() == 10 && words[2].starts_with("20"), "{title}");
        assert!(words[3].ends_with("\" \"User Commands\""), "{title}");
        for heading in [
            "SYNOPSIS",
            "OPTIONS",
            "EXAMPLES",
            "FILES",
            "ENVIRONMENT",
            "\"EXIT STATUS\"",
            "\"SEE ALSO\"",
        ] {
            assert_eq!(
                manual.matches(&format!("\n.SH {heading}\n")).count(),
                1,
                "{heading}"
            );
        }
        assert!(manual.contains(synopsis), "{manual}");
        for artefact in [
            "EXTRA",
            ".SH VERSION",
            "[default",
            "Possible values",
            "`",
            "\n\n",
            " \n",
        ] {
            assert!(!manual.contains(artefact), "{artefact:?}: {manual}");
        }
    }
}

#[test]
fn manual_pages_name_the_variables_that_are_read() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, command) in [
        ("client", client_command as fn() -> Command),
        ("server", || server_command()),
    ] {
        let mut read = BTreeSet::new();
        let mut directories = ["sys", name]
            .map(|name| manifest.join("../crates").join(name).join("src"))
            .to_vec();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    // Tests have variables of their own.
                    directories.extend(Some(path).filter(|path| !path.ends_with("tests")));
                    continue;
                }
                let source = fs::read_to_string(path).unwrap();
                for call in [
                    "env::var(\"",
                    "env::var_os(\"",
                    "variable(\"",
                    "absolute(\"",
                    "directory(\"",
                    "let names = [\"",
                ] {
                    let names = source
                        .split(call)
                        .skip(1)
                        .map(|rest| rest.split('"').next().unwrap().to_owned());
                    read.extend(names);
                }
            }
        }
        // The server has no settings file. The client reads USER where LOGNAME is missing.
        if name == "server" {
            read.remove("XDG_CONFIG_HOME");
        } else {
            read.insert("USER".to_owned());
        }
        let terms = terms(command(), "ENVIRONMENT");
        let named: BTreeSet<String> = terms
            .iter()
            .flat_map(|term| term.split(", "))
            .map(str::to_owned)
            .collect();
        assert_eq!(named, read, "chat-{name}");
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
