//! Tokenizer files that are broken or mean harm give an error that says what is wrong, and never a panic.

mod golden_data;

use golden_data::{gguf_vocabulary, load};
use gradloom_text::{EncodeOptions, GgufVocabulary, Result, Tokenizer};
use serde_json::{Value, json};

/// A tokenizer with every character of `ab `, and this change.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Tokenizer> {
    let mut file = json!({
        "version": "1.0",
        "added_tokens": [{"id": 4, "content": "<end>", "special": true}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2, "ab": 3}, "merges": [["a", "b"]],
        },
    });
    change(&mut file);
    Tokenizer::from_bytes("test", &serde_json::to_vec(&file).unwrap())
}

/// The message of the error for a change.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    changed(change).expect_err("a broken file").to_string()
}

#[test]
fn the_unchanged_file_is_fine() {
    let tokenizer = changed(|_| {}).unwrap();
    assert_eq!(tokenizer.encode("abba<end>", &EncodeOptions::new()).unwrap().ids, [3, 1, 0, 4]);
    let old = changed(|file| file["model"]["merges"] = json!(["a b"])).unwrap();
    assert_eq!(old.encode("ab", &EncodeOptions::new()).unwrap().ids, [3]);
}

#[test]
fn merges_that_do_not_fit_are_named() {
    for merges in [
        json!([["a", "c"]]),
        json!([["b", "a"]]),
        json!(["a b b"]),
        json!([["a"]]),
        json!([["", "ab"], ["ab", "ab"]]),
    ] {
        let message = refused(|file| file["model"]["merges"] = merges);
        assert!(message.contains("merge"), "{message}");
    }
    // A prefix that is longer than a token, or ends inside a character, has no bytes to cut.
    for prefix in ["a long prefix", "é"] {
        let message = refused(|file| file["model"]["continuing_subword_prefix"] = prefix.into());
        assert!(message.contains("merge"), "{message}");
    }
}

#[test]
fn ids_that_contradict_each_other_are_named() {
    let message = refused(|file| file["model"]["vocab"]["b"] = 0.into());
    assert!(message.contains("same id 0"), "{message}");
    let message = refused(|file| file["model"]["vocab"]["b"] = 4_000_000_000u32.into());
    assert!(message.contains("too large"), "{message}");
    let error = changed(|file| file["added_tokens"][0]["id"] = 7.into()).unwrap_err();
    assert!(error.is_vocabulary_mismatch(), "{error}");
    let message = refused(|file| file["added_tokens"][0]["id"] = 3.into());
    assert!(message.contains("twice"), "{message}");
    let message = refused(|file| file["added_tokens"][0]["content"] = "".into());
    assert!(message.contains("empty"), "{message}");
    let message = refused(|file| file["model"]["vocab"] = json!({}));
    assert!(message.contains("no tokens"), "{message}");
    let message = refused(|file| file["model"]["vocab"]["x".repeat(5_000)] = 9.into());
    assert!(message.contains("5000 bytes is too large"), "{message}");
}

#[test]
fn models_of_the_wrong_form_are_named() {
    let error = changed(|file| file["model"]["type"] = "Neural".into()).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("Neural"), "{error}");
    for kind in ["BPE", "WordPiece", "WordLevel"] {
        let message = refused(|file| {
            file["model"]["type"] = kind.into();
            file["model"]["vocab"] = json!([["a", 0.0]]);
        });
        assert!(message.contains("form"), "{message}");
    }
    let unigram = |vocab: Value, unk: Value| {
        refused(|file| file["model"] = json!({"type": "Unigram", "vocab": vocab, "unk_id": unk}))
    };
    assert!(unigram(json!([["a", 0.0]]), json!(1)).contains("unk_id"));
    assert!(unigram(json!([["", 0.0]]), json!(0)).contains("token 0"));
    assert!(unigram(json!([["a", null]]), json!(0)).contains("tokenizer.json"));
    let message = refused(|file| {
        file["model"]["type"] = "WordPiece".into();
        file["model"]["max_input_chars_per_word"] = 1_000_000_000.into();
    });
    assert!(message.contains("max_input_chars_per_word"), "{message}");
}

#[test]
fn components_that_would_panic_or_explode_are_refused() {
    let replace = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"});
    let sequence =
        |part: &Value, count: usize| json!({"type": "Sequence", "normalizers": vec![part; count]});
    let message = refused(|file| file["normalizer"] = sequence(&replace, 30));
    assert!(message.contains("times as long"), "{message}");
    let message = refused(|file| file["normalizer"] = sequence(&json!({"type": "NFC"}), 100));
    assert!(message.contains("64 components") || message.contains("times as long"), "{message}");
    let message = refused(|file| file["normalizer"] = json!({"type": "Shout"}));
    assert!(message.contains("\"Shout\"; known are BertNormalizer"), "{message}");
    let message = refused(|file| file["normalizer"] = json!([]));
    assert!(message.contains("no type"), "{message}");
    let message =
        refused(|file| file["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}));
    assert!(message.contains("length 0"), "{message}");
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    for pattern in ["(", &"a".repeat(1 << 15), &"(".repeat(5_000), r"(\w{1000}){1000}"] {
        let message = refused(|file| file["pre_tokenizer"] = split(pattern));
        assert!(message.contains("pre-tokenizer"), "{message}");
    }
    let message = refused(|file| {
        file["decoder"] =
            json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "x".repeat(5_000)});
    });
    assert!(message.contains("times as long"), "{message}");
    for table in ["AAAAQAAA", "/////wAA", "AAA", "", "*"] {
        let message = refused(|file| {
            file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": table});
        });
        assert!(message.contains("cut short"), "{message}");
    }
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"x": {"id": "x", "ids": [99], "tokens": ["x"]}},
    });
    let error = changed(|file| file["post_processor"] = template).unwrap_err();
    assert!(error.is_vocabulary_mismatch(), "{error}");
}

#[test]
fn panics_inside_the_library_come_back_as_errors() {
    // A table whose root points outside of it.
    let table = json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAD//wA="});
    let tokenizer = changed(|file| file["normalizer"] = table).unwrap();
    let error = tokenizer.encode("ab", &EncodeOptions::new()).unwrap_err();
    assert!(error.to_string().contains("contradict"), "{error}");
    let tokenizer = changed(|file| {
        file["decoder"] = json!({"type": "Strip", "content": "a", "start": 0, "stop": 5});
    })
    .unwrap();
    let error = tokenizer.decode(&[0], false).unwrap_err();
    assert!(error.is_malformed(), "{error}");
}

#[test]
fn catastrophic_patterns_end() {
    let split = json!({
        "type": "Split", "pattern": {"Regex": r"(?=(a+)+$)(a|aa)+\1c"}, "behavior": "Isolated",
        "invert": false,
    });
    let tokenizer = changed(|file| file["pre_tokenizer"] = split).unwrap();
    let _ = tokenizer.encode(&"a".repeat(2_000), &EncodeOptions::new());
}

#[test]
fn deep_and_truncated_files_are_refused() {
    let deep = "[".repeat(1 << 20);
    assert!(Tokenizer::from_bytes("deep", deep.as_bytes()).unwrap_err().is_malformed());
    let nested = format!(
        r#"{{"model":{{"type":"BPE","vocab":{{"a":0}},"merges":[]}},"normalizer":{}1{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    assert!(Tokenizer::from_bytes("nested", nested.as_bytes()).unwrap_err().is_malformed());
    let golden = load("tokenizers.json");
    let bytes = serde_json::to_vec(&golden["tokenizers"]["word_piece"]["file"]).unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Tokenizer::from_bytes("short", &bytes[..length]).unwrap_err().is_malformed());
    }
}

/// Bytes of real files change; whatever is read can also be used.
#[test]
fn mutations_never_panic() {
    let golden = load("tokenizers.json");
    let mut state = 11u64;
    let mut random = move |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for (name, entry) in golden["tokenizers"].as_object().unwrap() {
        let mut file = entry["file"].clone();
        // The rules come first and the vocabulary is short, so that most changes hit a rule.
        let model = file["model"].take();
        file.as_object_mut().unwrap().shift_remove("model");
        file["model"] = model;
        let bytes = serde_json::to_vec(&file).unwrap();
        for _ in 0..150 {
            let mut mutated = bytes.clone();
            for _ in 0..=random(3) {
                let place = random(mutated.len().min(2_500));
                match random(3) {
                    0 => mutated[place] ^= 1 << random(8),
                    1 => mutated[place] = b"0123456789{}[],:\"-"[random(18)],
                    _ => {
                        let end = (place + random(40)).min(mutated.len());
                        mutated.drain(place..end);
                    }
                }
            }
            let Ok(tokenizer) = Tokenizer::from_bytes(name, &mutated) else { continue };
            if let Ok(encoding) =
                tokenizer.encode("The 12 boats, été 😀 <|end|>", &EncodeOptions::new())
            {
                let _ = tokenizer.decode(&encoding.ids, true);
                let mut stream = tokenizer.decode_stream(true);
                for id in encoding.ids {
                    let _ = stream.push(id);
                }
            }
        }
    }
}

#[test]
fn gguf_vocabularies_that_contradict_themselves_are_named() {
    let golden = load("gguf.json");
    let refused = |case: &str, change: &dyn Fn(&mut GgufVocabulary)| {
        let mut vocabulary = gguf_vocabulary(&golden[case]["vocabulary"]);
        change(&mut vocabulary);
        Tokenizer::from_gguf(&vocabulary).expect_err("a broken vocabulary").to_string()
    };
    let message = refused("byte_level", &|one| one.tokens.clear());
    assert!(message.contains("no tokens"), "{message}");
    let message = refused("byte_level", &|one| one.tokens[5] = one.tokens[6].clone());
    assert!(message.contains("tokens 5 and 6"), "{message}");
    let message = refused("byte_level", &|one| one.token_types.truncate(3));
    assert!(message.contains("token_type"), "{message}");
    let message = refused("byte_level", &|one| one.merges[0] = "nospace".to_owned());
    assert!(message.contains("nospace"), "{message}");
    let message = refused("byte_level", &|one| one.tokens[9] = "x".repeat(1 << 20));
    assert!(message.contains("too large"), "{message}");
    let message = refused("sentence_piece", &|one| one.scores.clear());
    assert!(message.contains("scores"), "{message}");
    let message = refused("sentence_piece", &|one| one.scores[7] = f32::NAN);
    assert!(message.contains("token 7"), "{message}");
    let message = refused("word_piece", &|one| one.unk = None);
    assert!(message.contains("unknown token"), "{message}");
}

#[test]
fn folders_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    assert!(Tokenizer::from_folder(folder.path()).unwrap_err().is_not_found());
    let golden = load("tokenizers.json");
    write("tokenizer.json", &golden["tokenizers"]["byte_level_bpe"]["file"].to_string());
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.special_tokens().eos, None);
    write(
        "special_tokens_map.json",
        r#"{"eos_token": {"content": "<|end|>"}, "pad_token": "<|end|>"}"#,
    );
    write("tokenizer_config.json", r#"{"bos_token": "<|begin|>", "pad_token": null}"#);
    let special = Tokenizer::from_folder(folder.path()).unwrap().special_tokens();
    assert_eq!((special.bos, special.eos, special.pad), (Some(0), Some(1), Some(1)));
    write("tokenizer_config.json", r#"{"bos_token": "<nowhere>"}"#);
    let error = Tokenizer::from_folder(folder.path()).unwrap_err();
    assert!(error.is_vocabulary_mismatch() && error.to_string().contains("<nowhere>"), "{error}");
    write("tokenizer_config.json", "[1, 2]");
    assert!(Tokenizer::from_folder(folder.path()).unwrap_err().is_malformed());
}

/// Inputs that a fuzzer found a fault with, and those it began with.
#[test]
fn seeds_of_the_fuzzer_never_panic() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/tokenizer");
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.path().display().to_string();
        let Ok(tokenizer) = Tokenizer::from_bytes(&name, &std::fs::read(entry.path()).unwrap())
        else {
            continue;
        };
        if let Ok(encoding) = tokenizer.encode("ab été <|end|>", &EncodeOptions::new()) {
            let _ = tokenizer.decode(&encoding.ids, true);
        }
    }
}
