//! Any bytes as a `tokenizer.json`, a SentencePiece model or a `vocab.txt`, which then encodes and decodes a text.

#![no_main]

use std::sync::Once;

use gradloom_text::{EncodeOptions, Tokenizer};

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The fuzzer counts every panic. Those inside the tokenizers crate come back as errors by design; any
    // other still ends the run, because it leaves this function.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(tokenizer) = Tokenizer::from_bytes("fuzz", bytes) else { return };
    let options = EncodeOptions::new().truncate(20);
    for text in ["", "ab ab  the 12 boats", "été 小船 😀 <|end|>"] {
        let Ok(encoding) = tokenizer.encode(text, &options) else { continue };
        let _ = tokenizer.encode_pair(text, "ab", &options);
        let _ = tokenizer.decode(&encoding.ids, true);
        let mut stream = tokenizer.decode_stream(false);
        for id in encoding.ids {
            let _ = stream.push(id);
        }
        let _ = stream.finish();
    }
});
