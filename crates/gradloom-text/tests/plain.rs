//! Vocabularies of before `tokenizer.json` against SentencePiece and transformers; `golden/plain.py` wrote what is
//! expected. Broken files and files of other kinds are named.

mod golden_data;

use std::path::{Path, PathBuf};

use golden_data::{load, numbers, strings};
use gradloom_text::{EncodeOptions, GgufVocabulary, Tokenizer};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plain").join(name)
}

fn plain() -> EncodeOptions {
    EncodeOptions::new().special_tokens(false)
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn refused(tokenizer: gradloom_text::Result<Tokenizer>) -> String {
    tokenizer.expect_err("it was read").to_string()
}

#[test]
fn sentence_piece_models_give_the_ids_of_sentence_piece() {
    let golden = load("plain.json");
    let texts = strings(&golden["texts"]);
    for (name, expected) in golden["files"].as_object().unwrap() {
        let tokenizer = Tokenizer::from_file(folder(name).join("tokenizer.model")).unwrap();
        let rows = expected["ids"].as_array().unwrap().iter();
        for ((text, ids), decoded) in texts.iter().zip(rows).zip(strings(&expected["decoded"])) {
            let encoding = tokenizer.encode(text, &EncodeOptions::new()).unwrap();
            let tokens: Vec<_> = encoding.ids.iter().map(|&id| tokenizer.id_to_token(id)).collect();
            assert_eq!(encoding.ids, numbers(ids), "{name}: {text:?} {tokens:?}");
            // Signs in a text are spaces to SentencePiece, which takes away more than one in front.
            if !encoding.ids.contains(&0) && !text.contains('▁') {
                let found = tokenizer.decode(&encoding.ids, true).unwrap();
                assert_eq!(found, decoded, "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn folders_of_older_vocabularies_give_the_ids_of_python() {
    let golden = load("plain.json");
    let texts = strings(&golden["texts"]);
    for (name, expected) in golden["folders"].as_object().unwrap() {
        let tokenizer = Tokenizer::from_folder(folder(name)).unwrap();
        let rows = expected["ids"].as_array().unwrap().iter();
        let special = expected["with_special"].as_array().unwrap();
        for ((text, ids), special) in texts.iter().zip(rows).zip(special) {
            let encoding = tokenizer.encode(text, &plain()).unwrap();
            assert_eq!(encoding.ids, numbers(ids), "{name}: {text:?}");
            let encoding = tokenizer.encode(text, &EncodeOptions::new()).unwrap();
            assert_eq!(encoding.ids, numbers(special), "{name}: {text:?}");
        }
        let pair = tokenizer.encode_pair(&texts[2], &texts[5], &EncodeOptions::new()).unwrap();
        assert_eq!(pair.ids, numbers(&expected["pair"]), "{name}");
    }
}

#[test]
fn classes_say_what_is_added() {
    let path = tempfile::tempdir().unwrap();
    copy(&folder("unigram"), path.path());
    std::fs::rename(path.path().join("tokenizer.model"), path.path().join("spiece.model")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(path.path().join(name), text).unwrap();
    write("tokenizer_config.json", r#"{"tokenizer_class": "T5Tokenizer", "extra_ids": 3}"#);
    let tokenizer = Tokenizer::from_folder(path.path()).unwrap();
    let ids = tokenizer.encode("a <extra_id_0>", &EncodeOptions::new()).unwrap().ids;
    assert_eq!(ids[ids.len() - 2..], [302, 2]);
    assert_eq!(tokenizer.vocabulary_len(), 303);
    write("tokenizer_config.json", r#"{"tokenizer_class": "LlamaTokenizerFast"}"#);
    let tokenizer = Tokenizer::from_folder(path.path()).unwrap();
    assert_eq!(tokenizer.encode("a", &EncodeOptions::new()).unwrap().ids[0], 1);
    write("tokenizer_config.json", r#"{"tokenizer_class": "XLMRobertaTokenizer"}"#);
    let message = refused(Tokenizer::from_folder(path.path()));
    assert!(message.contains("XLMRobertaTokenizer") && message.contains("save_pretrained"));
    std::fs::remove_file(path.path().join("tokenizer_config.json")).unwrap();
    write("config.json", r#"{"model_type": "t5"}"#);
    let tokenizer = Tokenizer::from_folder(path.path()).unwrap();
    assert_eq!(tokenizer.encode("a", &EncodeOptions::new()).unwrap().ids.last(), Some(&2));
    write("config.json", r#"{"model_type": "nllb"}"#);
    assert!(refused(Tokenizer::from_folder(path.path())).contains("nllb"));
}

#[test]
fn added_tokens_are_those_of_the_files() {
    let path = tempfile::tempdir().unwrap();
    copy(&folder("qwen2"), path.path());
    let config = r#"{"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
        "added_tokens_decoder": {
            "455": {"content": "<|im_start|>", "special": true},
            "456": {"content": "<|im_end|>", "special": true}}}"#;
    std::fs::write(path.path().join("tokenizer_config.json"), config).unwrap();
    let tokenizer = Tokenizer::from_folder(path.path()).unwrap();
    let ids = tokenizer.encode("<|im_start|>a<|im_end|>", &EncodeOptions::new()).unwrap().ids;
    assert_eq!((ids[0], ids[2]), (455, 456));
    assert_eq!(tokenizer.end_tokens(), [456]);
    for (file, text) in [
        ("generation_config.json", r#"{"eos_token_id": [456, 7, 456]}"#),
        ("config.json", r#"{"eos_token_id": 9}"#),
    ] {
        std::fs::write(path.path().join(file), text).unwrap();
        let tokenizer = Tokenizer::from_folder(path.path()).unwrap();
        assert_eq!(tokenizer.end_tokens(), [456, 7]);
    }
    std::fs::write(path.path().join("generation_config.json"), r#"{"eos_token_id": "x"}"#).unwrap();
    assert!(refused(Tokenizer::from_folder(path.path())).contains("eos_token_id"));
}

#[test]
fn ends_of_turns_in_gguf_are_ends() {
    let golden = load("gguf.json");
    let mut vocabulary = golden_data::gguf_vocabulary(&golden["byte_level"]["vocabulary"]);
    vocabulary.pre = Some("gpt-2".to_owned());
    let eos = vocabulary.eos;
    let id = vocabulary.tokens.len() as u32;
    let ends = |vocabulary: &GgufVocabulary| Tokenizer::from_gguf(vocabulary).unwrap().end_tokens();
    let before = ends(&vocabulary);
    for token in ["<|eot|>", "<|eom|>", "<|im_end|>"] {
        vocabulary.tokens.push(token.to_owned());
        vocabulary.token_types.push(3);
    }
    assert_eq!(ends(&vocabulary), [&before[..], &[id + 2]].concat());
    (vocabulary.eot, vocabulary.eom) = (Some(id), Some(id + 1));
    let found = ends(&vocabulary);
    assert_eq!(found[..eos.iter().count()], eos.into_iter().collect::<Vec<_>>());
    assert!([id, id + 1, id + 2].iter().all(|end| found.contains(end)), "{found:?}");
    vocabulary.eot = Some(9_999_999);
    assert!(Tokenizer::from_gguf(&vocabulary).is_err());
}

#[test]
fn unigram_vocabularies_of_gguf_are_those_of_sentence_piece() {
    let golden = load("plain.json");
    let model = Tokenizer::from_file(folder("unigram_plain").join("tokenizer.model")).unwrap();
    let tokens: Vec<String> =
        (0..model.vocabulary_len() as u32).map(|id| model.id_to_token(id).unwrap()).collect();
    // The same scores for all: the fewest tokens win.
    let mut vocabulary = GgufVocabulary {
        model: "t5".to_owned(),
        scores: vec![-1.0; tokens.len()],
        token_types: vec![1; tokens.len()],
        tokens,
        eos: Some(2),
        unk: Some(0),
        ..GgufVocabulary::default()
    };
    let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
    let text = &strings(&golden["texts"])[2];
    let ids = tokenizer.encode(text, &EncodeOptions::new()).unwrap().ids;
    assert_eq!(ids.last(), Some(&2));
    assert_eq!(&tokenizer.decode(&ids[..ids.len() - 1], true).unwrap(), text);
    vocabulary.precompiled_charsmap = vec![255, 255, 255, 127, 0];
    assert!(refused(Tokenizer::from_gguf(&vocabulary)).contains("cut short"));
    vocabulary.precompiled_charsmap.clear();
    vocabulary.unk = None;
    assert!(refused(Tokenizer::from_gguf(&vocabulary)).contains("unknown token"));
}

#[test]
fn newer_names_of_gguf_are_known() {
    let golden = load("gguf.json");
    let mut vocabulary = golden_data::gguf_vocabulary(&golden["byte_level"]["vocabulary"]);
    for pre in ["deepseek-llm", "qwen35"] {
        vocabulary.pre = Some(pre.to_owned());
        let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
        for text in strings(&golden["texts"]) {
            let ids = tokenizer.encode(&text, &plain()).unwrap().ids;
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text, "{pre}");
        }
    }
    let tokens =
        ["<unk>", "<bos>", "a", "b", "ab", "▁", "▁ab", "\n", "\n\n", "<0xC3>", "<0xA9>", "a"];
    let vocabulary = GgufVocabulary {
        model: "gemma4".to_owned(),
        tokens: tokens.map(str::to_owned).to_vec(),
        token_types: vec![2, 3, 1, 1, 1, 1, 1, 1, 1, 6, 6, 1],
        merges: ["a b", "▁ ab", "\n \n"].map(str::to_owned).to_vec(),
        bos: Some(1),
        unk: Some(0),
        ..GgufVocabulary::default()
    };
    let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
    let ids = tokenizer.encode("ab ab\n\na é", &EncodeOptions::new()).unwrap().ids;
    assert_eq!(ids, [1, 4, 6, 8, 11, 5, 9, 10]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ab ab\n\na é");
}

#[test]
fn other_formats_are_named() {
    let named = |bytes: &[u8]| refused(Tokenizer::from_bytes("file", bytes));
    assert!(
        named(b"version https://git-lfs.github.com/spec/v1\noid sha256:1").contains("git lfs pull")
    );
    assert!(named(b"GGUF\x03\0\0\0").contains("from_gguf"));
    assert!(named(b"PK\x03\x04").contains("zip"));
    assert!(named(&[0xba, 0x16, 0x4f, 0x2f, 12, 0, 0, 0]).contains("fastText"));
    assert!(named(br#"{"a": 0, "b": 1}"#).contains("merges.txt"));
    assert!(named(b"<!DOCTYPE html>").contains("page"));
    let clip = tempfile::tempdir().unwrap();
    std::fs::write(clip.path().join("vocab.json"), r#"{"a</w>": 0}"#).unwrap();
    std::fs::write(clip.path().join("merges.txt"), "#version: 0.2\n").unwrap();
    assert!(refused(Tokenizer::from_folder(clip.path())).contains("CLIP"));
    let path = tempfile::tempdir().unwrap();
    std::fs::write(
        path.path().join("tokenizer.json"),
        "version https://git-lfs.github.com/spec/v1\n",
    )
    .unwrap();
    assert!(refused(Tokenizer::from_folder(path.path())).contains("git lfs pull"));
}

#[test]
fn mutations_never_panic() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for name in ["unigram", "bpe_cleaned"] {
        let original = std::fs::read(folder(name).join("tokenizer.model")).unwrap();
        for _ in 0..300 {
            let mut bytes = original.clone();
            for _ in 0..1 + random(3) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at),
                    _ => bytes.insert(at, random(256) as u8),
                }
                if bytes.is_empty() {
                    bytes.push(10);
                }
            }
            if let Ok(tokenizer) = Tokenizer::from_bytes("mutated", &bytes) {
                let _ = tokenizer.encode("The river 12 ﬁ  é", &EncodeOptions::new());
            }
        }
        for end in 0..original.len().min(200) {
            let _ = Tokenizer::from_bytes("cut", &original[..end]);
        }
    }
    let words = std::fs::read(folder("bert").join("vocab.txt")).unwrap();
    for end in (0..words.len()).step_by(7) {
        let _ = Tokenizer::from_bytes("cut", &words[..end]);
    }
    let tokenizer = Tokenizer::from_bytes("vocab.txt", &words).unwrap();
    assert_eq!(tokenizer.encode("The", &EncodeOptions::new()).unwrap().ids[0], 2);
}
