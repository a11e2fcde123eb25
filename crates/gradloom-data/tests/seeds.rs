//! The seeds of the fuzz targets, whole and damaged: errors, but no panics. Among them are all inputs
//! that a fuzzer ever found a fault with.

use std::path::Path;

use gradloom_data::cifar::Cifar;
use gradloom_data::format::csv::CsvReader;
use gradloom_data::format::idx::IdxArray;
use gradloom_data::format::json_lines::JsonLinesReader;
use gradloom_data::format::parquet::ParquetReader;
use gradloom_data::format::picture::PictureReader;
use gradloom_data::format::wav::read_wav;
use gradloom_data::preparation::FittedPreparation;
use gradloom_data::random::RandomStream;
use gradloom_data::{Source, Table};
use gradloom_tensor::Key;

/// Seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What the fuzz target does; true if the input was read.
fn read(target: &str, bytes: &[u8]) -> bool {
    let source = || Source::from_bytes("seed", bytes).limit(1 << 24);
    match target {
        "csv" => {
            let lines = JsonLinesReader::new().read(source()).is_ok();
            let Ok(table) = CsvReader::new().read(source()) else { return lines };
            let mut written = Vec::new();
            table.write_csv(&mut written).unwrap();
            let again = CsvReader::new().missing([""]).read(Source::from_bytes("again", &written));
            assert_eq!(again.unwrap().len(), table.len(), "{written:?}");
            true
        }
        "idx" => {
            drop(Cifar::Cifar10.read(source()));
            IdxArray::read(source()).is_ok()
        }
        "parquet" => ParquetReader::new().bytes_max(1 << 26).read(source()).is_ok(),
        "picture" => PictureReader::new().pixels_max(1 << 22).read(source()).is_ok(),
        "preparation" => {
            let Ok(text) = std::str::from_utf8(bytes) else { return false };
            let Ok(preparation) = FittedPreparation::from_json(text) else { return false };
            let table = Table::new().with("n", vec![1.0, f64::NAN, -3.0]).unwrap();
            let table = table.with("c", vec!["a", "b", "a"]).unwrap();
            if let Ok(prepared) = preparation.transform(&table) {
                drop(preparation.inverse(&prepared));
            }
            true
        }
        _ => read_wav(source()).is_ok(),
    }
}

/// The targets, and how many of their seeds are read.
const TARGETS: [(&str, usize); 6] =
    [("csv", 5), ("idx", 3), ("parquet", 6), ("picture", 10), ("preparation", 2), ("wav", 7)];

fn damaged(target: &str, seed: &[u8], stream: &mut RandomStream) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=stream.below(4) {
        let at = stream.below(bytes.len().max(1));
        // What is found from the end of a file would not be found any more if it were moved.
        let kinds = if target == "parquet" { 2 } else { 5 };
        match stream.below(kinds) {
            0 if at < bytes.len() => bytes[at] = stream.next_u32() as u8,
            1 if at < bytes.len() => bytes[at] = b"\0\xff\x7f\x80"[stream.below(4)],
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.insert(at, b"\0\xff\",\n\r:0"[stream.below(8)]),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn seeds_whole_and_damaged_never_panic() {
    let mut stream = RandomStream::new(Key::new(21));
    for (target, whole) in TARGETS {
        let seeds = seeds(target);
        let good = seeds.iter().filter(|seed| read(target, seed)).count();
        assert!(good >= whole, "{target}: {good} seeds are read");
        for seed in &seeds {
            for _ in 0..300 {
                read(target, &damaged(target, seed, &mut stream));
            }
        }
    }
}

/// The same for a minute for each target, without a fuzzer: `cargo test -p gradloom-data --test seeds -- --ignored`.
#[test]
#[ignore = "takes a minute for each target"]
fn seeds_damaged_for_a_minute_never_panic() {
    for (target, _) in TARGETS {
        let (seeds, mut stream) = (seeds(target), RandomStream::new(Key::new(22)));
        let (start, mut count, mut good) = (std::time::Instant::now(), 0_u64, 0_u64);
        while start.elapsed().as_secs() < 60 {
            let bytes = damaged(target, &seeds[stream.below(seeds.len())], &mut stream);
            good += u64::from(read(target, &bytes));
            count += 1;
        }
        println!("{target}: {count} inputs, {good} read");
    }
}
