//! Any bytes as Parquet.

#![no_main]

use gradloom_data::Source;
use gradloom_data::format::parquet::ParquetReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let source = Source::from_bytes("fuzz", bytes).limit(1 << 24);
    drop(ParquetReader::new().bytes_max(1 << 26).read(source));
});
