//! Any bytes as weight files, with seeds that are NumPy's arrays and archives of them.

#![no_main]

use gradloom_weights::Checkpoint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::from_bytes("fuzz", bytes.to_vec()) {
        let device = gradloom_testkit::storage::device();
        for name in checkpoint.names() {
            drop(checkpoint.tensor(name, &device));
        }
    }
});
