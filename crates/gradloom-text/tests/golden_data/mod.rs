//! Reads the committed golden data, the fetched assets, and just enough of GGUF to test with a real file.
#![expect(dead_code, reason = "each test program uses a part")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use gradloom_text::GgufVocabulary;
use serde_json::Value;

/// A file of the folder `golden`.
pub(crate) fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The folder of an asset, or a message that the test is skipped.
pub(crate) fn asset(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name);
    if !path.exists() {
        eprintln!("skipped: assets/{name} is not there; cargo xtask assets {name} fetches it");
        return None;
    }
    Some(path)
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|item| item.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|item| item.as_u64().unwrap() as u32).collect()
}

/// The vocabulary of a case in `gguf.json`.
pub(crate) fn gguf_vocabulary(value: &Value) -> GgufVocabulary {
    let id = |field: &str| value[field].as_u64().map(|id| id as u32);
    let floats = value["scores"].as_array().into_iter().flatten();
    GgufVocabulary {
        model: value["model"].as_str().unwrap().to_owned(),
        tokens: strings(&value["tokens"]),
        token_types: numbers(&value["token_types"]).into_iter().map(|kind| kind as i32).collect(),
        scores: floats.map(|score| score.as_f64().unwrap() as f32).collect(),
        merges: strings(&value["merges"]),
        bos: id("bos"),
        eos: id("eos"),
        unk: id("unk"),
        pad: id("pad"),
        sep: id("sep"),
        cls: id("cls"),
        mask: id("mask"),
        add_space_prefix: value["add_space_prefix"].as_bool(),
        ..GgufVocabulary::default()
    }
}

/// The metadata of a GGUF file.
pub(crate) struct Gguf(HashMap<String, Value>);

impl Gguf {
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        self.0.get(field)?.as_str().map(str::to_owned)
    }

    pub(crate) fn vocabulary(&self) -> GgufVocabulary {
        let get = |field: &str| self.0.get(&format!("tokenizer.ggml.{field}"));
        let id = |field: &str| get(&format!("{field}_token_id"))?.as_u64().map(|id| id as u32);
        GgufVocabulary {
            model: get("model").unwrap().as_str().unwrap().to_owned(),
            pre: get("pre").map(|pre| pre.as_str().unwrap().to_owned()),
            tokens: strings(get("tokens").unwrap()),
            token_types: numbers(get("token_type").unwrap())
                .iter()
                .map(|&kind| kind as i32)
                .collect(),
            merges: strings(get("merges").unwrap()),
            bos: id("bos"),
            eos: id("eos"),
            unk: id("unknown"),
            pad: id("padding"),
            add_bos: get("add_bos_token").and_then(Value::as_bool),
            add_space_prefix: get("add_space_prefix").and_then(Value::as_bool),
            ..GgufVocabulary::default()
        }
    }
}

/// Reads the metadata of a trusted GGUF file.
pub(crate) fn read_gguf(path: &Path) -> Gguf {
    let mut reader = Reader(BufReader::new(File::open(path).unwrap()));
    assert_eq!(&reader.bytes::<4>(), b"GGUF");
    assert_eq!(reader.u32(), 3);
    let _tensors = reader.u64();
    let entries = reader.u64();
    Gguf((0..entries).map(|_| (reader.text(), reader.typed())).collect())
}

struct Reader(BufReader<File>);

impl Reader {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn text(&mut self) -> String {
        let length = self.u64();
        let mut text = vec![0; length as usize];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn typed(&mut self) -> Value {
        let kind = self.u32();
        self.value(kind)
    }

    fn value(&mut self, kind: u32) -> Value {
        match kind {
            0 | 1 => self.bytes::<1>()[0].into(),
            2 | 3 => u16::from_le_bytes(self.bytes()).into(),
            4 | 5 => self.u32().into(),
            6 => f32::from_bits(self.u32()).into(),
            7 => (self.bytes::<1>()[0] != 0).into(),
            8 => self.text().into(),
            9 => {
                let kind = self.u32();
                let length = self.u64();
                (0..length).map(|_| self.value(kind)).collect()
            }
            10 | 11 => self.u64().into(),
            12 => f64::from_bits(self.u64()).into(),
            _ => panic!("GGUF has no values of kind {kind}"),
        }
    }
}
