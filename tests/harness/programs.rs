//! Finds the two programs, and builds them if needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::SystemTime;

pub fn chat_server() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| program("chat-server"));
    &PATH
}

pub fn chat_client() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| program("chat-client"));
    &PATH
}

/// A `chat-server` whose key is one of the tests.
pub fn server_command() -> Command {
    let mut command = Command::new(chat_server());
    command.env("XDG_STATE_HOME", SERVER_STATE);
    command
}

/// Where servers keep their key.
pub const SERVER_STATE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/state");

/// A `chat-client` that does not see the settings of the person who runs the tests.
pub fn client_command() -> Command {
    let mut command = Command::new(chat_client());
    // No file can stand below /dev/null. A relative path would be ignored (XDG Base Directory Specification).
    command
        .env("XDG_CONFIG_HOME", "/dev/null")
        .env("XDG_STATE_HOME", "/dev/null")
        // Without a login name, the full screen joins without a nick.
        .env_remove("LOGNAME")
        .env_remove("USER");
    command
}

/// A program with the environment of another command.
pub fn with_environment(program: &str, other: &Command) -> Command {
    let mut command = Command::new(program);
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A command of the shell in a new network. It has the programs as `$server` and `$client`. `None`, and a word about it, where
/// the system makes no networks.
pub fn in_a_new_network(script: &str) -> Option<Command> {
    let unshare = ["--user", "--map-root-user", "--net"];
    let works = Command::new("unshare").args(unshare).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system makes no network namespaces");
        return None;
    }
    let mut command = with_environment("unshare", &client_command());
    command
        .args(unshare)
        .args(["sh", "-c", script])
        .env("client", chat_client())
        .env("server", chat_server())
        .env("TERM", "xterm-256color");
    Some(command)
}

fn program(name: &str) -> PathBuf {
    let path = BUILT.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

/// The directory of the programs. They are up to date.
///
/// `cargo test --workspace` builds the programs, because their own packages have integration tests.
/// `cargo test -p chat-tests` does not, so this builds them, with the profile and target directory of the test itself.
/// Programs that are up to date are not given to Cargo: without the dependencies of the tests, it would choose fewer
/// features for some libraries, and build them and the programs once more.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().expect("the path of the test itself");
    let directory = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>")
        .to_owned();
    if !["server", "client"]
        .into_iter()
        .all(|package| is_up_to_date(&directory, package))
    {
        build(&directory);
    }
    directory
});

/// Whether the program of a package is newer than all of its sources.
fn is_up_to_date(directory: &Path, package: &str) -> bool {
    let program = directory.join(format!("chat-{package}{}", std::env::consts::EXE_SUFFIX));
    let Some(built) = modified(&program) else {
        return false;
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = vec![workspace.join("Cargo.toml"), workspace.join("Cargo.lock")];
    let mut packages = vec![package.to_owned()];
    let mut at = 0;
    while let Some(package) = packages.get(at) {
        let package = workspace.join("crates").join(package);
        sources.extend([package.join("Cargo.toml"), package.join("src")]);
        for dependency in dependencies(&package) {
            if !packages.contains(&dependency) {
                packages.push(dependency);
            }
        }
        at += 1;
    }
    while let Some(source) = sources.pop() {
        if source.is_dir() {
            let entries = std::fs::read_dir(&source).unwrap();
            sources.extend(entries.map(|entry| entry.unwrap().path()));
        } else if modified(&source).is_none_or(|modified| modified >= built) {
            return false;
        }
    }
    true
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The directories of the workspace's packages that a package depends on.
fn dependencies(package: &Path) -> Vec<String> {
    let manifest = std::fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let names = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("chat-")?.strip_suffix(".workspace = true"));
    names.map(str::to_owned).collect()
}

/// Builds the programs into this directory.
fn build(directory: &Path) {
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("no profile in {}", directory.display()),
    };
    let above = directory.parent().expect("target/<profile>");
    let platform = above
        .file_name()
        .and_then(|name| name.to_str())
        .filter(is_platform);
    let target = match platform {
        Some(_) => above.parent().expect("target/<platform>/<profile>"),
        None => above,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args([
            "build",
            "--quiet",
            "-p",
            "chat-server",
            "-p",
            "chat-client",
            "--bins",
        ])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .args(platform.map(|platform| format!("--target={platform}")))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "the programs do not build: {status}");
}

/// Whether `--target` made this directory, as in `target/x86_64-unknown-linux-gnu/debug`.
fn is_platform(name: &&str) -> bool {
    name.starts_with(std::env::consts::ARCH) && name.matches('-').count() >= 2
}
