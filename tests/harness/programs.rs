//! Where the two programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub fn chat_server() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| program("chat-server"));
    &PATH
}

pub fn chat_client() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| program("chat-client"));
    &PATH
}

/// A `chat-client` that knows nothing of the settings of whoever runs the tests.
pub fn client_command() -> Command {
    let mut command = Command::new(chat_client());
    // By the specification, a relative path here does not count, and a file there can't be.
    command
        .env("XDG_CONFIG_HOME", "/dev/null")
        .env("XDG_STATE_HOME", "/dev/null");
    command
}

fn program(name: &str) -> PathBuf {
    let path = BUILT.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

/// The directory that holds the programs, once they are built.
///
/// Cargo builds the programs of other packages for no test, so this does: with the profile and the target
/// directory of the test itself, so that nothing is built that a `cargo build` would not have.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().expect("the path of the test itself");
    let directory = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>")
        .to_owned();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("no profile in {}", test.display()),
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
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .args(platform.map(|platform| format!("--target={platform}")))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "the programs do not build: {status}");
    directory
});

/// Whether a directory is one that `--target` makes, as in `target/x86_64-unknown-linux-gnu/debug`.
fn is_platform(name: &&str) -> bool {
    name.starts_with(std::env::consts::ARCH) && name.matches('-').count() >= 2
}
