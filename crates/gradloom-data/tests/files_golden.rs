//! Pictures, sounds and Parquet files against Pillow, SciPy and pyarrow (`golden/make_files.py`), and what
//! is said about damaged ones.

use std::io::Read;

use gradloom_data::format::parquet::ParquetReader;
use gradloom_data::format::picture::{PictureReader, write_png};
use gradloom_data::format::wav::{Audio, read_wav};
use gradloom_data::random::RandomStream;
use gradloom_data::table::Value as Cell;
use gradloom_data::{Image, Result, Source};
use gradloom_tensor::Key;
use serde_json::Value;

fn golden() -> Value {
    let packed = &include_bytes!("golden/files.json.gz")[..];
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn read_picture(bytes: &[u8]) -> Result<Image> {
    PictureReader::new().read(Source::from_bytes("picture", bytes))
}

fn sound(bytes: &[u8]) -> Result<Audio> {
    read_wav(Source::from_bytes("sound", bytes))
}

fn most(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn pictures_are_those_of_pillow_upright() {
    for case in golden()["pictures"].as_array().unwrap() {
        let file = bytes(&case["file"]);
        let tolerance = case["tolerance"].as_u64().unwrap() as u8;
        let image = read_picture(&file).unwrap();
        let size = [0, 1, 2].map(|axis| case["size"][axis].as_u64().unwrap() as usize);
        assert_eq!(image.size(), size, "{}", case["name"]);
        let difference = most(image.pixels(), &bytes(&case["pixels"]));
        assert!(difference <= tolerance, "{}: by {difference}", case["name"]);
        let grey = PictureReader::new().grey().read(Source::from_bytes("p", &file)).unwrap();
        let difference = most(grey.pixels(), &bytes(&case["grey"]));
        assert!(difference <= tolerance, "{} grey: by {difference}", case["name"]);
    }
}

#[test]
fn a_picture_survives_writing_and_reading() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new((0..90).collect::<Vec<u8>>(), [3, 5, 6]).unwrap();
    image.save_png(folder.path().join("a.png")).unwrap();
    assert_eq!(Image::open(folder.path().join("a.png")).unwrap(), image);
    // As small a file as its pixels can have is no hostile one.
    let flat = Image::new(vec![0u8; 1500 * 1500], [1, 1500, 1500]).unwrap();
    flat.save_png(folder.path().join("flat.png")).unwrap();
    assert!(Image::open(folder.path().join("flat.png")).unwrap().pixels().iter().all(|&p| p == 0));
    let two = Image::new(vec![0u8; 4], [2, 1, 2]).unwrap();
    assert!(write_png(&two, Vec::new()).is_err());
    assert!(Image::open(folder.path().join("none.png")).unwrap_err().is_not_found());
}

#[test]
fn damaged_pictures_are_errors_that_cost_no_memory() {
    let golden = golden();
    for case in golden["pictures"].as_array().unwrap() {
        let file = bytes(&case["file"]);
        // The last bytes of a PNG are its end mark, without which the pixels are whole.
        let least = if file[0] == 0x89 { 12 } else { 0 };
        for len in 0..file.len() - least {
            let error = read_picture(&file[..len]).expect_err("a part of a picture was read");
            assert!(error.is_truncated() || error.is_malformed(), "{}: {error}", case["name"]);
        }
    }
    let mut huge = bytes(&golden["pictures"][0]["file"]);
    huge[16..20].copy_from_slice(&30_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&3_000u32.to_be_bytes());
    assert!(read_picture(&huge).is_err());
    let jpeg = bytes(&golden["pictures"][8]["file"]);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let mut large = jpeg.clone();
    large[frame + 5..frame + 9].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
    let message = read_picture(&large).unwrap_err().to_string();
    assert!(message.contains("10000 x 10000 pixels cannot be in"), "{message}");
    let small = PictureReader::new().pixels_max(100);
    let error = small.read(Source::from_bytes("p", &jpeg)).unwrap_err();
    assert!(error.is_too_large(), "{error}");
    let message = read_picture(b"GIF89a").unwrap_err().to_string();
    assert!(message.contains("neither a PNG nor a JPEG"), "{message}");
}

#[test]
fn sounds_are_those_of_scipy() {
    for case in golden()["sounds"].as_array().unwrap() {
        let audio = sound(&bytes(&case["file"])).unwrap();
        let expected: Vec<f32> = case["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap() as f32)
            .collect();
        assert_eq!(audio.samples, expected, "{}", case["name"]);
        assert_eq!(
            (audio.sample_rate, audio.len(), audio.duration()),
            (16_000, 23, 23.0 / 16_000.0)
        );
        assert_eq!(audio.channels, if case["name"] == "mono" { 1 } else { 2 });
        let mono = audio.mono();
        let mean = (expected[3] + expected[expected.len() - 23 + 3]) / 2.0;
        assert!((mono.samples[3] - mean).abs() < 1e-7 || audio.channels == 1);
    }
}

#[test]
fn damaged_sounds_are_errors() {
    let golden = golden();
    let file = bytes(&golden["sounds"][1]["file"]);
    for len in 0..file.len() {
        let error = sound(&file[..len]).expect_err("a part of a sound was read");
        assert!(error.is_truncated(), "{len}: {error}");
    }
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        sound(&file)
    };
    assert!(changed(0, b"RIFX").unwrap_err().to_string().contains("RIFX"));
    assert!(changed(20, &[2, 0]).unwrap_err().to_string().contains("format 2"));
    assert!(changed(22, &[0, 0]).unwrap_err().to_string().contains("0 channels"));
    assert!(changed(16, &[0xff; 4]).unwrap_err().is_malformed());
    // A length that the file does not have is no reason to ask for memory.
    assert!(
        changed(40, &0x7fff_fffcu32.to_le_bytes()).unwrap_err().is_too_large()
            || changed(40, &0x3fff_fffcu32.to_le_bytes()).unwrap_err().is_truncated()
    );
    // A recording that was not finished.
    assert_eq!(changed(40, &[0; 4]).unwrap().len(), 23);
    let mut odd = file.clone();
    odd[40..44].copy_from_slice(&91u32.to_le_bytes());
    assert!(sound(&odd).unwrap_err().to_string().contains("no frames of 4"));
    let floats = bytes(&golden["sounds"][3]["file"]);
    let mut nan = floats.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(sound(&nan).unwrap_err().to_string().contains("is NaN"));
}

#[test]
fn parquet_columns_are_those_of_pyarrow() {
    let golden = golden();
    let wanted = ["day", "whole", "large", "real", "flag", "word"];
    for (compression, file) in golden["parquet"].as_object().unwrap() {
        let file = bytes(file);
        let reader = ParquetReader::new().select(wanted).category("word");
        let table = reader.read(Source::from_bytes("p", &file)).unwrap();
        assert_eq!(
            (table.len(), table.names()),
            (3, &wanted.map(str::to_owned)[..]),
            "{compression}"
        );
        let row = |row: usize| wanted.map(|name| table.value(row, name).unwrap());
        let large = Cell::Text("1152921504606846977");
        assert_eq!(
            row(0),
            [
                Cell::Text("2024-02-29"),
                Cell::Number(1.0),
                large,
                Cell::Number(0.5),
                Cell::Bool(true),
                Cell::Text("b")
            ]
        );
        assert_eq!(row(1)[..2], [Cell::Missing, Cell::Missing]);
        assert_eq!(row(1)[3..], [Cell::Missing, Cell::Missing, Cell::Text("ä")]);
        assert_eq!(row(2)[0], Cell::Text("1969-07-20"));
        assert_eq!(table.categories("word").unwrap().names(), ["b", "ä"]);
        let message =
            ParquetReader::new().read(Source::from_bytes("p", &file)).unwrap_err().to_string();
        assert!(message.starts_with("p: row 1, column list:"), "{message}");
        let message =
            ParquetReader::new().select(["q"]).read(Source::from_bytes("p", &file)).unwrap_err();
        assert!(message.to_string().contains("no column \"q\""));
        for len in (0..file.len()).step_by(7) {
            assert!(ParquetReader::new().read(Source::from_bytes("p", &file[..len])).is_err());
        }
    }
}

#[test]
fn parquet_files_that_claim_too_much_are_refused_before_anything_is_taken() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/parquet");
    let read = |name: &str, reader: ParquetReader| {
        reader.read(folder.join(name).as_path()).map_err(|error| error.to_string())
    };
    let default = ParquetReader::new;
    assert_eq!(read("by-hand", default()).unwrap().numbers("x").unwrap(), [7.0, 8.0]);
    for (name, expected) in [
        ("large-dictionary", "a dictionary of 2147483647 values in 8 bytes"),
        ("gzip-bomb", "a page that is larger than the 4 bytes it says"),
        ("large-list", "a list of 2147483647 elements in 20 bytes"),
        ("differences", "texts encoded as differences"),
    ] {
        let message = read(name, default()).unwrap_err();
        assert!(message.contains(expected) && message.contains(name), "{message}");
    }
    assert!(read("many-values", default()).is_err());
    let small = default().bytes_max(1 << 20);
    let message = read("large-page", small.clone()).unwrap_err();
    assert!(
        message.contains("a page of 2147483647 bytes") && message.contains("bytes_max"),
        "{message}"
    );
    assert_eq!(read("snappy", small).unwrap().len(), 4);
    let message = read("snappy", default().bytes_max(300)).unwrap_err();
    assert!(message.contains("beyond the 300 bytes of memory"), "{message}");
    let trusted = read("differences", default().trusted(true)).unwrap();
    assert_eq!(trusted.texts("word").unwrap()[0].as_deref(), Some("b"));
}

#[test]
fn mutated_files_never_panic() {
    let golden = golden();
    let mut stream = RandomStream::new(Key::new(11));
    let mut mutated = |file: &[u8]| {
        let mut file = file.to_vec();
        for _ in 0..=stream.below(4) {
            let span = if stream.chance(0.5) { file.len().min(64) } else { file.len() };
            let at = stream.below(span);
            match stream.below(3) {
                0 => file[at] = stream.next_u32() as u8,
                1 => file[at] = [0, 0xff][stream.below(2)],
                _ => drop(file.remove(at)),
            }
        }
        file
    };
    for case in golden["pictures"].as_array().unwrap() {
        let file = bytes(&case["file"]);
        (0..150).for_each(|_| drop(read_picture(&mutated(&file))));
    }
    for case in golden["sounds"].as_array().unwrap() {
        let file = bytes(&case["file"]);
        (0..1000).for_each(|_| drop(sound(&mutated(&file))));
    }
}
