//! The example of CIFAR-10 on files made in its format: reading, augmentation, training, accuracy; and what it says about
//! files that are cut off, missing, or of another data set.

#[expect(dead_code, reason = "its `main` reads the command line")]
#[path = "../05-cifar-cnn.rs"]
mod cifar_cnn;

use std::path::Path;

use examples::options::{Arguments, Options};
use gradloom::data::random::RandomStream;
use gradloom::prelude::*;

/// Records of one label byte and 3 x 32 x 32 pixel bytes: noise around a colour of each class.
fn records(count: usize, random: &mut RandomStream) -> Vec<u8> {
    let record = |index: usize| {
        let class = index % 10;
        let colour = [class * 25, 225 - class * 20, (class * 97) % 250];
        let mut bytes = vec![class as u8];
        for level in colour {
            let noisy = (0..1024).map(|_| level as f32 + 20.0 * random.normal());
            bytes.extend(noisy.map(|level| level.clamp(0.0, 255.0) as u8));
        }
        bytes
    };
    (0..count).flat_map(record).collect()
}

fn write(folder: &Path) {
    let random = &mut RandomStream::new(Key::new(8));
    for batch in 1..=5 {
        let file = folder.join(format!("data_batch_{batch}.bin"));
        std::fs::write(file, records(40, random)).unwrap();
    }
    std::fs::write(folder.join("test_batch.bin"), records(50, random)).unwrap();
}

fn run(folder: &Path) -> Result<f64, String> {
    let options = Options {
        name: "cifar".into(),
        epochs: 4,
        seed: 0,
        batch_size: 20,
        out: folder.join("out"),
        data: folder.into(),
        tiny: false,
        arguments: Arguments::default(),
    };
    std::fs::create_dir_all(&options.out).unwrap();
    cifar_cnn::train(&options, &Device::cpu()).map_err(|failure| format!("{failure:?}"))
}

#[test]
fn files_in_the_format_are_learnt() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let accuracy = run(folder.path()).unwrap();
    assert!(accuracy > 0.6, "{accuracy}");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("airplane") && page.contains("test accuracy"));
    assert!(folder.path().join("out/model.safetensors").is_file());
}

#[test]
fn files_that_are_no_cifar_10_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(folder.path()).unwrap_err();
    assert!(
        error.contains("data_batch_1.bin") && error.contains("CIFAR-10 binary version"),
        "{error}"
    );

    write(folder.path());
    let third = folder.path().join("data_batch_3.bin");
    let whole = std::fs::read(&third).unwrap();
    let mut wrong_label = whole.clone();
    wrong_label[3073] = 77;
    // Records of CIFAR-100 have two labels.
    let hundred: Vec<u8> = whole.chunks(3073).flat_map(|own| [&[0], own].concat()).collect();
    for (bytes, message) in [
        (&whole[..whole.len() - 100], "records have 3073 bytes and the last one has fewer"),
        (&whole[..3073 * 39], "39 records, where data_batch_1.bin has 40"),
        (&hundred[..], "the last one has fewer"),
        (&wrong_label[..], "label 77"),
        (&[], "0 records"),
    ] {
        std::fs::write(&third, bytes).unwrap();
        let error = run(folder.path()).unwrap_err();
        assert!(error.contains("data_batch_3.bin") && error.contains(message), "{error}");
    }
}
