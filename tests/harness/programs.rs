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
    // Cargo marks a target directory with this file; for another platform there is one level more.
    let target = directory
        .ancestors()
        .skip(1)
        .find(|above| above.join("CACHEDIR.TAG").is_file())
        .expect("a target directory above the test");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if let Ok(inside) = directory.strip_prefix(target)
        && let (Some(platform), Some(_)) = (inside.iter().next(), inside.iter().nth(1))
    {
        build.arg("--target").arg(platform);
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "the programs do not build: {status}");
    directory
});
