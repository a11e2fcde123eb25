//! Any bytes as WAV.

#![no_main]

use gradloom_data::Source;
use gradloom_data::format::wav::read_wav;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(audio) = read_wav(Source::from_bytes("fuzz", bytes)) {
        assert_eq!(audio.samples.len(), audio.channels * audio.len());
        drop(audio.mono());
    }
});
