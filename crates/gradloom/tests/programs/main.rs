//! Programs as a user writes them, from data to a trained model, in about as many lines as in PyTorch. Each is a
//! file of its own; here are their data, and what they must reach.
#![cfg(feature = "train")]

mod csv_classifier;
mod fair_classifier;
mod image_classifier;
mod multi_label;
mod own_gradient;
mod regression;
#[cfg(feature = "text")]
mod sentence_classifier;
mod text_classifier;
mod everywhere;

use gradloom::data::random::RandomStream;
use gradloom::data::{ImageDataset, Labelled, TensorDataset};
use gradloom::prelude::*;

#[test]
fn a_network_learns_a_csv_file_and_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flowers.csv");
    let mut random = RandomStream::new(Key::new(3));
    let mut text = String::from("length,width,height,species\n");
    for _ in 0..200 {
        let [a, b, c] = [(); 3].map(|()| random.uniform(-1.0, 1.0));
        let species = ["rose", "tulip", "iris"][usize::from(a > b) + usize::from(a + c > 0.5)];
        text += &format!("{a},{b},{c},{species}\n");
    }
    std::fs::write(&file, text).unwrap();
    let device = gradloom_cpu::device();
    let (out, again) = (folder.path().join("out"), folder.path().join("again"));
    let fit = csv_classifier::train(&file, &out, &device).unwrap();
    let best = fit.history.curve("val_accuracy").into_iter().fold(0.0, f64::max);
    assert!(best > 0.85, "{best}");
    // A run in the same folder finds itself at its end; one from the best epoch comes to the same end.
    let model = |folder: &std::path::Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    let first = model(&out);
    std::fs::create_dir(&again).unwrap();
    std::fs::copy(out.join("best.safetensors"), again.join("last.safetensors")).unwrap();
    for folder in [&out, &again] {
        let second = csv_classifier::train(&file, folder, &device).unwrap();
        assert_eq!(second.history, fit.history);
        assert!(model(folder) == first);
    }
}

#[test]
fn a_convolutional_network_learns_pictures() {
    let pictures = |count: usize, seed| {
        let mut random = RandomStream::new(Key::new(seed));
        let labels: Vec<i32> = (0..count).map(|picture| (picture % 2) as i32).collect();
        let mut pixels = Vec::new();
        for &label in &labels {
            for place in 0..3 * 32 * 32 {
                // Stripes across or upright, which neither flips nor crops change.
                let stripe = if label == 0 { place / 32 % 32 } else { place % 32 };
                let level = if stripe / 4 % 2 == 0 { 150 } else { 60 };
                pixels.push((level + random.below(40)) as u8);
            }
        }
        ImageDataset::new(pixels, [3, 32, 32], labels).unwrap()
    };
    let device = gradloom_cpu::device();
    let fit = image_classifier::train(pictures(80, 1), pictures(40, 2), &device).unwrap();
    let accuracy = fit.history.last("val_accuracy").unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

/// Rows of random numbers, and targets made of each.
fn table<const T: usize>(
    rows: usize,
    columns: usize,
    seed: u64,
    targets: impl Fn(&[f32]) -> [f32; T],
) -> TensorDataset {
    let mut random = RandomStream::new(Key::new(seed));
    let inputs: Vec<f32> = (0..rows * columns).map(|_| random.uniform(-1.0, 1.0)).collect();
    let targets: Vec<f32> = inputs.chunks(columns).flat_map(targets).collect();
    TensorDataset::from_rows([rows, columns], inputs, [rows, T], targets).unwrap()
}

#[test]
fn several_labels_of_a_sample_are_learnt() {
    let labels = |row: &[f32]| {
        [row[0] > 0.0, row[1] + row[2] > 0.2, row[3] > row[4]]
            .map(|label| f32::from(u8::from(label)))
    };
    let device = gradloom_cpu::device();
    let fit = multi_label::train(table(300, 6, 1, labels), table(100, 6, 2, labels), &device);
    let f1 = fit.unwrap().history.last("val_f1").unwrap();
    assert!(f1 > 0.9, "{f1}");
}

#[test]
fn a_regression_learns() {
    let target = |row: &[f32]| [row[0] * row[1] + 0.5 * row[2]];
    let device = gradloom_cpu::device();
    let fit = regression::train(table(400, 4, 1, target), table(100, 4, 2, target), &device);
    let error = fit.unwrap().history.last("val_mae").unwrap();
    assert!(error < 0.06, "{error}");
}

/// A run without and one with the penalty: difference between the groups and accuracy at the end.
fn fair_and_not(train: &TensorDataset, valid: &TensorDataset) -> [[f64; 2]; 2] {
    [0.0, 4.0].map(|weight| {
        let device = gradloom_cpu::device();
        let (train, valid) = (train.clone(), valid.clone());
        let fit = fair_classifier::train(train, valid, weight, &device).unwrap();
        ["val_demographic_parity_difference", "val_accuracy"]
            .map(|name| fit.history.last(name).unwrap())
    })
}

#[test]
fn a_penalty_shrinks_the_gap_between_groups() {
    // The second column is the group with noise, and the answers of the past favoured one.
    let rows = |count: usize, seed| {
        let mut random = RandomStream::new(Key::new(seed));
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (merit, group) = (random.normal(), f32::from(u8::from(random.chance(0.4))));
            let answer = merit - 0.8 * group + 0.5 * random.normal() > -0.2;
            inputs.extend([merit, group + 0.3 * random.normal()]);
            targets.extend([f32::from(u8::from(answer)), group]);
        }
        TensorDataset::from_rows([count, 2], inputs, [count, 2], targets).unwrap()
    };
    let [plain, fair] = fair_and_not(&rows(1500, 1), &rows(1000, 2));
    assert!(plain[0] > 0.2 && fair[0] < 0.1, "{plain:?} {fair:?}");
    assert!(fair[1] > plain[1] - 0.06, "{plain:?} {fair:?}");
}

/// With what `fetch_loans.py` fetches: 1,989 applications for a mortgage in Boston, 1990, and who was granted one.
/// Without it the test says so and passes.
#[test]
fn a_penalty_shrinks_the_gap_between_groups_of_applicants() {
    use gradloom::data::format::csv::CsvReader;
    use gradloom::data::preparation::{Imputer, Preparation, Scaler};

    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/loans/loanapp.csv");
    if !file.is_file() {
        println!("skipped: {} is missing; tests/programs/fetch_loans.py gets it", file.display());
        return;
    }
    let features = [
        "loanamt", "appinc", "unit", "married", "dep", "emp", "yjob", "self", "atotinc", "hrat",
        "obrat", "term", "price", "liq", "mortg", "cons", "pubrec", "unver", "netw", "unem",
        "loanprc", "sch", "min30", "mi", "vr",
    ];
    let table = CsvReader::new().read(&file).unwrap();
    let (train, valid) = table.split(1400, Key::new(1)).unwrap();
    let preparation = Preparation::new()
        .impute(features, Imputer::median())
        .scale(features, Scaler::standard())
        .fit(&train)
        .unwrap();
    let rows = |part| {
        let table = preparation.transform(part).unwrap();
        let inputs = table.features(&features).unwrap();
        let pairs = table.numbers("approve").unwrap().iter().zip(table.numbers("white").unwrap());
        let targets: Vec<f32> =
            pairs.flat_map(|(approved, white)| [*approved as f32, *white as f32]).collect();
        let inputs: Vec<f32> =
            inputs.values().iter().map(|&value| value.clamp(-4.0, 4.0)).collect();
        TensorDataset::from_rows([table.len(), features.len()], inputs, [table.len(), 2], targets)
            .unwrap()
    };
    let [plain, fair] = fair_and_not(&rows(&train), &rows(&valid));
    println!("difference and accuracy {plain:?}, with the penalty {fair:?}");
    assert!(fair[0] < plain[0] / 2.0, "{plain:?} {fair:?}");
    assert!(fair[1] > plain[1] - 0.03, "{plain:?} {fair:?}");
}

#[test]
fn an_lstm_reads_texts_of_many_lengths() {
    // The word in the middle says the class; what padding holds must not count.
    let texts = |count: usize, seed| {
        let mut random = RandomStream::new(Key::new(seed));
        let text = |_| {
            let words = 2 + random.below(9);
            let mut input: Vec<i32> = (0..words).map(|_| 3 + random.below(17) as i32).collect();
            let label = random.below(2) as i32;
            input[words / 2] = 1 + label;
            Labelled { input, label }
        };
        (0..count).map(text).collect()
    };
    let device = gradloom_cpu::device();
    let fit = text_classifier::train(texts(400, 1), texts(100, 2), &device).unwrap();
    let accuracy = fit.history.last("val_accuracy").unwrap();
    assert!(accuracy > 0.95, "{accuracy}");
}

/// Sentences about a film or a person, whose adjective says whether they are kind.
#[cfg(feature = "text")]
fn sentences(count: usize, seed: u64) -> Vec<(String, i32)> {
    const ADJECTIVES: [[&str; 6]; 2] = [
        ["awful", "dull", "terrible", "boring", "bad", "disappointing"],
        ["wonderful", "great", "delightful", "brilliant", "good", "charming"],
    ];
    const BEGINNINGS: [&str; 5] =
        ["the film is", "i found the story", "a really", "what a", "her acting was"];
    const ENDS: [&str; 4] = ["", "all in all", "and i have seen many of them this year", "indeed"];
    let mut random = RandomStream::new(Key::new(seed));
    let sentence = |_| {
        let mut any = |words: &[&'static str]| words[random.below(words.len())];
        let label = i32::from(any(&["no", "yes"]) == "yes");
        let words = [any(&BEGINNINGS), any(&ADJECTIVES[label as usize]), any(&ENDS)];
        (words.join(" ").trim().to_owned(), label)
    };
    (0..count).map(sentence).collect()
}

/// A model of random numbers in the files of the published one.
#[cfg(feature = "text")]
fn write_tiny_model(folder: &std::path::Path, texts: &[(String, i32)]) {
    use gradloom::zoo::{BertModel, Pretrained, config_in};

    let mut words: Vec<&str> = texts.iter().flat_map(|(text, _)| text.split(' ')).collect();
    words.sort_unstable();
    words.dedup();
    words.splice(0..0, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    std::fs::write(folder.join("vocab.txt"), words.join("\n")).unwrap();
    let tokenizer = r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": true}"#;
    std::fs::write(folder.join("tokenizer_config.json"), tokenizer).unwrap();
    let config = format!(
        r#"{{"model_type": "bert", "vocab_size": {}, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}}"#,
        words.len()
    );
    std::fs::write(folder.join("config.json"), config).unwrap();
    let init = &mut Init::new(Key::new(9), &gradloom_cpu::device());
    let model = BertModel::new(&config_in(folder).unwrap(), init).unwrap();
    model.save(folder.join("model.safetensors")).unwrap();
}

#[cfg(feature = "text")]
#[test]
fn a_new_head_on_an_encoder_learns_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let (train, valid) = (sentences(1200, 1), sentences(100, 2));
    write_tiny_model(folder.path(), &train);
    let device = gradloom_cpu::device();
    let texts = [&train[..], &valid];
    let fit = sentence_classifier::train(folder.path().to_str().unwrap(), texts, &device).unwrap();
    // The first epochs are of the head alone, on random vectors; the last one is of all weights.
    let accuracies = fit.history.curve("val_accuracy");
    assert!(accuracies[0] < 0.9 && accuracies[2] > 0.95, "{accuracies:?}");
}

/// With what `cargo xtask assets minilm` fetches; without it the test says so and passes.
#[cfg(feature = "text")]
#[test]
fn a_new_head_on_minilm_learns_sentences() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/minilm");
    if !folder.join("model.safetensors").is_file() {
        println!("skipped: {} is missing; `cargo xtask assets minilm` gets it", folder.display());
        return;
    }
    let texts = [&sentences(96, 1)[..], &sentences(48, 2)];
    let device = gradloom_cpu::device();
    let fit = sentence_classifier::train(folder.to_str().unwrap(), texts, &device).unwrap();
    let accuracies = fit.history.curve("val_accuracy");
    assert!(accuracies[2] > 0.95, "{accuracies:?}");
}

#[test]
fn a_layer_has_a_gradient_of_its_own() {
    let device = gradloom_cpu::device();
    let x = Tensor::new([-2.0f32, -0.5, 0.25, 3.0], &device).unwrap().tracked();
    let y = own_gradient::Binarize.forward(&x, &mut Context::eval());
    assert_eq!(y.to_vec::<f32>().unwrap(), [-1.0, -1.0, 1.0, 1.0]);
    let [slope] = &grad(&(y * 3.0).sum(..), &[&x])[..] else { panic!("one operand") };
    assert_eq!(slope.to_vec::<f32>().unwrap(), [0.0, 3.0, 3.0, 0.0]);
}

#[test]
fn the_programs_have_at_most_a_fifth_more_lines_than_in_pytorch() {
    // Lines of the same programs in PyTorch, without blank lines and comments, which a user wrote from its documentation.
    let programs = [
        (include_str!("csv_classifier.rs"), 41),
        (include_str!("image_classifier.rs"), 23),
        (include_str!("text_classifier.rs"), 40),
        (include_str!("own_gradient.rs"), 17),
        (include_str!("sentence_classifier.rs"), 16),
        (include_str!("multi_label.rs"), 15),
        (include_str!("regression.rs"), 23),
    ];
    for (text, pytorch) in programs {
        let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = text.lines().filter(code).count();
        let most = pytorch as f64 * 1.2;
        assert!(lines as f64 <= most, "{lines} lines, at most {most}:\n{text}");
    }
}
