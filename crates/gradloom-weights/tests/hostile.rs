//! Files made to do harm: each is an error that says what is wrong, soon and without much memory.

use gradloom_testkit::storage::device;
use gradloom_weights::{Checkpoint, Error, gguf};

#[track_caller]
fn refused(bytes: Vec<u8>, part: &str) -> Error {
    let error = Checkpoint::from_bytes("file", bytes)
        .and_then(|checkpoint| checkpoint.tensors(&device()))
        .expect_err(part);
    assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    error
}

mod pickle;

#[test]
fn pickles_run_nothing() {
    let system = pickle::call("posix\nsystem", &[pickle::text("touch /tmp/pickles-ran")]);
    let object = pickle::dict(&[("evil", system), ("good", pickle::tensor(0, &[6], &[1]))]);
    let checkpoint = Checkpoint::from_bytes("file", pickle::file(&object)).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["good"]);
}

#[test]
fn tensors_must_lie_within_their_storage() {
    let read = |offset, shape: &[i64], strides: &[i64]| {
        pickle::file(&pickle::dict(&[("t", pickle::tensor(offset, shape, strides))]))
    };
    let whole = Checkpoint::from_bytes("file", read(0, &[3, 2], &[1, 3])).unwrap();
    assert_eq!(whole.tensor("t", &device()).unwrap().shape()[..], [3, 2]);
    for (offset, shape, strides) in [
        (1, &[6][..], &[1][..]),
        (0, &[7], &[1]),
        (0, &[2, 2], &[5, 1]),
        (i64::MAX, &[1], &[1]),
        (0, &[2], &[i64::MAX]),
        (0, &[3, 3], &[i64::MAX, i64::MAX]),
    ] {
        assert!(refused(read(offset, shape, strides), "leaves storage 0").is_malformed());
    }
    refused(read(-1, &[1], &[1]), "no count");
    refused(read(0, &[-1], &[1]), "no counts");
    refused(read(0, &[1], &[1, 1]), "strides");
    refused(read(0, &[1 << 40, 1 << 40], &[0, 0]), "absurd");
    refused(read(0, &[0, 1 << 62, 1 << 62], &[0, 0, 0]), "absurd");
    refused(read(0, &[1 << 20, 1 << 20], &[0, 0]), "too often");
    refused(read(0, &[1; 65], &[1; 65]), "65 axes");
    refused(read(0, &[1; 9], &[1; 9]), "at most 8");
}

#[test]
fn shared_and_nested_values_do_not_explode() {
    // Each list holds the one before it twice.
    let mut object = b"](K\x01e".to_vec();
    for _ in 0..60 {
        object = [b"](", &object[..], b"2e"].concat();
    }
    refused(pickle::file(&object), "values");
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999]].concat();
    refused(pickle::file(&deep), "deep");
    // A dict that holds itself.
    refused(pickle::file(b"}q\x00\x8c\x01xh\x00s"), "deep");
    let endless = [&b"N0".repeat(3 << 20)[..], b"N"].concat();
    refused(pickle::file(&endless), "operations");
    let key = "k".repeat(255);
    let mut object = pickle::tensor(0, &[1], &[1]);
    for _ in 0..20 {
        object = pickle::dict(&[(&key, object)]);
    }
    refused(pickle::file(&object), "absurdly long");
}

#[test]
fn pickles_out_of_order_are_errors() {
    for (object, part) in [
        (&b"0"[..], "the stack is empty"),
        (b"t", "no mark"),
        (b"(.", "the stack is empty"),
        (b"h\x07", "memo 7"),
        (b"N)R", ""),
        (b"NNNs", "cannot have any"),
        (b"}(Nu", "no value"),
        (b"I1\n", "opcode 0x49"),
        (b"NQ", "no tuple"),
        (b"X\xff\xff\xff\xff", "should follow"),
    ] {
        let file = pickle::file(object);
        if part.is_empty() {
            Checkpoint::from_bytes("file", file).unwrap();
        } else {
            assert!(refused(file, part).is_malformed());
        }
    }
    let other = b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01.".to_vec();
    assert!(refused(other, "not one that PyTorch saved").is_unsupported());
}

/// A zip archive with one record and its directory's numbers as given.
fn archive(name: &str, method: u16, data: &[u8], len: u32, offset: u32) -> Vec<u8> {
    let names = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
    let sizes = [(data.len() as u32).to_le_bytes(), len.to_le_bytes()].concat();
    let method = method.to_le_bytes();
    let local =
        [b"PK\x03\x04\x14\0\0\0", &method[..], &[0; 8], &sizes, &names, name.as_bytes(), data]
            .concat();
    let entry = [
        b"PK\x01\x02\x14\0\x14\0\0\0",
        &method[..],
        &[0; 8],
        &sizes,
        &names,
        &[0; 10],
        &offset.to_le_bytes(),
        name.as_bytes(),
    ]
    .concat();
    let end = [
        &1u16.to_le_bytes()[..],
        &1u16.to_le_bytes(),
        &[0; 4],
        &(local.len() as u32).to_le_bytes(),
    ];
    [&local[..], &entry, b"PK\x05\x06\0\0\0\0", &end.concat(), &[0; 2]].concat()
}

#[test]
fn archives_are_checked_before_they_are_read() {
    let pickle = pickle::dict(&[("t", pickle::tensor(0, &[6], &[1]))]);
    let pickle = [&pickle[..], b"."].concat();
    let len = pickle.len() as u32;
    refused(archive("a/data.pkl", 0, &pickle, len, 0), "no record a/data/0");
    refused(archive("a/data.pkl", 0, &pickle, len + 1, 0), "are stored as");
    refused(archive("a/data.pkl", 0, &pickle, len, 1), "header is damaged");
    refused(archive("a/data.pkl", 0, &pickle, len, u32::MAX), "should follow");
    refused(archive("a/data.pkl", 12, &pickle, len, 0), "compression method 12");
    refused(archive("a/data.pkl", 8, &pickle, 1 << 30, 0), "inflate to 1073741824");
    refused(archive("a/data.pkl", 8, &pickle, len, 0), "compressed part");
    assert!(refused(archive("word/document.xml", 0, b"", 0, 0), "no PyTorch").is_unsupported());
    refused(b"PK\x03\x04".to_vec(), "without its end");
}

/// A GGUF file of version 3 from its counts and what follows.
fn gguf(tensors: u64, entries: u64, rest: &[Vec<u8>]) -> Vec<u8> {
    let head = [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &entries.to_le_bytes()].concat();
    [head, rest.concat()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn info(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let sizes: Vec<u8> = shape.iter().rev().flat_map(|size| size.to_le_bytes()).collect();
    let rank = (shape.len() as u32).to_le_bytes();
    [&text(name)[..], &rank, &sizes, &kind.to_le_bytes(), &offset.to_le_bytes()].concat()
}

#[test]
fn gguf_counts_and_lengths_are_checked() {
    refused(gguf(u64::MAX, 0, &[]), "absurd");
    refused(gguf(0, u64::MAX, &[]), "absurd");
    refused(gguf(1 << 20, 0, &[]), "should follow");
    refused(gguf(0, 1, &[u64::MAX.to_le_bytes().to_vec()]), "absurd");
    refused(gguf(0, 1, &[text("k"), vec![8, 0, 0, 0], (1u64 << 20).to_le_bytes().to_vec()]), "k: ");
    for kind in [0u8, 5, 8, 9, 12] {
        let array = [&[9, 0, 0, 0, kind, 0, 0, 0][..], &u64::MAX.to_le_bytes()].concat();
        refused(gguf(0, 1, &[text("k"), array]), "metadata k: ");
    }
    let deep = [&[9, 0, 0, 0][..], &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(1000)].concat();
    refused(gguf(0, 1, &[text("k"), deep]), "deep");
    refused(gguf(0, 1, &[text("k"), vec![13, 0, 0, 0]]), "type 13");
    let twice = [text("k"), vec![0, 0, 0, 0, 1], text("k"), vec![0, 0, 0, 0, 1]];
    refused(gguf(0, 2, &twice), "twice");
    for alignment in [0u32, 3, 1 << 30] {
        let value = [&[4, 0, 0, 0][..], &alignment.to_le_bytes()].concat();
        refused(gguf(0, 1, &[text("general.alignment"), value]), "power of two");
    }
    assert!(refused(b"GGUF\0\0\0\x03".to_vec(), "big-endian").is_unsupported());
    assert!(refused(b"GGUF\x01\0\0\0".to_vec(), "version 1").is_unsupported());
    assert!(refused(b"ggjt\x01\0\0\0".to_vec(), "before GGUF").is_unsupported());
}

#[test]
fn gguf_tensors_must_fit_and_not_overlap() {
    let data = vec![0; 256];
    let one = |shape: &[u64], kind, offset| {
        gguf(1, 0, &[info("t", shape, kind, offset), vec![0; 64], data.clone()])
    };
    Checkpoint::from_bytes("file", one(&[2, 8], 0, 32)).unwrap();
    refused(one(&[2, 8], 0, 4), "no multiple of 32");
    refused(one(&[2, 800], 0, 0), "cut short");
    refused(one(&[2, 8], 0, 1 << 20), "cut short");
    refused(one(&[2, 8], 0, u64::MAX - 31), "absurd");
    refused(one(&[u64::MAX, u64::MAX], 0, 0), "absurd");
    refused(one(&[0, u64::MAX, u64::MAX], 0, 0), "absurd");
    refused(one(&[0, u64::MAX], 2, 0), "absurd");
    refused(one(&[2, 31], 2, 0), "no whole Q4_0 blocks");
    refused(one(&[1; 9], 0, 0), "9 dimensions");
    assert!(refused(one(&[2, 32], 99, 0), "GGUF type 99").is_unsupported());
    let two = |name, offset| {
        let infos = [info("t", &[16], 0, 0), info(name, &[16], 0, offset), vec![0; 64]];
        gguf(2, 0, &[infos.concat(), data.clone()])
    };
    Checkpoint::from_bytes("file", two("u", 64)).unwrap();
    refused(two("u", 32), "overlap");
    refused(two("t", 64), "two tensors");
}

#[test]
fn blocks_without_elements_are_tensors() {
    for shape in [[0, 32], [0, 1 << 40], [1 << 40, 0]] {
        let file = gguf(1, 0, &[info("t", &shape, 2, 0), vec![0; 64]]);
        let tensor = Checkpoint::from_bytes("file", file).unwrap().tensor("t", &device()).unwrap();
        assert_eq!(tensor.shape()[..], shape.map(|size| size as usize));
    }
}

#[test]
fn formats_are_told_by_content() {
    // A header of 0x280 bytes begins as a pickle does.
    let mut header = br#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.to_vec();
    header.resize(0x280, b' ');
    let file = [&0x280u64.to_le_bytes()[..], &header, &[7]].concat();
    let tensor = Checkpoint::from_bytes("file", file).unwrap().tensor("t", &device()).unwrap();
    assert_eq!(tensor.to_bytes().unwrap(), [7]);
    let empty = gguf::Writer::new().to_bytes().unwrap();
    assert_eq!(Checkpoint::from_bytes("file", empty).unwrap().names().len(), 0);
    refused(Vec::new(), "empty file");
    refused(b"hello, world".to_vec(), "neither safetensors");
    refused(br#"{"model": "nothing"}"#.to_vec(), "without a weight_map");
    refused(b"[{\"paths\": 1}".to_vec(), "damaged");
    refused(b"[{}]".to_vec(), "no paths");
    refused(b"[]".to_vec(), "neither");
    refused(br#"{"weight_map": "#.to_vec(), "damaged");
    refused(b"[".repeat(100_000), "neither");
    refused([b"{\"a\":".repeat(100_000)].concat(), "damaged");
}

#[test]
fn an_index_does_not_leave_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors.index.json");
    for file in ["../other", "/etc/passwd", "a/b", "..", ".", ""] {
        std::fs::write(&path, format!(r#"{{"weight_map": {{"t": "{file}"}}}}"#)).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(error.is_malformed() && error.to_string().contains("beside the index"), "{error}");
    }
    std::fs::write(&path, r#"{"weight_map": {"t": "model-1.safetensors"}}"#).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().is_not_found());
    let empty = gradloom_weights::safetensors::to_bytes([], &Default::default()).unwrap();
    std::fs::write(folder.path().join("model-1.safetensors"), empty).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("t: the index says"), "{error}");
    // A set of sets of files.
    std::fs::copy(&path, folder.path().join("model-1.safetensors")).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().is_malformed());
}

#[test]
fn folders_without_a_model_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("*.gguf"), "{error}");
    for name in ["a.gguf", "b.gguf"] {
        gguf::Writer::new().save(folder.path().join(name)).unwrap();
    }
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("a.gguf"), "{error}");
    std::fs::remove_file(folder.path().join("b.gguf")).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().names().len(), 0);
    assert!(Checkpoint::open(folder.path().join("none")).unwrap_err().is_not_found());
}
