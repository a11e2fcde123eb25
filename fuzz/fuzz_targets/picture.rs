//! Any bytes as PNG and JPEG, with their EXIF data.

#![no_main]

use gradloom_data::Source;
use gradloom_data::format::picture::PictureReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(PictureReader::new().pixels_max(1 << 22).read(Source::from_bytes("fuzz", bytes)));
});
