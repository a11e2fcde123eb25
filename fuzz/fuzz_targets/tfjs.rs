//! A manifest of TensorFlow.js, or any other index of a set of files, a byte of zero, and what each of its files holds.

#![no_main]

use gradloom_weights::Checkpoint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let data = bytes.get(cut + 1..).unwrap_or_default();
    let read = Checkpoint::from_bytes_with("fuzz", bytes[..cut].to_vec(), |_| Ok(data.to_vec()));
    if let Ok(checkpoint) = read {
        let device = gradloom_testkit::storage::device();
        for name in checkpoint.names() {
            drop(checkpoint.tensor(name, &device));
        }
    }
});
