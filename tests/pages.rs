//! The pages of the repository name only files, options, keys and commands that exist.

use crate::documents::{help, options, terms};
use crate::harness::{client_command, server_command};
use clap::CommandFactory;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const README_WORDS_MAX: usize = 900;

/// Options of other people's programs that the pages mention.
const FOREIGN_OPTIONS: &[&str] = &[
    "bin",
    "chat",
    "fuzz-dir",
    "no-trace-compares",
    "now",
    "path",
    "profile",
    "reference",
    "release",
    "sanitizer",
    "ssl",
    "workspace",
];

/// A code span that begins like this names a file of the repository.
const DIRECTORIES: &[&str] = &[
    ".cargo/",
    ".ci/",
    ".github/",
    "bench/",
    "client/",
    "corpus/",
    "crates/",
    "fuzz/",
    "libfuzzer/",
    "manual/",
    "proto/",
    "scripts/",
    "server/",
    "src/",
    "sys/",
    "tests/",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A Markdown page, by its path from the root.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: impl AsRef<Path>) -> Self {
        Self::new(path.as_ref(), read(&path))
    }

    fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        Self { path, text }
    }

    /// Every page of the repository.
    fn all() -> Vec<Self> {
        let mut pages = Vec::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(root().join(&directory)).unwrap() {
                let entry = entry.unwrap();
                let (name, path) = (entry.file_name(), directory.join(entry.file_name()));
                if entry.file_type().unwrap().is_dir() {
                    if !["target", ".git", "mutants.out"]
                        .iter()
                        .any(|skipped| name == *skipped)
                    {
                        directories.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "md") {
                    pages.push(Self::read(path));
                }
            }
        }
        assert!(pages.len() > 8, "only {} pages", pages.len());
        pages
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_fenced = false;
        self.text.lines().filter(move |line| {
            is_fenced ^= line.starts_with("```");
            !is_fenced && !line.starts_with("```")
        })
    }

    /// What stands between backticks in a line of prose.
    fn code_spans(&self) -> impl Iterator<Item = &str> {
        self.prose().flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// The targets of links and pictures within the repository.
    fn links(&self) -> impl Iterator<Item = &str> {
        let targets = self.prose().flat_map(|line| line.split("](").skip(1));
        targets
            .filter_map(|rest| Some(rest.split_once(')')?.0))
            .filter(|target| !target.contains(':'))
    }

    /// The anchors of the headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| {
            let kept = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    /// Links that lead nowhere.
    fn broken_links(&self) -> Vec<String> {
        let is_broken = |target: &&str| {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = self.directory().join(file);
            if !root().join(&path).exists() {
                return true;
            }
            let anchors = match file {
                "" => self.anchors(),
                _ if anchor.is_empty() => return false,
                _ => Self::read(&path).anchors(),
            };
            !anchors.contains(anchor)
        };
        self.links().filter(is_broken).map(str::to_owned).collect()
    }

    /// Files in code spans that do not exist, seen from the root, from `crates/` or from the page.
    fn missing_files(&self) -> Vec<String> {
        let is_file = |span: &&str| {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            let is_named =
                DIRECTORIES.iter().any(|directory| span.starts_with(directory)) || span.ends_with(".rs");
            // TARGET and the like stand for a name.
            is_named && span.chars().all(is_path) && !span.contains("TARGET")
        };
        let is_missing = |span: &&str| {
            let bases = [Path::new(""), Path::new("crates"), self.directory()];
            !bases.iter().any(|base| root().join(base).join(span).exists())
        };
        let spans = self
            .code_spans()
            .map(|span| span.split(' ').next().unwrap_or(span));
        spans
            .filter(is_file)
            .filter(is_missing)
            .map(str::to_owned)
            .collect()
    }

    /// Long options that are not among the known ones.
    fn unknown_options(&self, known: &BTreeSet<String>) -> Vec<String> {
        let words = self.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let options = words
            .filter_map(|word| word.strip_prefix("--"))
            .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        let unknown = options.filter(|name| !known.contains(*name));
        unknown.map(|name| format!("--{name}")).collect()
    }

    /// Commands in code spans that are not among the known ones.
    fn unknown_commands(&self, known: &BTreeSet<String>) -> Vec<String> {
        let names = self.code_spans().filter_map(|span| {
            let name = span.split(' ').next()?;
            let is_command = name.strip_prefix('/')?.chars().all(|c| c.is_ascii_lowercase());
            (is_command && name.len() > 1).then_some(name)
        });
        let unknown = names.filter(|name| !known.contains(*name));
        unknown.map(str::to_owned).collect()
    }

    /// The cells in the first column of the table with this heading, without their backticks.
    fn first_column(&self, heading: &str) -> Vec<String> {
        let table = self.text.split_once(&format!("\n| {heading} |"));
        let (_, rows) = table.unwrap_or_else(|| panic!("{} has no table {heading:?}", self.path.display()));
        let (rows, _) = rows.split_once("\n\n").unwrap_or((rows, ""));
        let rows = rows.lines().skip(2);
        rows.map(|row| row.split('|').nth(1).unwrap().trim().replace('`', ""))
            .collect()
    }
}

/// The commands or keys that a cell or a term names.
fn names(text: &str) -> Vec<String> {
    text.replace("; ", ", ").split(", ").map(str::to_owned).collect()
}

/// The names of all commands, such as `/msg`.
fn commands() -> BTreeSet<String> {
    let terms = terms(client_command(), "COMMANDS");
    let names = terms.iter().flat_map(|term| names(term));
    names
        .map(|name| name.split(' ').next().unwrap().to_owned())
        .collect()
}

/// The options of all programs and scripts here, and of other people's programs.
fn known_options() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = FOREIGN_OPTIONS.iter().map(|&name| name.to_owned()).collect();
    known.extend(options(&help(client_command())));
    known.extend(options(&help(server_command())));
    for mut program in [
        chat_bench::args::Args::command(),
        chat_bench::picture::Args::command(),
        chat_bench::reference::Args::command(),
        chat_bench::typist::Args::command(),
    ] {
        let help = program.render_long_help().to_string();
        known.extend(options(&help.lines().map(str::to_owned).collect::<Vec<_>>()));
    }
    for directory in ["scripts", ".ci"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            // A page must not vouch for itself.
            if path.is_file() && path.extension().is_none_or(|extension| extension != "md") {
                let text = fs::read_to_string(path).unwrap();
                known.extend(text.split("--").skip(1).map(|rest| {
                    let end = rest.find(|c: char| c != '-' && !c.is_ascii_lowercase());
                    rest[..end.unwrap_or(rest.len())].to_owned()
                }));
            }
        }
    }
    known
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    for page in Page::all() {
        assert_eq!(page.broken_links(), [""; 0], "{}", page.path.display());
    }
    let page = Page::new(
        "README.md",
        "## A b\n[a](#a-b) [b](#c) [c](Cargo.toml) [d](no.md) [e](README.md#no)",
    );
    assert_eq!(page.broken_links(), ["#c", "no.md", "README.md#no"]);
}

#[test]
fn pages_name_only_files_that_exist() {
    for page in Page::all() {
        assert_eq!(page.missing_files(), [""; 0], "{}", page.path.display());
    }
    let page = Page::new(
        "README.md",
        "`scripts/check --x` `scripts/chek`, `server/src/lib.rs` `no.rs`",
    );
    assert_eq!(page.missing_files(), ["scripts/chek", "no.rs"]);
}

#[test]
fn pages_name_only_options_that_exist() {
    let known = known_options();
    // The page of changes also names options that are gone.
    for page in Page::all()
        .iter()
        .filter(|page| !page.path.ends_with("CHANGELOG.md"))
    {
        assert_eq!(page.unknown_options(&known), [""; 0], "{}", page.path.display());
    }
    let page = Page::new("README.md", "`--nick=x --nik` and\n```\n--max-user 1\n```");
    assert_eq!(page.unknown_options(&known), ["--nik", "--max-user"]);
}

#[test]
fn pages_for_users_name_only_commands_that_exist() {
    let known = commands();
    for path in [
        "README.md",
        "crates/client/README.md",
        "crates/client/JSON.md",
        "crates/server/README.md",
    ] {
        assert_eq!(Page::read(path).unknown_commands(&known), [""; 0], "{path}");
    }
    let page = Page::new("README.md", "`/msg WHO TEXT` `/quti`");
    assert_eq!(page.unknown_commands(&known), ["/quti"]);
}

#[test]
fn the_guide_names_exactly_the_commands_and_keys_of_the_program() {
    let guide = Page::read("crates/client/README.md");
    for (section, table) in [("COMMANDS", "command | effect"), ("KEYS", "keys | effect")] {
        let terms = terms(client_command(), section);
        let known: BTreeSet<String> = terms.iter().flat_map(|term| names(term)).collect();
        assert!(known.len() > 10, "{known:?}");
        let column = guide.first_column(table);
        let named: BTreeSet<String> = column.iter().flat_map(|cell| names(cell)).collect();
        let different: Vec<&String> = named.symmetric_difference(&known).collect();
        assert!(
            different.is_empty(),
            "only in one of guide and program: {different:?}"
        );
    }
}

#[test]
fn the_guides_name_exactly_the_options_of_their_programs() {
    let programs = [
        ("crates/client/README.md", client_command()),
        ("crates/server/README.md", server_command()),
    ];
    for (path, command) in programs {
        let lines = help(command);
        let help = lines.join("\n");
        let mut known: BTreeSet<String> = options(&lines)
            .into_iter()
            .map(|name| match help.split_once(&format!("--{name} <")) {
                Some((_, rest)) => format!("--{name} {}", rest.split('>').next().unwrap()),
                None => format!("--{name}"),
            })
            .collect();
        // Any program has these.
        known.remove("--help");
        known.remove("--version");
        let guide = Page::read(path);
        let rows = guide.text.lines().filter(|line| line.starts_with("| `--"));
        let cells = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
        let named: BTreeSet<String> = cells.map(str::to_owned).collect();
        let different: Vec<&String> = named.symmetric_difference(&known).collect();
        assert!(
            different.is_empty(),
            "only in one of {path} and --help: {different:?}"
        );
    }
}

/// The defaults that `--help` gives for options and arguments, without those of switches.
fn defaults(help: &[String]) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    let mut name = String::new();
    for line in help {
        let line = line.trim_start();
        // An argument is `[NAME]` on a line of its own, an option `--name`, perhaps with more after it.
        let argument = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let argument = argument.filter(|name| name.chars().all(|c| c.is_ascii_uppercase()));
        if let Some(found) = argument.or(line
            .split(['[', ' '])
            .next()
            .filter(|word| word.starts_with("--")))
        {
            name = found.to_owned();
        }
        if let Some((_, rest)) = line.split_once("[default: ") {
            let default = rest.split(']').next().unwrap();
            if default != "false" {
                defaults.insert(name.clone(), default.to_owned());
            }
        }
    }
    defaults
}

#[test]
fn the_guides_name_the_files_of_the_manual_pages() {
    let programs = [
        ("crates/client/README.md", client_command()),
        ("crates/server/README.md", server_command()),
    ];
    for (path, command) in programs {
        let guide = Page::read(path);
        let named: BTreeSet<&str> = guide.code_spans().collect();
        let files = terms(command, "FILES");
        let missing: Vec<&str> = files
            .iter()
            .flat_map(|file| file.split(", "))
            .filter(|file| !named.contains(file))
            .collect();
        assert_eq!(missing, [""; 0], "{path}");
    }
}

#[test]
fn the_guides_give_the_defaults_of_their_programs() {
    let programs = [
        ("crates/client/README.md", client_command()),
        ("crates/server/README.md", server_command()),
    ];
    for (path, command) in programs {
        let known = defaults(&help(command));
        assert!(known.len() > 2, "{known:?}");
        let guide = Page::read(path);
        let rows = guide.text.lines().filter_map(|line| line.strip_prefix("| `"));
        let given: BTreeMap<String, String> = rows
            .filter_map(|row| {
                let [name, _, default, _] = row.split('|').collect::<Vec<_>>().try_into().ok()?;
                let default = default.trim().replace('`', "");
                let is_given = !["", "none"].contains(&default.as_str());
                is_given.then(|| (name.split([' ', '`']).next().unwrap().to_owned(), default))
            })
            .collect();
        assert_eq!(given, known, "{path}");
    }
}

#[test]
fn the_operators_guide_names_every_reason_in_the_log() {
    let source = read("crates/server/src/event.rs");
    let guide = Page::read("crates/server/README.md");
    for (kind, table) in [
        ("Departure", "reason of a leave | meaning"),
        ("Refusal", "reason of a refusal | meaning"),
    ] {
        let (_, code) = source
            .split_once(&format!("impl fmt::Display for {kind} "))
            .unwrap();
        let (code, _) = code.split_once("\n}\n").unwrap();
        let first_word = |text: &str| text.split(' ').next().unwrap().to_owned();
        let known: BTreeSet<String> = code.split('"').skip(1).step_by(2).map(first_word).collect();
        assert!(known.len() > 3, "{known:?}");
        let column = guide.first_column(table);
        let named: BTreeSet<String> = column
            .iter()
            .flat_map(|cell| cell.split(", "))
            .map(first_word)
            .collect();
        assert_eq!(named, known, "{kind}");
    }
}

#[test]
fn the_operators_guide_names_every_line_of_the_log() {
    let begins = |text: &str| {
        text.split(['{', '=', ':', '"'])
            .next()
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let events = read("crates/server/src/event.rs");
    let (_, events) = events.split_once("impl fmt::Display for Event ").unwrap();
    let (events, _) = events.split_once("\n}\n").unwrap();
    let mut known: BTreeSet<String> = events.split("write!(f, \"").skip(1).map(begins).collect();
    let server = read("crates/server/src/server.rs");
    let lines = ["line(", "problem("]
        .iter()
        .flat_map(|call| server.split(call).skip(1));
    let texts = lines.filter_map(|rest| {
        let rest = rest.trim_start().trim_start_matches("format_args!(");
        rest.trim_start().strip_prefix('"')
    });
    known.extend(texts.map(begins));
    // Parts of a line, and lines that begin with a variable.
    known.retain(|begins| !begins.is_empty() && !begins.starts_with(' '));
    known.extend(["allow", "deny", "log left-out", "state messages", "state refused"].map(str::to_owned));
    assert!(known.len() > 15, "{known:?}");

    let guide = read("crates/server/README.md");
    let tables = guide.split("\n| line | meaning |\n|---|---|\n").skip(1);
    let rows = tables.flat_map(|table| table.lines().take_while(|line| line.starts_with('|')));
    let cells = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let named: BTreeSet<&str> = cells.collect();
    let missing: Vec<&String> = known
        .iter()
        .filter(|&known| !named.iter().any(|line| line.starts_with(known.as_str())))
        .collect();
    assert_eq!(missing, [""; 0], "the guide lacks these");
    let unknown: Vec<&&str> = named
        .iter()
        .filter(|line| !known.iter().any(|known| line.starts_with(known.as_str())))
        .collect();
    assert_eq!(unknown, [&""; 0], "the server logs none of these");
}

#[test]
fn the_readme_is_short_and_begins_with_two_commands() {
    let readme = read("README.md");
    let words = readme.split_whitespace().count();
    assert!(words <= README_WORDS_MAX, "{words} words");
    let (_, block) = readme.split_once("```console\n").unwrap();
    let commands = "$ cargo run --release --bin chat-server -- 0.0.0.0 9000\n$ cargo test --workspace\n```";
    assert!(block.starts_with(commands), "{block}");
}

#[test]
fn the_table_of_dependencies_is_complete() {
    let manifest = read("Cargo.toml");
    let (_, section) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let declared = section.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    let declared: BTreeSet<&str> = declared.filter(|name| !name.starts_with("chat-")).collect();

    let column = Page::read("crates/ARCHITECTURE.md").first_column("crate | for");
    let named: BTreeSet<&str> = column.iter().flat_map(|cell| cell.split(", ")).collect();
    assert_eq!(named, declared);
}

#[test]
fn the_map_of_the_code_has_every_file() {
    let page = Page::read("crates/ARCHITECTURE.md");
    let named: BTreeSet<&str> = page.code_spans().map(|span| span.trim_end_matches('/')).collect();
    let mut missing = Vec::new();
    let mut directories: Vec<PathBuf> = ["proto", "sys", "server", "client"]
        .iter()
        .map(|name| [name, "src"].iter().collect())
        .collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join("crates").join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            // A directory that is named stands for its files.
            if named.contains(path.to_str().unwrap())
                || path.ends_with("lib.rs")
                || path.ends_with("tests")
                || path.ends_with("tests.rs")
            {
                continue;
            }
            if path.extension().is_some() {
                missing.push(path);
            } else {
                directories.push(path);
            }
        }
    }
    assert_eq!(
        missing,
        [""; 0].map(PathBuf::from),
        "{} does not name these",
        page.path.display()
    );
}
