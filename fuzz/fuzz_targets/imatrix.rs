//! Any bytes as importance matrices of the old form.

#![no_main]

use gradloom_weights::imatrix::LegacyImportance;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(matrix) = LegacyImportance::from_bytes("fuzz", bytes) {
        let again = matrix.to_bytes().expect("what was read can be written");
        assert!(LegacyImportance::from_bytes("again", &again).is_ok());
    }
});
