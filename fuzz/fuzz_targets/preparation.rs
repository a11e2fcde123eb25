//! Any bytes as a saved preparation, applied to a small table.

#![no_main]

use gradloom_data::Table;
use gradloom_data::preparation::FittedPreparation;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(preparation) = FittedPreparation::from_json(text) {
        let table = Table::new()
            .with("n", vec![1.0, f64::NAN, -3.0])
            .and_then(|table| table.with("c", vec!["a", "b", "a"]))
            .expect("a table of two columns");
        if let Ok(prepared) = preparation.transform(&table) {
            drop(preparation.inverse(&prepared));
        }
    }
});
