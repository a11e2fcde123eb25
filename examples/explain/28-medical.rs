//! Tells malignant from benign tumours by thirty measures of their cells, and shows what a user of such a model has to
//! ask: how many are missed, how many are alarmed in vain, whether 90 % sure is right in nine of ten cases, and why.
//!
//! `cargo run --release -p explain-examples --example 28-medical`
//!
//! The table (569 tumours, Wisconsin diagnostic breast cancer, CC BY 4.0) is embedded. Five networks learn on four fifths of
//! it each and are measured on the fifth that they have not seen, so every figure is over all tumours; scales of columns are
//! learnt from training parts alone. Writes a page with curves and explanations into `out/28-medical`. Takes seconds.
//!
//! It shows how to measure and explain. It is no medical device, and must not be used to decide about anybody's health.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use gradloom::data::preparation::{Preparation, Scaler};
use gradloom::data::split::stratified_k_fold;
use gradloom::data::{Loader, Source, Table, TensorDataset};
use gradloom::explain::report::{Page, summary_plot};
use gradloom::explain::{Forward, Inputs, IntegratedGradients, Method, Target};
use gradloom::metrics::{
    Accumulator, BinaryScores, Bootstrap, Calibration, ConfusionMatrix, roc_auc,
};
use gradloom::nn::layers::{Dropout, Linear};
use gradloom::prelude::*;
use gradloom::track::Curve;
use gradloom::train::Progress;

const TABLE: &[u8] = include_bytes!("data/breast_cancer.csv.gz");
const CLASSES: [&str; 2] = ["benign", "malignant"];
const NO_DEVICE: &str = "This is a demonstration on a public table. It is no medical device, and must not be used to \
                         decide about anybody's health.";

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("28-medical.rs"))?;
    let table = Table::read_csv(Source::from_bytes("breast_cancer.csv.gz", TABLE))?;
    let columns: Vec<&str> =
        table.names().iter().map(String::as_str).filter(|name| *name != "diagnosis").collect();
    let labels = table.labels_of("diagnosis", &CLASSES)?.labels().to_vec();

    let mut probabilities = vec![0.0f64; table.len()];
    let (mut attributions, mut values) = (Vec::new(), Vec::new());
    for (number, fold) in stratified_k_fold(&labels, 5, Some(Key::new(0)))?.iter().enumerate() {
        let (train, test) = (table.take(&fold.train)?, table.take(&fold.test)?);
        let preparation =
            Preparation::new().scale(columns.clone(), Scaler::standard()).fit(&train)?;
        let input = |part: &Table| -> Result<Tensor> {
            preparation.transform(part)?.features(&columns)?.to_tensor(&device)
        };
        let of_train: Vec<f32> = fold.train.iter().map(|&row| labels[row] as f32).collect();
        let targets = Tensor::from_vec(of_train, [fold.train.len(), 1], &device)?;
        let model = train_network(&input(&train)?, &targets, Key::new(number as u64), tiny)?;
        let x = input(&test)?;
        let said = model.forward(&x, &mut Context::eval()).sigmoid().to_vec::<f32>()?;
        for (&row, p) in fold.test.iter().zip(said) {
            probabilities[row] = f64::from(p);
        }
        // Why: from the mean of all tumours, which is zero after scaling, to each one that was not seen.
        let method = IntegratedGradients::default();
        let found = method.attribute(
            &Forward::new(|x, ctx| model.forward(&x[0], ctx)),
            &Inputs::from(&x),
            &Target::Class(0),
        )?;
        attributions.extend(rows(found.first())?);
        values.extend(rows(&test.features(&columns)?.to_tensor(&device)?)?);
    }
    report(&labels, &probabilities, &columns, &attributions, &values)
}

/// A small network with dropout, trained on one part of the table.
fn train_network(x: &Tensor, targets: &Tensor, key: Key, tiny: bool) -> Result<Sequential> {
    let init = &mut Init::new(key, x.device());
    let model = Sequential::new()
        .with(Linear::new(x.size(1), 24, init))
        .with(Activation::Relu)
        .with(Dropout::new(0.3))
        .with(Linear::new(24, 1, init));
    let batches = Loader::rows(TensorDataset::new(x, targets)?)
        .batch_size(32)
        .shuffle(key.fold(1))
        .drop_last(true);
    let mut trainer =
        Trainer::new(model, AdamW::new(3e-3).weight_decay(0.05), Tensor::bce_with_logits)
            .epochs(if tiny { 1 } else { 60 })
            .schedule_over(|steps| Schedule::cosine(3e-3, steps))
            .key(key.fold(2))
            .progress(Progress::Silent);
    trainer.fit_train(&batches)?;
    Ok(trainer.model)
}

fn rows(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    let width = tensor.size(1);
    let numbers = tensor.to_vec::<f32>()?;
    Ok(numbers.chunks_exact(width).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect())
}

/// Prints the figures and writes the page.
fn report(
    labels: &[i32],
    probabilities: &[f64],
    columns: &[&str],
    attributions: &[Vec<f64>],
    values: &[Vec<f64>],
) -> Result<(), Failure> {
    let said: Vec<i32> = probabilities.iter().map(|&p| i32::from(p >= 0.5)).collect();
    let mut confusion = ConfusionMatrix::new(2);
    confusion.update(labels, &said)?;
    let mut calibration = Calibration::new(10);
    calibration.update(labels, probabilities)?;
    let mut scores = BinaryScores::default();
    scores.update(labels, probabilities)?;
    // Over all tumours, with what another sample of tumours would have given.
    let interval = |figure: &dyn Fn(&[i32], &[f64]) -> gradloom::metrics::Result<f64>| {
        Bootstrap::new(1).interval(labels.len(), |chosen| {
            let labels: Vec<i32> = chosen.iter().map(|&row| labels[row]).collect();
            let p: Vec<f64> = chosen.iter().map(|&row| probabilities[row]).collect();
            figure(&labels, &p)
        })
    };
    let called_right = |class: i32| {
        move |labels: &[i32], p: &[f64]| {
            let own = labels.iter().zip(p).filter(|(label, _)| **label == class);
            let right = own.clone().filter(|(_, p)| i32::from(**p >= 0.5) == class).count();
            Ok(right as f64 / own.count() as f64)
        }
    };
    let figures = [
        ("sensitivity: malignant ones that are called so", interval(&called_right(1))?),
        ("specificity: benign ones that are called so", interval(&called_right(0))?),
        ("area under the ROC curve", interval(&|labels, p| roc_auc(labels, p))?),
    ];
    let mut page = Page::new("Malignant or benign");
    page.paragraph(NO_DEVICE);
    page.heading("Figures, over all tumours, none of them seen while learning");
    let mut lines = Vec::new();
    for (name, figure) in &figures {
        let (value, low, high) = (figure.value, figure.low, figure.high);
        lines.push(format!("{name:<50} {value:.3}  ({low:.3} to {high:.3} in 95 % of resamples)"));
    }
    let name = "expected calibration error, ten bins";
    lines.push(format!("{name:<50} {:.3}", calibration.value()?));
    let (missed, alarms) = (confusion.count(1, 0), confusion.count(0, 1));
    lines.push(format!(
        "missed: {missed} of {}; false alarms: {alarms} of {}",
        confusion.support(1),
        confusion.support(0)
    ));
    for line in &lines {
        println!("{line}");
    }
    page.preformatted(&lines.join("\n"));

    let roc = scores.roc()?;
    let points = roc.false_positive.iter().copied().zip(roc.true_positive.iter().copied());
    let diagonal = || ("none".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)]);
    page.curve(&Curve {
        title: "Receiver operating characteristic".into(),
        x: "share of benign ones that are called malignant".into(),
        y: "share of malignant ones that are called so".into(),
        lines: vec![("network".into(), points.collect()), diagonal()],
    });
    let bins = calibration.bins().into_iter().flatten();
    page.curve(&Curve {
        title: "Calibration".into(),
        x: "probability of malignant that was said".into(),
        y: "share that is malignant".into(),
        lines: vec![
            ("network".into(), bins.map(|bin| (bin.confidence, bin.accuracy)).collect()),
            ("perfect".into(), vec![(0.0, 0.0), (1.0, 1.0)]),
        ],
    });

    page.heading("Why: what each measure adds to the logit of malignant, tumour by tumour");
    page.piece(&summary_plot(columns, attributions, values, 12)?);
    let mut mean: Vec<(f64, &str)> = columns
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let sizes = attributions.iter().map(|row| row[column].abs());
            (sizes.sum::<f64>() / attributions.len() as f64, *name)
        })
        .collect();
    mean.sort_by(|one, other| other.0.total_cmp(&one.0));
    let most: Vec<String> =
        mean.iter().take(5).map(|(size, name)| format!("{name} ({size:.2})")).collect();
    println!("measures that matter most: {}", most.join(", "));
    page.paragraph(
        "Integrated gradients from the mean tumour. A measure that says the same as another one shares its weight with it, \
         and what the network goes by need not be what causes a tumour.",
    );
    page.paragraph(NO_DEVICE);
    let out = std::path::Path::new("out/28-medical");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    println!("wrote {}", out.join("report.html").display());
    println!("{NO_DEVICE}");
    Ok(())
}
