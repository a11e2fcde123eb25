//! Any bytes as configurations of models.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for family in gradloom_zoo::FAMILIES {
        drop((family.check)(bytes));
    }
});
