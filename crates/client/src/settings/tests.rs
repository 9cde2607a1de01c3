use super::*;
use clap::Parser;
use std::path::PathBuf;

/// What is in force with this settings file and these options.
fn settings(file: &str, options: &[&str]) -> Settings {
    settings_after(Some("192.0.2.9 9009"), file, options)
}

/// The same, of somebody who has joined this server last.
fn settings_after(last: Option<&str>, file: &str, options: &[&str]) -> Settings {
    let args = Args::try_parse_from(["chat-client"].iter().chain(options)).unwrap();
    let source = Source::Usual(PathBuf::from("/home/alice/.config/chat/config.toml"));
    let last = || last.map(|last| last.parse().unwrap());
    Settings::resolve(&args, File::parse(file).unwrap(), file, source, last)
}

fn error(file: &str) -> String {
    File::parse(file).unwrap_err().to_string()
}

const EVERYTHING: &str = r#"
# Whatever I like.
server = "192.0.2.7 9001"
nick = "alice"
bell = "private"
colours = "16"
timestamps = "seconds"
quiet = true
scrollback = 500
direct-only = true
no-unencrypted = true
last-server = true
"#;

#[test]
fn without_a_word_everything_is_as_for_everybody() {
    let settings = settings("", &[]);
    assert_eq!(settings.server.value.to_string(), "127.0.0.1 9000");
    assert_eq!(settings.nick.value, None);
    assert_eq!(settings.scrollback.value.get(), 10_000);
    assert!(
        settings
            .rows()
            .iter()
            .all(|(_, _, origin)| *origin == Origin::Default)
    );
}

#[test]
fn each_key_of_the_file_is_in_force_and_its_line_is_known() {
    let settings = settings(EVERYTHING, &[]);
    let rows = settings.rows();
    for (place, (key, value, origin)) in rows.iter().enumerate() {
        assert_eq!(*origin, Origin::File(3 + place), "{key}");
        assert!(
            EVERYTHING.contains(&format!("\n{key} = {value}\n")),
            "{key} = {value}"
        );
    }
}

#[test]
fn each_option_goes_before_its_key() {
    let options = [
        ["192.0.2.8"].as_slice(),
        &["--nick", "bob"],
        &["--bell", "off"],
        &["--colours", "none"],
        &["--timestamps", "off"],
        &["--quiet=false"],
        &["--scrollback", "7"],
        &["--direct-only=false"],
        &["--no-unencrypted=false"],
        &["--last-server=false"],
    ];
    let without = settings(EVERYTHING, &[]).rows();
    for (place, option) in options.iter().enumerate() {
        let with = settings(EVERYTHING, option).rows();
        for (row, (before, after)) in without.iter().zip(&with).enumerate() {
            assert_eq!(before == after, row != place, "{option:?}: {after:?}");
        }
        assert_eq!(with[place].2, Origin::CommandLine);
    }
}

#[test]
fn what_is_printed_is_a_settings_file_that_says_the_same() {
    for (file, options) in [
        ("", [].as_slice()),
        (EVERYTHING, &[]),
        ("", &["::1", "9001", "--nick", "李雷"]),
    ] {
        let printed = settings(file, options).to_string();
        let again = settings(&printed, &[]);
        let values = |settings: &Settings| settings.rows().map(|(key, value, _)| format!("{key} = {value}"));
        assert_eq!(values(&again), values(&settings(file, options)), "{printed}");
    }
}

#[test]
fn what_is_printed_says_where_it_comes_from() {
    let file = "nick = \"alice\"\nlast-server = true\n";
    assert_eq!(
        settings(file, &["--bell=all"]).to_string(),
        r#"# settings file /home/alice/.config/chat/config.toml
server = "192.0.2.9 9009"  # the server that was joined last
nick = "alice"             # settings file, line 1
bell = "all"               # command line, --bell
colours = "auto"           # default
timestamps = "minutes"     # default
quiet = false              # default
scrollback = 10000         # default
direct-only = false        # default
no-unencrypted = false     # default
last-server = true         # settings file, line 2
"#
    );
}

#[test]
fn the_last_server_is_joined_only_by_those_who_want_that_and_name_no_other() {
    let server = |file: &str, options: &[&str]| settings(file, options).server;
    assert_eq!(server("", &[]).origin, Origin::Default);
    assert_eq!(server("", &["--last-server"]).origin, Origin::LastServer);
    assert_eq!(
        server("server = 'a'", &["--last-server"]).origin,
        Origin::LastServer
    );
    assert_eq!(
        server("server = 'a'\nlast-server = true", &[]).origin,
        Origin::File(1)
    );
    assert_eq!(
        server("server = 'a'", &["--last-server=false"]).origin,
        Origin::File(1)
    );
    assert_eq!(server("", &["b", "--last-server"]).origin, Origin::CommandLine);
}

#[test]
fn who_wants_the_last_server_and_has_joined_none_yet_joins_the_one_of_the_file() {
    let server = settings_after(None, "server = 'a'", &["--last-server"]).server;
    assert_eq!(server.origin, Origin::File(1));
    let server = settings_after(None, "", &["--last-server"]).server;
    assert_eq!(server.origin, Origin::Default);
}

#[test]
fn a_nick_of_the_file_is_a_wish_and_one_of_the_command_line_a_demand() {
    assert!(!settings("", &[]).insists_on_nick());
    assert!(!settings("nick = 'alice'", &[]).insists_on_nick());
    assert!(settings("nick = 'alice'", &["--nick", "bob"]).insists_on_nick());
}

#[test]
fn colours_may_be_spelled_otherwise() {
    let settings = settings("colors = 'none'", &[]);
    assert_eq!(settings.colours.value, Colours::None);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (file, line, words) in [
        ("nick = 'alice'\n\ncolour = 'none'\n", 3, ["colour", "`colours`"]),
        ("bell = 'loud'", 1, ["\"loud\"", "one of \"off\", \"mention\""]),
        ("bell = 1", 1, ["integer `1`", "one of \"off\", \"mention\""]),
        (
            "colours = 16",
            1,
            ["integer `16`", "\"auto\", \"none\", \"16\", \"256\""],
        ),
        (
            "timestamps = 'Off'",
            1,
            ["\"Off\"", "\"off\", \"minutes\", \"seconds\""],
        ),
        (
            "scrollback = '10'",
            1,
            ["string \"10\"", "a number of lines, without quotes"],
        ),
        ("quiet = 'yes'", 1, ["string", "boolean"]),
        ("\nnick = 'a b'", 2, ["", ""]),
        ("\nserver = 'a b c'", 2, ["expected a name", ""]),
        ("server = 'host:99999'", 1, ["1 to 65535", ""]),
        ("scrollback = 0", 1, ["1000000", ""]),
        ("scrollback = -1", 1, ["1000000", ""]),
        ("nick = 'a'\nnick = 'b'", 2, ["duplicate", ""]),
        ("# fine\nnick = alice", 2, ["", ""]),
        ("[chat]\nnick = 'a'", 1, ["chat", ""]),
    ] {
        let error = error(file);
        assert!(error.starts_with(&format!("line {line}: ")), "{file:?}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{file:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn an_error_passes_on_nothing_that_drives_a_terminal() {
    let error = error("'\u{9b}2J\u{202e}' = 1");
    assert!(!error.contains(['\u{9b}', '\u{202e}']), "{error:?}");
}
