use super::*;
use crate::args::Args;
use std::path::PathBuf;

/// The settings of this file and these options; the last server is 192.0.2.9 9009.
fn settings(content: &str, options: &[&str]) -> Settings {
    settings_after(Some("192.0.2.9 9009"), content, options)
}

/// The same with another last server.
fn settings_after(last: Option<&str>, content: &str, options: &[&str]) -> Settings {
    let file = File {
        path: ConfigPath::Usual(PathBuf::from("/home/alice/.config/chat/config.toml")),
        ..File::parse(content.as_bytes()).unwrap()
    };
    let last = || last.map(|last| last.parse().unwrap());
    let words = ["chat-client"].iter().chain(options);
    Args::parse_with(&file, words, last).unwrap().settings
}

/// Each key, its value and its origin.
fn rows(settings: &Settings) -> Vec<(String, String, Origin)> {
    let value = |row: &Row| row.value.as_ref().map_or(String::new(), Value::to_string);
    let rows = settings.report.rows.iter();
    rows.map(|row| (row.key.clone(), value(row), row.origin))
        .collect()
}

fn error(content: &str) -> String {
    File::parse(content.as_bytes()).unwrap_err().to_string()
}

const EVERYTHING: &str = r#"
# Whatever I like.
server = "192.0.2.7 9001"
nick = "alice"
bell = "private"
highlight = "rack3 exam"
notify = "notify-send --"
mouse = true
colours = "16"
timestamps = "seconds"
joins = "all"
scrollback = 500
direct-only = true
no-unencrypted = true
last-server = true
log = "/home/alice/room.log"
files-dir = "/home/alice/in"
files = "verified"
"#;

#[test]
fn without_file_and_options_all_are_defaults() {
    let settings = settings("", &[]);
    assert_eq!(settings.server.to_string(), "127.0.0.1 9000");
    assert_eq!(settings.nick, None);
    assert_eq!(settings.scrollback, 10_000);
    assert!(
        rows(&settings)
            .iter()
            .all(|(_, _, origin)| *origin == Origin::Default)
    );
}

#[test]
fn the_file_sets_each_key_and_the_line_is_known() {
    for (place, (key, value, origin)) in rows(&settings(EVERYTHING, &[])).iter().enumerate() {
        assert_eq!(*origin, Origin::File(3 + place), "{key}");
        assert!(
            EVERYTHING.contains(&format!("\n{key} = {value}\n")),
            "{key} = {value}"
        );
    }
}

#[test]
fn each_option_overrides_its_key() {
    let options = [
        ["192.0.2.8"].as_slice(),
        &["--nick", "bob"],
        &["--bell", "off"],
        &["--highlight", "rack4"],
        &["--notify", "off"],
        &["--mouse=false"],
        &["--colours", "none"],
        &["--timestamps", "off"],
        &["--joins", "none"],
        &["--scrollback", "7"],
        &["--direct-only=false"],
        &["--no-unencrypted=false"],
        &["--last-server=false"],
        &["--log", "here.jsonl"],
        &["--files-dir", "in"],
        &["--files", "off"],
    ];
    let without = rows(&settings(EVERYTHING, &[]));
    assert_eq!(without.len(), options.len());
    for (place, option) in options.iter().enumerate() {
        let with = rows(&settings(EVERYTHING, option));
        for (row, (before, after)) in without.iter().zip(&with).enumerate() {
            assert_eq!(before == after, row != place, "{option:?}: {after:?}");
        }
        assert_eq!(with[place].2, Origin::CommandLine);
    }
}

#[test]
fn the_report_is_a_settings_file_of_the_same_meaning() {
    for (file, options) in [
        ("", [].as_slice()),
        (EVERYTHING, &[]),
        ("", &["::1", "9001", "--nick", "李雷"]),
    ] {
        let printed = settings(file, options).report.to_string();
        let values = |settings: &Settings| {
            let rows = rows(settings).into_iter();
            rows.map(|(key, value, _)| (key, value)).collect::<Vec<_>>()
        };
        let again = settings(&printed, &[]);
        assert_eq!(values(&again), values(&settings(file, options)), "{printed}");
    }
}

#[test]
fn the_report_names_the_origin_of_each_value() {
    let file = "nick = \"alice\"\nlast-server = true\n";
    assert_eq!(
        settings(file, &["--bell=all"]).report.to_string(),
        r#"# settings file /home/alice/.config/chat/config.toml
server = "192.0.2.9 9009"  # last server
nick = "alice"             # settings file, line 1
bell = "all"               # command line, --bell
highlight = ""             # default
notify = "terminal"        # default
mouse = false              # default
colours = "auto"           # default
timestamps = "minutes"     # default
joins = "fold"             # default
scrollback = 10000         # default
direct-only = false        # default
no-unencrypted = false     # default
last-server = true         # settings file, line 2
# no log                   # default
# no files-dir             # default
files = "ask"              # default
"#
    );
    let printed = settings("", &["b", "9001", "--scrollback=007"])
        .report
        .to_string();
    for row in [
        "server = \"b 9001\"       # command line, HOST and PORT",
        "# no nick               # default",
        "scrollback = 7          # command line, --scrollback",
    ] {
        assert!(printed.contains(row), "{printed}");
    }
}

#[test]
fn the_login_name_is_the_nick_unless_another_is_named_or_none_wanted() {
    let with_login = |file: &str, options: &[&str]| {
        let mut settings = settings(file, options);
        settings.set_login(Nick::parse("root").ok());
        settings
    };
    let nicks = |file: &str, options: &[&str]| {
        let settings = with_login(file, options);
        [settings.login_nick(), settings.nick()].map(|nick| nick.map(|nick| nick.to_string()))
    };
    let (root, bob) = (Some("root".to_owned()), Some("bob".to_owned()));
    assert_eq!(nicks("", &[]), [root, None]);
    assert_eq!(nicks("", &["--nick", "bob"]), [None, bob.clone()]);
    assert_eq!(nicks("nick = 'bob'", &[]), [None, bob]);
    assert_eq!(nicks("", &["--nick", ""]), [None, None]);
    assert_eq!(nicks("nick = ''", &[]), [None, None]);
    assert_eq!(nicks("nick = 'bob'", &["--nick="]), [None, None]);
    assert!(!with_login("", &["--nick="]).insists_on_nick());
    for (options, row) in [
        (
            [].as_slice(),
            "# no nick                  # default; on the full screen the login name, root\n",
        ),
        (
            &["--nick="],
            "nick = \"\"                  # command line, --nick\n",
        ),
    ] {
        let printed = with_login("", options).report.to_string();
        assert!(printed.contains(row), "{printed}");
    }
}

#[test]
fn the_last_server_is_joined_only_when_wanted_and_none_named() {
    let origin = |file: &str, options: &[&str]| settings(file, options).report.origin("server");
    assert_eq!(origin("", &[]), Origin::Default);
    assert_eq!(origin("", &["--last-server"]), Origin::LastServer);
    assert_eq!(origin("server = 'a'", &["--last-server"]), Origin::LastServer);
    assert_eq!(origin("server = 'a'\nlast-server = true", &[]), Origin::File(1));
    assert_eq!(origin("server = 'a'", &["--last-server=false"]), Origin::File(1));
    assert_eq!(origin("", &["b", "--last-server"]), Origin::CommandLine);
}

#[test]
fn without_a_last_server_the_file_names_the_server() {
    let origin = |file| {
        settings_after(None, file, &["--last-server"])
            .report
            .origin("server")
    };
    assert_eq!(origin("server = 'a'"), Origin::File(1));
    assert_eq!(origin(""), Origin::Default);
}

#[test]
fn only_the_command_line_insists_on_a_nick() {
    assert!(!settings("", &[]).insists_on_nick());
    assert!(!settings("nick = 'alice'", &[]).insists_on_nick());
    assert!(settings("nick = 'alice'", &["--nick", "bob"]).insists_on_nick());
}

#[test]
fn colours_have_an_american_spelling() {
    assert_eq!(settings("colors = 'none'", &[]).colours, Colours::None);
}

#[test]
fn errors_name_the_line_and_what_is_expected() {
    for (file, line, words) in [
        ("nick = 'alice'\n\ncolour = 'none'\n", 3, ["colour", "`colours`"]),
        ("bell = 'loud'", 1, ["\"loud\"", "one of \"off\", \"mention\""]),
        ("bell = 1", 1, ["integer 1", "one of \"off\", \"mention\""]),
        (
            "colours = 16",
            1,
            ["integer 16", "\"auto\", \"none\", \"16\", \"256\""],
        ),
        (
            "timestamps = 'Off'",
            1,
            ["\"Off\"", "\"off\", \"minutes\", \"seconds\""],
        ),
        ("scrollback = '10'", 1, ["string \"10\"", "expected integer"]),
        ("joins = true", 1, ["boolean", "\"fold\", \"all\", \"none\""]),
        ("direct-only = 'yes'", 1, ["string", "one of true, false"]),
        ("\nnick = 'a b'", 2, ["a nick has no spaces", ""]),
        ("nick = '7'", 1, ["a nick needs", ""]),
        ("\nserver = 'a b c'", 2, ["expected a name", ""]),
        ("server = 'host:99999'", 1, ["1 to 65535", ""]),
        ("scrollback = 0", 1, ["1000000", ""]),
        ("scrollback = -1", 1, ["1000000", ""]),
        ("nick = 'a'\nnick = 'b'", 2, ["duplicate", ""]),
        ("colors = '16'\ncolours = '16'", 2, ["duplicate", ""]),
        ("# fine\nnick = alice", 2, ["", ""]),
        ("[chat]\nnick = 'a'", 1, ["chat", ""]),
        ("json = true", 1, ["unknown key", "expected one of `server`"]),
        ("nik = 'x'", 1, ["unknown key `nik`", "the nearest is `nick`"]),
        (
            "time-stamps = 'off'",
            1,
            ["unknown key", "the nearest is `timestamps`"],
        ),
        ("colour = 'none'", 1, ["unknown key", "the nearest is `colours`"]),
    ] {
        let error = error(file);
        assert!(error.starts_with(&format!("line {line}: ")), "{file:?}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{file:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn errors_contain_no_control_characters() {
    let error = error("'\u{9b}2J\u{202e}' = 1");
    assert!(!error.contains(['\u{9b}', '\u{202e}']), "{error:?}");
}
