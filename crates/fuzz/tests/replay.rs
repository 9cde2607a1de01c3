//! Runs every kept input through every target.

use chat_fuzz::{TARGETS, run};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// All kept inputs, each with the name of its target. They are read once: targets count the memory of the whole process.
static INPUTS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(read);

fn read() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for kind in ["corpus", "regressions"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind);
        for target in fs::read_dir(root).expect("a directory of inputs") {
            let target = target.expect("a directory");
            let name = target.file_name().into_string().expect("a name");
            for file in fs::read_dir(target.path()).expect("inputs") {
                let bytes = fs::read(file.expect("a file").path()).expect("an input");
                inputs.push((name.clone(), bytes));
            }
        }
    }
    inputs
}

#[test]
fn targets_and_input_directories_match() {
    for (target, _) in TARGETS {
        assert!(INPUTS.iter().any(|(name, _)| name == target), "{target}");
    }
    for (name, _) in INPUTS.iter() {
        assert!(TARGETS.iter().any(|(target, _)| name == target), "{name}");
    }
}

#[test]
fn every_input_keeps_every_promise() {
    for (_, bytes) in INPUTS.iter() {
        for (target, _) in TARGETS {
            run(target, bytes);
        }
    }
}

/// How many inputs of each target are truncated and changed, and in how many places. Each place makes two more inputs.
const CHANGED: usize = 3;
const PLACES: usize = 40;

#[test]
fn truncated_and_changed_inputs_keep_every_promise() {
    for (target, _) in TARGETS {
        let mut inputs: Vec<_> = INPUTS.iter().collect();
        inputs.retain(|(name, bytes)| name == target && bytes.len() <= 300);
        inputs.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.len()));
        for (_, bytes) in inputs.iter().take(CHANGED) {
            for cut in (0..bytes.len()).step_by(bytes.len().div_ceil(PLACES)) {
                run(target, &bytes[..cut]);
                let mut changed = bytes.clone();
                changed[cut] ^= 1 << (cut % 8);
                run(target, &changed);
            }
        }
    }
}
