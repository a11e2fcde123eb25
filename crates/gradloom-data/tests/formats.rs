//! Readers of files: what they accept, and what they say about damaged and hostile ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use gradloom_data::cifar::Cifar;
use gradloom_data::format::csv::CsvReader;
use gradloom_data::format::idx::{IdxArray, IdxElements, read_images};
use gradloom_data::format::json_lines::JsonLinesReader;
use gradloom_data::preparation::{Preparation, Scaler};
use gradloom_data::table::{ColumnKind, Table, Value};
use gradloom_data::{Dataset, Error, FashionMnist, Result, Source, Split, mnist};
use proptest::prelude::*;

fn idx(shape: &[usize], elements: IdxElements) -> Vec<u8> {
    let mut bytes = Vec::new();
    IdxArray::new(shape.to_vec(), elements).unwrap().write(&mut bytes).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_idx(bytes: &[u8]) -> Result<IdxArray> {
    IdxArray::read(Source::from_bytes("file", bytes))
}

fn images_file(count: usize) -> Vec<u8> {
    idx(&[count, 2, 3], IdxElements::U8((0..count * 6).map(|i| i as u8).collect()))
}

fn labels_file(count: usize) -> Vec<u8> {
    idx(&[count], IdxElements::U8((0..count).map(|i| (i % 10) as u8).collect()))
}

fn read_pair(images: &[u8], labels: &[u8]) -> Result<gradloom_data::ImageDataset> {
    read_images(Source::from_bytes("images", images), Source::from_bytes("labels", labels))
}

#[test]
fn images_and_labels_are_read_plain_and_gzipped() {
    let (images, labels) = (images_file(12), labels_file(12));
    let plain = read_pair(&images, &labels).unwrap();
    assert_eq!((plain.len(), plain.size(), plain.class_count()), (12, [1, 2, 3], 10));
    assert_eq!(plain.get(1).unwrap().input.pixels(), [6, 7, 8, 9, 10, 11]);
    assert_eq!(plain.get(11).unwrap().label, 1);
    let unpacked = read_pair(&gzip(&images), &gzip(&labels)).unwrap();
    assert_eq!(unpacked.pixels(), plain.pixels());
}

#[test]
fn a_truncated_file_is_named_with_its_position() {
    let file = images_file(4);
    for len in 0..file.len() {
        let error = read_idx(&file[..len]).unwrap_err();
        assert!(error.is_truncated(), "{len}: {error}");
        assert!(error.to_string().starts_with(&format!("file: ends at byte {len}")), "{error}");
    }
    let packed = gzip(&file);
    for len in 3..packed.len() - 8 {
        let error = read_idx(&packed[..len]).unwrap_err();
        assert!(error.is_truncated(), "{len}: {error}");
    }
}

#[test]
fn a_damaged_gzip_stream_is_an_error() {
    let mut packed = gzip(&images_file(40));
    let middle = packed.len() / 2;
    packed[middle] ^= 0x55;
    let error = read_idx(&packed).unwrap_err();
    assert!(error.is_malformed() || error.is_truncated(), "{error}");
}

#[test]
fn another_magic_number_is_refused() {
    let error = read_idx(b"\x89PNG\r\n\x1a\n").unwrap_err();
    assert!(error.is_malformed());
    assert!(error.to_string().contains("not an IDX file"), "{error}");
    assert!(read_idx(&[0, 0, 0x0a, 1, 0, 0, 0, 0]).unwrap_err().is_malformed());
    assert!(read_idx(&[0, 0, 0x08, 9]).unwrap_err().to_string().contains("9 axes"));
    let more = [&labels_file(3)[..], &[0]].concat();
    assert!(read_idx(&more).unwrap_err().to_string().contains("more data follow"));
}

#[test]
fn sizes_that_the_data_do_not_have_cost_no_memory() {
    let header = |sizes: &[u32]| {
        let mut bytes = vec![0, 0, 0x0e, sizes.len() as u8];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes
    };
    let overflow = read_idx(&header(&[u32::MAX; 8])).unwrap_err();
    assert!(overflow.to_string().contains("overflow"), "{overflow}");
    let huge = read_idx(&header(&[u32::MAX])).unwrap_err();
    assert!(huge.is_too_large(), "{huge}");
    // Below the limit, yet far more than this machine should allocate for eight bytes.
    let large = read_idx(&[&header(&[100_000_000])[..], &[0; 8]].concat()).unwrap_err();
    assert!(large.is_truncated(), "{large}");
    let empty = read_idx(&header(&[u32::MAX, 0])).unwrap();
    assert_eq!(empty.shape(), [u32::MAX as usize, 0]);
}

#[test]
fn a_gzip_bomb_is_read_no_further_than_the_header_says() {
    let mut bytes = labels_file(10);
    bytes.resize(64 << 20, 0);
    let bomb = gzip(&bytes);
    assert!(bomb.len() < 100_000);
    let error = read_idx(&bomb).unwrap_err();
    assert!(error.to_string().contains("more data follow"), "{error}");
    let limited = Source::from_bytes("bomb", &bomb).limit(1 << 20);
    let error = Cifar::Cifar10.read(limited).unwrap_err();
    assert!(error.is_too_large(), "{error}");
    let limited = Source::from_bytes("bomb", &bomb).limit(1 << 20);
    assert!(CsvReader::new().read(limited).unwrap_err().is_too_large());
}

#[test]
fn labels_must_be_as_many_as_images() {
    let error = read_pair(&images_file(4), &labels_file(5)).unwrap_err().to_string();
    assert_eq!(
        error,
        "labels: byte 4: 5 labels for the 4 images of images; pair an image file with its own label \
         file"
    );
    assert!(read_pair(&labels_file(4), &labels_file(4)).unwrap_err().is_malformed());
    assert!(read_pair(&images_file(4), &images_file(4)).unwrap_err().is_malformed());
    let floats = idx(&[4], IdxElements::F32(vec![0.0; 4]));
    assert!(read_pair(&images_file(4), &floats).unwrap_err().is_malformed());
    assert!(read_pair(&idx(&[0, 0, 0], IdxElements::U8(vec![])), &labels_file(0)).is_err());
}

#[test]
fn cifar_records_are_read_and_checked() {
    let record = |label: &[u8], fill: u8| [label, &[fill; 3072][..]].concat();
    let file = [record(&[3], 7), record(&[9], 8)].concat();
    let data = Cifar::Cifar10.read(Source::from_bytes("batch", &file)).unwrap();
    assert_eq!((data.len(), data.size(), data.labels()), (2, [3, 32, 32], &[3, 9][..]));
    assert_eq!(data.class_names()[3], "cat");
    assert!(data.get(1).unwrap().input.pixels().iter().all(|&pixel| pixel == 8));
    let short = Cifar::Cifar10.read(Source::from_bytes("batch", &file[..6000])).unwrap_err();
    assert!(short.is_truncated(), "{short}");
    let wrong = [record(&[3], 7), record(&[10], 8)].concat();
    let error = Cifar::Cifar10.read(Source::from_bytes("batch", &wrong)).unwrap_err().to_string();
    assert!(error.contains("byte 3073") && error.contains("label 10"), "{error}");
    let hundred = record(&[19, 99], 1);
    let read = |kind: Cifar| kind.read(Source::from_bytes("train", &hundred)).unwrap();
    assert_eq!(read(Cifar::Cifar100Fine).labels(), [99]);
    assert_eq!(read(Cifar::Cifar100Coarse).labels(), [19]);

    // The published files in a folder: five of one length.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    for batch in 1..=5 {
        write(&format!("data_batch_{batch}.bin"), &file);
    }
    write("test_batch.bin", &[]);
    let load = |split| Cifar::Cifar10.load(folder.path(), split);
    assert_eq!(load(Split::Train).unwrap().len(), 10);
    let error = load(Split::Test).unwrap_err();
    assert!(error.is_truncated() && error.to_string().contains("no records"), "{error}");
    write("data_batch_4.bin", &file[..3073]);
    let error = load(Split::Train).unwrap_err().to_string();
    assert!(
        error.contains("data_batch_4.bin")
            && error.contains("1 records, where data_batch_1.bin has 2"),
        "{error}"
    );
}

fn read_table(reader: &CsvReader, text: &str) -> Result<Table> {
    reader.read(Source::from_bytes("table.csv", text.as_bytes()))
}

#[test]
fn columns_have_the_kind_of_their_cells() {
    let text = "\u{feff}id, n ,flag,day,code\r\n12345678901234567890,1,true,2026-11-27,007\r\n2,-3e2,False,,1\r\n";
    let table = read_table(&CsvReader::new(), text).unwrap();
    assert_eq!(table.names(), ["id", "n", "flag", "day", "code"]);
    let kinds: Vec<ColumnKind> = table.columns().iter().map(|column| column.kind()).collect();
    let (number, text_kind) = (ColumnKind::Number, ColumnKind::Text);
    assert_eq!(kinds, [text_kind, number, ColumnKind::Bool, text_kind, text_kind]);
    assert_eq!(table.numbers("n").unwrap(), [1.0, -300.0]);
    assert_eq!(table.value(1, "day").unwrap(), Value::Missing);

    let bare = CsvReader::new().header(false).delimiter(b';').kind("1", ColumnKind::Category);
    let table = read_table(&bare, "1;10\n2;9\n").unwrap();
    assert_eq!(table.labels("1").unwrap().names(), ["10", "9"]);
    let chosen = CsvReader::new().select(["b"]).missing(["-"]);
    let table = read_table(&chosen, "a,b\nx,-\ny,1\n").unwrap();
    assert_eq!((table.names(), table.missing_counts()), (&["b".to_owned()][..], vec![("b", 1)]));
    let empty = read_table(&CsvReader::new(), "a,b\n").unwrap();
    assert_eq!((empty.len(), empty.names().len()), (0, 2));
}

#[test]
fn errors_of_a_table_name_row_and_column() {
    let message = |reader: CsvReader, text: &str| -> String {
        let error: Error = read_table(&reader, text).unwrap_err();
        assert!(error.is_malformed());
        error.to_string()
    };
    let plain = CsvReader::new;
    let numbers = plain().kind("b", ColumnKind::Number);
    assert_eq!(
        message(numbers.clone(), "a,b\n1,2\n3,four\n"),
        "table.csv: row 3, column b: \"four\" is no finite number"
    );
    assert!(message(numbers, "a,b\n1,inf\n").contains("row 2, column b"));
    assert!(message(plain().kind("b", ColumnKind::Bool), "a,b\n1,yes\n").contains("no boolean"));
    assert_eq!(
        message(plain(), "a,b\n1,2\n3\n"),
        "table.csv: row 3: 1 cells where the header has 2"
    );
    assert!(message(plain().header(false), "1,2\n3\n").contains("where the first row has 2"));
    assert!(message(plain().select(["c"]), "a,b\n1,2\n").contains("no column \"c\""));
    assert!(message(plain().kind("c", ColumnKind::Bool), "a,b\n1,2\n").contains("no column"));
    assert!(message(plain(), "a,a\n1,2\n").contains("two columns are called \"a\""));
    assert!(message(plain(), "").contains("the file has no rows"));
    assert!(message(plain(), "a,b\n1,\"2\n3,4\n").contains("row 2: a quote is opened"));
}

#[test]
fn chunks_of_a_file_are_the_file() {
    let mut text = "n,word\n".to_owned();
    (0..1000).for_each(|i| text.push_str(&format!("{i},\"w\n{}\"\n", i % 7)));
    let whole = read_table(&CsvReader::new(), &text).unwrap();
    let source = Source::from_bytes("table.csv", text.as_bytes());
    let mut joined: Option<Table> = None;
    for chunk in CsvReader::new().chunks(source, 300).unwrap() {
        let chunk = chunk.unwrap();
        joined = Some(joined.map_or(chunk.clone(), |table| table.followed_by(&chunk).unwrap()));
    }
    assert_eq!(joined.unwrap(), whole);
    // A kind is found in the first chunk, and what does not suit it later is no silent change.
    let source = Source::from_bytes("table.csv", b"n\n1\n2\nx\n");
    let chunks: Vec<_> = CsvReader::new().chunks(source, 2).unwrap().collect();
    assert_eq!(chunks.len(), 2);
    assert!(chunks[1].as_ref().unwrap_err().to_string().contains("row 4, column n"));
}

#[test]
fn a_table_survives_writing_and_reading() {
    let texts = ["plain", "with, comma", "\"quoted\"", "two\nlines", " blanks "];
    let table = Table::new()
        .with("n", vec![0.1, -1e300, f64::NAN, 5e-324, 3.0])
        .unwrap()
        .with("a \"name\"", texts.to_vec())
        .unwrap()
        .with("flag", vec![true, false, true, true, false])
        .unwrap();
    let mut bytes = Vec::new();
    table.write_csv(&mut bytes).unwrap();
    let again = Table::read_csv(Source::from_bytes("t", &bytes)).unwrap();
    assert_eq!(again.names(), table.names());
    let bits = |t: &Table| t.numbers("n").unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&again), bits(&table));
    assert_eq!(again.without(&["n"]).unwrap(), table.without(&["n"]).unwrap());
    let lone = table.select(&["n"]).unwrap();
    let mut bytes = Vec::new();
    lone.write_csv(&mut bytes).unwrap();
    assert_eq!(Table::read_csv(Source::from_bytes("t", &bytes)).unwrap().len(), 5);
}

#[test]
fn missing_files_say_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let error = FashionMnist::load(folder.path(), Split::Train).unwrap_err();
    assert!(error.is_not_found());
    assert!(error.to_string().contains("cargo xtask assets fashion-mnist"), "{error}");
    assert!(Cifar::Cifar10.load(folder.path(), Split::Test).unwrap_err().is_not_found());
    assert!(IdxArray::read(folder.path().join("none")).unwrap_err().is_not_found());
    // A folder can be opened but not read, or not opened; either is an error that names it.
    assert!(IdxArray::read(folder.path()).unwrap_err().is_io());
}

#[test]
fn published_folders_are_read_plain_or_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx(&[2, 28, 28], IdxElements::U8(vec![9; 2 * 784]));
    std::fs::write(folder.path().join("t10k-images-idx3-ubyte.gz"), gzip(&images)).unwrap();
    std::fs::write(folder.path().join("t10k-labels-idx1-ubyte"), labels_file(2)).unwrap();
    let data = FashionMnist::load(folder.path(), Split::Test).unwrap();
    assert_eq!((data.len(), data.class_names()[9].as_str()), (2, "ankle boot"));
    assert_eq!(mnist::load(folder.path(), Split::Test).unwrap().len(), 2);
    std::fs::write(folder.path().join("t10k-images-idx3-ubyte"), images_file(2)).unwrap();
    assert!(FashionMnist::load(folder.path(), Split::Test).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_idx_array_survives_writing_and_reading(
        shape in prop::collection::vec(0usize..5, 0..5),
        kind in 0usize..6,
        seed in any::<u32>(),
    ) {
        let count: usize = shape.iter().product();
        let values = (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761).wrapping_add(seed));
        let elements = match kind {
            0 => IdxElements::U8(values.map(|v| v as u8).collect()),
            1 => IdxElements::I8(values.map(|v| v as i8).collect()),
            2 => IdxElements::I16(values.map(|v| v as i16).collect()),
            3 => IdxElements::I32(values.map(|v| v as i32).collect()),
            4 => IdxElements::F32(values.map(|v| v as f32).collect()),
            _ => IdxElements::F64(values.map(f64::from).collect()),
        };
        let array = IdxArray::new(shape, elements).unwrap();
        let mut bytes = Vec::new();
        array.write(&mut bytes).unwrap();
        prop_assert_eq!(&read_idx(&bytes).unwrap(), &array);
        prop_assert_eq!(&read_idx(&gzip(&bytes)).unwrap(), &array);
    }
}

/// Calls `check` on seeded mutations of a valid file: changed, removed, repeated and inserted bytes.
fn mutate(file: &[u8], rounds: u32, check: impl Fn(&[u8])) {
    let mut stream = gradloom_data::random::RandomStream::new(gradloom_tensor::Key::new(99));
    for _ in 0..rounds {
        let mut bytes = file.to_vec();
        for _ in 0..=stream.below(4) {
            // Half of the changes hit the first bytes, where headers are.
            let span = if stream.chance(0.5) { bytes.len().min(16) } else { bytes.len() };
            let at = stream.below(span.max(1)).min(bytes.len());
            match stream.below(4) {
                0 if at < bytes.len() => bytes[at] = stream.next_u32() as u8,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at, [0, 0xff, b',', b'"', b'\n'][stream.below(5)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        check(&bytes);
    }
}

#[test]
fn mutated_files_never_panic() {
    let labels = labels_file(3);
    mutate(&images_file(3), 3000, |bytes| drop(read_pair(bytes, &labels)));
    mutate(&gzip(&images_file(30)), 3000, |bytes| drop(read_pair(bytes, &labels)));
    let images = images_file(3);
    mutate(&labels, 3000, |bytes| drop(read_pair(&images, bytes)));
    let table = "a,b,c\n1,2,\"x\"\n3,4,y\n5,6,z\n";
    mutate(table.as_bytes(), 3000, |bytes| {
        drop(CsvReader::new().read(Source::from_bytes("t", bytes)));
        drop(CsvReader::new().header(false).missing(["x"]).read(Source::from_bytes("t", bytes)));
    });
    let lines = "{\"a\": 1, \"b\": \"x\"}\n{\"a\": null, \"b\": \"y\"}\n";
    mutate(lines.as_bytes(), 3000, |bytes| {
        drop(JsonLinesReader::new().read(Source::from_bytes("t", bytes)));
    });
    let record = [&[3u8][..], &[7; 3072]].concat();
    mutate(&gzip(&record.repeat(2)), 300, |bytes| {
        drop(Cifar::Cifar10.read(Source::from_bytes("c", bytes)));
        drop(Cifar::Cifar100Fine.read(Source::from_bytes("c", bytes)));
    });
}

#[test]
fn tables_may_have_very_many_columns() {
    const COLUMNS: usize = 6_000;
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("gene{column}")).collect();
    let row = |of: usize| (0..COLUMNS).map(move |column| (column * of).to_string());
    let text = [names.clone(), row(1).collect(), row(3).collect()].map(|cells| cells.join(","));
    let read =
        |reader: CsvReader| reader.read(Source::from_bytes("genes", text.join("\n").as_bytes()));
    let table = read(CsvReader::new()).unwrap();
    assert_eq!((table.len(), table.names()), (2, &names[..]));
    let scaled =
        Preparation::new().scale(names.clone(), Scaler::min_max(0.0, 1.0)).fit(&table).unwrap();
    let table = scaled.transform(&table).unwrap();
    assert_eq!((table.names(), table.numbers("gene7").unwrap()), (&names[..], &[0.0, 1.0][..]));
    let back = scaled.inverse(&table).unwrap();
    assert_eq!(back.numbers("gene5999").unwrap(), [5999.0, 17997.0]);
    let twice = read(CsvReader::new().select(["gene1", "gene1"])).unwrap_err().to_string();
    assert_eq!(twice, "csv: two columns are called \"gene1\"");
}
