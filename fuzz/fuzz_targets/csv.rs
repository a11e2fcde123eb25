//! Any bytes as CSV and as JSON lines; what was read is written and read again.

#![no_main]

use gradloom_data::Source;
use gradloom_data::format::csv::CsvReader;
use gradloom_data::format::json_lines::JsonLinesReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for reader in [CsvReader::new(), CsvReader::new().header(false).delimiter(b';')] {
        let Ok(table) = reader.read(Source::from_bytes("fuzz", bytes)) else { continue };
        let mut written = Vec::new();
        table.write_csv(&mut written).expect("a table cannot be written");
        if !table.names().is_empty() {
            let again = CsvReader::new().missing([""]).read(Source::from_bytes("again", &written));
            assert_eq!(again.expect("what was written is not read").len(), table.len());
        }
    }
    drop(JsonLinesReader::new().read(Source::from_bytes("fuzz", bytes)));
});
