//! Any bytes as IDX arrays and as records of CIFAR.

#![no_main]

use gradloom_data::Source;
use gradloom_data::cifar::Cifar;
use gradloom_data::format::idx::IdxArray;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(IdxArray::read(Source::from_bytes("fuzz", bytes).limit(1 << 24)));
    drop(Cifar::Cifar10.read(Source::from_bytes("fuzz", bytes).limit(1 << 24)));
});
