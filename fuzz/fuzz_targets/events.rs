//! Any bytes as an event file of TensorBoard, and as one event of such a file, so that what stands behind the
//! checksums is reached too.

#![no_main]

use gradloom_track::event::{read_event, read_events};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(read_events(bytes));
    drop(read_event(bytes));
});
