//! The seeds of the fuzz targets, whole and damaged: errors, but no panics. Among them are all inputs
//! that a fuzzer ever found a fault with.

use std::path::Path;

use gradloom_tensor::Key;
use gradloom_testkit::storage::device;
use gradloom_weights::{Checkpoint, Stored};

const TARGETS: [&str; 5] = ["safetensors", "gguf", "torch", "numpy", "tfjs"];

/// Seeds of a target, with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

/// A checkpoint of a seed, which of a set of files is the index, a byte of zero, and what each file holds.
fn checkpoint(target: &str, mut bytes: Vec<u8>) -> gradloom_weights::Result<Checkpoint> {
    let cut = bytes.iter().position(|&byte| byte == 0).filter(|_| target == "tfjs");
    let data = cut.map(|cut| bytes.split_off(cut)).unwrap_or_default();
    let beside = |_: &str| Ok(data.get(1..).unwrap_or_default().to_vec());
    Checkpoint::from_bytes_with("seed", bytes, beside)
}

fn read(target: &str, bytes: Vec<u8>) {
    if let Ok(checkpoint) = checkpoint(target, bytes) {
        let device = device();
        for name in checkpoint.names() {
            drop(checkpoint.tensor(name, &device));
        }
    }
}

#[test]
fn seeds_that_were_made_are_read() {
    let device = device();
    let wanted = [("safetensors", "dtypes", 5), ("gguf", "metadata", 1), ("gguf", "tensors", 6)];
    let torch = ["state", "protocol_4", "nested", "deflated", "legacy", "legacy_nested"];
    let numpy = [("numpy", "array", 1), ("numpy", "stored", 4), ("numpy", "deflated", 4)];
    let torch = torch.map(|seed| ("torch", seed, 4));
    let tfjs = [("tfjs", "manifest", 6), ("tfjs", "model", 6), ("tfjs", "shards", 1)];
    for (target, seed, count) in wanted.into_iter().chain(torch).chain(numpy).chain(tfjs) {
        let (_, bytes) = seeds(target).into_iter().find(|(name, _)| name == seed).unwrap();
        let checkpoint = checkpoint(target, bytes).unwrap();
        assert_eq!(checkpoint.names().len(), count, "{target}/{seed}");
        for (name, entry) in checkpoint.entries() {
            let read = checkpoint.tensor(name, &device);
            assert_eq!(
                read.is_err(),
                matches!(entry.stored, Stored::Other(_)),
                "{target}/{seed}: {name}"
            );
        }
    }
}

#[test]
fn damaged_seeds_never_panic() {
    let mut key = Key::new(11);
    let mut random = || {
        let [first, second] = key.words();
        key = key.fold(0);
        (first as usize, second)
    };
    for target in TARGETS {
        for (_, whole) in seeds(target) {
            read(target, whole.clone());
            for len in 0..whole.len() {
                read(target, whole[..len].to_vec());
            }
            for _ in 0..1500 {
                let mut bytes = whole.clone();
                for _ in 0..1 + random().0 % 4 {
                    let (place, value) = random();
                    let at = place % bytes.len().max(1);
                    match value % 8 {
                        0 => bytes.truncate(at),
                        1 => bytes.insert(at, (value >> 8) as u8),
                        2 => drop(bytes.drain(at..bytes.len().min(at + 1 + random().0 % 8))),
                        3 if bytes.len() >= at + 8 => bytes[at..at + 8].fill(0xff),
                        4 if bytes.len() > at => bytes[at] ^= 1 << (value >> 8 & 7),
                        _ if bytes.len() > at => bytes[at] = (value >> 8) as u8,
                        _ => {}
                    }
                }
                read(target, bytes);
            }
        }
    }
}

/// What a file says, read or mapped: names, dtypes, elements, or errors.
fn said(checkpoint: gradloom_weights::Result<Checkpoint>) -> Vec<(String, Option<Vec<u8>>)> {
    let device = device();
    let Ok(checkpoint) = checkpoint else { return Vec::new() };
    let tensor = |name: &str| {
        let tensor = checkpoint.tensor(name, &device).ok()?;
        match tensor.to_blocks().expect("bytes") {
            Some(blocks) => Some(blocks),
            None => tensor.value().map(|_| tensor.to_bytes().expect("bytes")),
        }
    };
    checkpoint.names().map(|name| (name.to_owned(), tensor(name))).collect()
}

#[test]
fn seeds_say_the_same_through_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed");
    for target in TARGETS.into_iter().filter(|&target| target != "tfjs") {
        for (name, whole) in seeds(target) {
            for len in (0..whole.len()).step_by(97).chain([whole.len()]) {
                std::fs::write(&path, &whole[..len]).unwrap();
                #[expect(unsafe_code, reason = "what is tested is unsafe")]
                // SAFETY: the file is this test's own, and is written when nothing of it is left.
                let mapped = said(unsafe { Checkpoint::open_mapped(&path) });
                assert!(said(Checkpoint::open(&path)) == mapped, "{target}/{name} at {len}");
            }
        }
    }
}
