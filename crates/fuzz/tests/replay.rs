//! Every input that was worth keeping, through every target: no promise is broken again.

use chat_fuzz::{TARGETS, run};
use std::fs;
use std::path::Path;

/// The files of all directories of inputs, each with the name of the directory.
fn inputs() -> Vec<(String, Vec<u8>)> {
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
fn every_target_has_inputs_and_all_inputs_have_a_target() {
    let inputs = inputs();
    for (target, _) in TARGETS {
        assert!(inputs.iter().any(|(name, _)| name == target), "{target}");
    }
    for (name, _) in &inputs {
        assert!(TARGETS.iter().any(|(target, _)| name == target), "{name}");
    }
}

#[test]
fn every_input_keeps_every_promise() {
    for (_, bytes) in inputs() {
        for (target, _) in TARGETS {
            run(target, &bytes);
        }
    }
}

/// How many inputs of each target are cut and bent, and in how many places, for they make many.
const BENT: usize = 3;
const PLACES: usize = 40;

#[test]
fn inputs_cut_short_or_with_a_bit_turned_over_keep_them_too() {
    for (target, _) in TARGETS {
        let mut inputs = inputs();
        inputs.retain(|(name, bytes)| name == target && bytes.len() <= 300);
        inputs.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.len()));
        for (_, bytes) in inputs.iter().take(BENT) {
            for cut in (0..bytes.len()).step_by(bytes.len().div_ceil(PLACES)) {
                run(target, &bytes[..cut]);
                let mut bent = bytes.clone();
                bent[cut] ^= 1 << (cut % 8);
                run(target, &bent);
            }
        }
    }
}
