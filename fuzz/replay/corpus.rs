//! Every input in the corpus, by the same code as the fuzz targets, with an ordinary toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../src/lib.rs"]
mod targets;

use targets::TARGETS;

/// Far more than the slowest input takes, on a busy machine too.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What a target may put into the repository.
const MAX_FILES: usize = 150;
const MAX_BYTES: usize = 200 * 1024;

fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the folder of the fuzz targets")
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// The names of what a folder holds, without their extensions.
fn names(folder: &Path) -> BTreeSet<String> {
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    entries(folder).into_iter().filter_map(name).collect()
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), targets);
    assert_eq!(names(&fuzz().join("corpus")), targets);
}

#[test]
fn every_input_holds() {
    for (name, run) in TARGETS {
        let inputs = entries(&fuzz().join("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no inputs");
        assert!(inputs.len() <= MAX_FILES, "{name}: {} files", inputs.len());
        let mut bytes = 0;
        for path in inputs {
            let input = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            bytes += input.len();
            let start = Instant::now();
            if catch_unwind(|| run(&input)).is_err() {
                panic!("{name} does not hold for {}", path.display());
            }
            let took = start.elapsed();
            assert!(took < TOO_LONG, "{took:?} for {}", path.display());
        }
        assert!(bytes <= MAX_BYTES, "{name}: {bytes} bytes");
    }
}
