//! No two files of a crate import each other, neither directly nor through others.
//!
//! One file needs another if it names an item that the other defines: by `use`, by a path in the code, or by a method
//! that the other file's `impl` adds to a type defined elsewhere. A name that is re-exported counts for the file that
//! defines it. `mod child;`, and `pub use` of something below the module, count for nothing until the file itself uses
//! the name. Code under `#[cfg(test)]` does not count.
//!
//! A failure lists the circles, and the names that tie their files. To run only this check:
//!
//! ```console
//! $ cargo test -p chat-tests --test chat imports::
//! ```
//!
//! Limits:
//! - Calls of trait methods do not count. A method of a type in another file counts if it is called on `self`, or if only
//!   one `impl` of the crate has a method of that name.
//! - Names made by macros do not count, nor do macros used by their bare name in another file.
//! - Paths in strings do not count, as in `#[serde(with = "...")]`. Files named by `#[path]` are not read.
//! - A `use` inside a function counts for the whole module.

mod graph;
mod lexer;
mod modules;

use graph::circles;
use modules::Sources;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_two_files_import_each_other() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Sources::new();
    read_sources(workspace, &workspace.join("crates"), &mut sources);
    read_sources(workspace, &workspace.join("tests"), &mut sources);
    let roots: Vec<&PathBuf> = sources.keys().filter(|file| is_root(file)).collect();
    assert!(
        roots.len() >= 10,
        "only these roots of crates were found: {roots:?}"
    );
    let found: Vec<String> = roots
        .into_iter()
        .flat_map(|root| circles(root, &sources))
        .map(|circle| circle.to_string())
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Reads every Rust file below a directory. Paths are relative to the workspace.
fn read_sources(workspace: &Path, directory: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                read_sources(workspace, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(workspace).unwrap().to_owned();
            sources.insert(relative, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Whether Cargo takes this file for the root of a crate.
fn is_root(file: &Path) -> bool {
    let path: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    matches!(
        path.as_slice(),
        ["tests", "main.rs"]
            | ["tests", "people", "main.rs"]
            | ["crates", _, "src", "lib.rs" | "main.rs"]
            | ["crates", _, "src", "bin", _]
            | ["crates", _, "tests", _]
            | ["crates", _, "tests", _, "main.rs"]
    )
}

/// The circles in a crate of these files, as they are printed.
fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
    let sources = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    let circles = circles(Path::new("lib.rs"), &sources.collect());
    circles.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_no_circle(files: &[(&str, &str)]) {
    assert_eq!(circles_in(files), Vec::<String>::new());
}

#[track_caller]
fn assert_one_circle(files: &[(&str, &str)], expected: &str) {
    assert_eq!(circles_in(files), [expected]);
}

const A_AND_B: (&str, &str) = ("lib.rs", "mod a; mod b;");

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let files = [
        A_AND_B,
        ("a.rs", "use crate::b::Up; pub struct Down; fn f(_: Up) {}"),
        ("b.rs", "use super::a::Down; pub struct Up; fn f(_: Down) {}"),
    ];
    let expected = "2 files import each other:\n  a.rs -> b.rs: Up\n  b.rs -> a.rs: Down\n";
    assert_one_circle(&files, expected);
}

#[test]
fn imports_in_one_direction_are_no_circle() {
    let files = [
        A_AND_B,
        ("a.rs", "use crate::b::{Up, f}; fn g(_: Up) { f() }"),
        ("b.rs", "use std::fmt; pub struct Up; pub fn f() {}"),
    ];
    assert_no_circle(&files);
}

#[test]
fn a_longer_chain_is_a_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B(crate::c::C);"),
        (
            "c.rs",
            "pub enum C { Of(Box<super::a::A>) } fn f() { crate::d::free() }",
        ),
        ("d.rs", "pub fn free() {}"),
    ];
    let expected = "3 files import each other:\n  a.rs -> b.rs: B\n  b.rs -> c.rs: C\n  c.rs -> a.rs: A\n";
    assert_one_circle(&files, expected);
}

#[test]
fn a_child_and_a_parent_that_uses_it_are_a_circle() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub struct A; fn f() { b::g() }"),
        ("a/b.rs", "use super::A; pub fn g() -> A { A }"),
    ];
    let expected = "2 files import each other:\n  a/b.rs -> a.rs: A\n  a.rs -> a/b.rs: g\n";
    assert_one_circle(&files, expected);
}

#[test]
fn a_parent_that_only_re_exports_is_in_no_circle() {
    let files = [
        ("lib.rs", "mod a; pub use a::{B, C};"),
        (
            "a/mod.rs",
            "mod b; mod c; pub(crate) use b::B; pub use c::C; pub const LIMIT: u8 = 1;",
        ),
        ("a/b.rs", "use super::{C, LIMIT}; pub struct B(C, [u8; LIMIT]);"),
        ("a/c.rs", "pub struct C;"),
    ];
    assert_no_circle(&files);
}

#[test]
fn a_re_export_that_the_file_uses_itself_counts() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub use b::B; pub struct A(B);"),
        ("a/b.rs", "use super::A; pub struct B(Box<A>);"),
    ];
    let expected = "2 files import each other:\n  a/b.rs -> a.rs: A\n  a.rs -> a/b.rs: B\n";
    assert_one_circle(&files, expected);
}

#[test]
fn a_re_export_counts_for_the_file_that_defines_the_name() {
    let files = [
        (
            "lib.rs",
            "mod a; mod b; mod front; pub use front::deep::Deep as Renamed;",
        ),
        ("a.rs", "use crate::Renamed; pub struct A(Renamed);"),
        ("b.rs", ""),
        ("front/mod.rs", "pub mod deep;"),
        ("front/deep.rs", "pub struct Deep(Option<Box<crate::a::A>>);"),
    ];
    let expected = "2 files import each other:\n  a.rs -> front/deep.rs: Deep\n  front/deep.rs -> a.rs: A\n";
    assert_one_circle(&files, expected);
}

#[test]
fn a_re_export_from_elsewhere_is_an_import() {
    let files = [
        A_AND_B,
        ("a.rs", "pub use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B(crate::a::A);"),
    ];
    assert_eq!(circles_in(&files).len(), 1);
}

#[test]
fn code_for_unit_tests_does_not_count() {
    let b = "pub struct B;
        #[cfg(test)] use crate::a::{A, f};
        #[cfg(test)] impl B { fn g() { f() } }
        #[cfg(test)] #[derive(Debug)] struct C(A);
        struct D { #[cfg(test)] a: A, b: u8 }
        #[cfg(all(test, unix))] const fn h() -> A { A }
        #[cfg(test)] mod tests { use crate::a::A; }
        #[cfg(test)] mod more;";
    let files = [
        A_AND_B,
        ("a.rs", "use crate::b::B; pub struct A(B); pub fn f() {}"),
        ("b.rs", b),
        ("b/more.rs", "use super::super::a::A;"),
    ];
    assert_no_circle(&files);
    let last = format!("{b} fn last() {{ crate::a::f() }}");
    assert_eq!(circles_in(&[files[0], files[1], ("b.rs", &last)]).len(), 1);
}

#[test]
fn nested_imports_are_read_leaf_by_leaf() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "use crate::{b::{self, One, deep::{Two as Second, three}}, c::*}; pub struct A; fn f(_: Four) {}",
        ),
        ("b.rs", "pub mod deep; pub struct One(crate::a::A);"),
        ("b/deep.rs", "pub struct Two; pub fn three() { crate::a::A }"),
        ("c.rs", "pub struct Four(crate::a::A);"),
    ];
    let expected = "4 files import each other:\n  a.rs -> b/deep.rs: Two, three\n  a.rs -> b.rs: One\n  \
        a.rs -> c.rs: Four\n  b/deep.rs -> a.rs: A\n  b.rs -> a.rs: A\n  c.rs -> a.rs: A\n";
    assert_one_circle(&files, expected);
}

#[test]
fn a_method_counts_for_the_file_of_its_impl() {
    let files = [
        ("lib.rs", "mod room;"),
        (
            "room.rs",
            "mod slow; pub struct Room; impl Room { pub fn turn(&mut self) { self.evict() } }",
        ),
        (
            "room/slow.rs",
            "use super::Room; impl Room { pub(super) fn evict(&mut self) {} }",
        ),
    ];
    let expected = "2 files import each other:\n  room/slow.rs -> room.rs: Room\n  \
        room.rs -> room/slow.rs: Room::evict\n";
    assert_one_circle(&files, expected);
    for call in [
        "fn f(room: &mut Room) { room.evict() }",
        "fn f(room: &mut Room) { Room::evict(room) }",
    ] {
        let room = format!("mod slow; pub struct Room; {call}");
        assert_eq!(
            circles_in(&[files[0], ("room.rs", &room), files[2]]).len(),
            1,
            "{call}"
        );
    }
}

#[test]
fn comments_strings_and_lifetimes_are_no_code() {
    let a = r##"
        // use crate::b::B;
        /* use /* crate::b::B */ crate::b::B; */
        pub struct A<'a>(&'a str, char);
        const QUOTES: [char; 4] = ['"', '\'', '{', '\u{7d}'];
        fn f() -> [&'static str; 2] { ["use crate::b::B; \" {", r#"crate::b::B " }"#] }
        fn b(b: u8) -> u8 { b'}' + b }
    "##;
    assert_no_circle(&[
        A_AND_B,
        ("a.rs", a),
        ("b.rs", "pub struct B<'a>(crate::a::A<'a>);"),
    ]);
}

#[test]
fn inline_modules_belong_to_their_file() {
    let files = [
        A_AND_B,
        (
            "a.rs",
            "pub mod inner { pub struct A; pub mod leaf; } fn f() { crate::b::g() }",
        ),
        ("a/inner/leaf.rs", "pub struct Leaf;"),
        ("b.rs", "use crate::a::inner::{A, leaf::Leaf}; pub fn g() {}"),
    ];
    assert_one_circle(
        &files,
        "2 files import each other:\n  a.rs -> b.rs: g\n  b.rs -> a.rs: A\n",
    );
}

#[test]
fn roots_of_crates_are_found_as_cargo_finds_them() {
    for root in [
        "crates/a/src/lib.rs",
        "crates/a/src/main.rs",
        "crates/a/src/bin/load.rs",
        "crates/a/tests/one.rs",
        "crates/a/tests/many/main.rs",
        "tests/main.rs",
    ] {
        assert!(is_root(Path::new(root)), "{root}");
    }
    for other in [
        "crates/a/src/b.rs",
        "crates/a/src/b/tests/c.rs",
        "crates/a/tests/many/b.rs",
        "crates/a/src/tests/b.rs",
        "tests/b.rs",
        "tests/harness/mod.rs",
    ] {
        assert!(!is_root(Path::new(other)), "{other}");
    }
}
