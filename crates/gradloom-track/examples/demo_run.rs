//! Writes a small run with every kind of event into a folder, which `tests/check_tensorboard.py` then compares
//! with what TensorBoard's own reader sees. With an address of an MLflow server, logs there as well.

use std::path::Path;

use gradloom_metrics::ConfusionMatrix;
use gradloom_nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{Activation, Init, Sequential};
use gradloom_tensor::ops::convolution::ConvOptions;
use gradloom_tensor::{DType, Key, Tensor};
use gradloom_track::{
    Curve, EventWriter, JsonLines, Mistake, Picture, Report, Result, Settings, Summary, Tracker,
    summary,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, server) = match &arguments[..] {
        [folder] if !folder.starts_with('-') => (folder, None),
        [folder, server] if !folder.starts_with('-') => (folder, Some(server)),
        _ => {
            println!("demo_run FOLDER [http://HOST:PORT]: writes a run and a report into FOLDER");
            return Ok(());
        }
    };
    let folder = Path::new(folder);
    for (run, rate) in [("first", 0.1), ("second", 0.3)] {
        let mut trackers: Vec<Box<dyn Tracker>> = vec![
            Box::new(EventWriter::new(folder.join(run))?),
            Box::new(JsonLines::append(folder.join(format!("{run}.jsonl")))?),
        ];
        if let Some(server) = server {
            trackers.push(mlflow(server, run)?);
        }
        log(&mut trackers, rate)?;
    }
    std::fs::write(folder.join("report.html"), report()?.html()?)?;
    Ok(())
}

#[cfg(feature = "mlflow")]
fn mlflow(server: &str, run: &str) -> Result<Box<dyn Tracker>> {
    let mut tracker = gradloom_track::Mlflow::start(server, "gradloom demo & test", run)?;
    tracker.artifact("report.html", report()?.html()?.as_bytes())?;
    println!("{} {}", tracker.experiment_id(), tracker.run_id());
    Ok(Box::new(tracker))
}

#[cfg(not(feature = "mlflow"))]
fn mlflow(_server: &str, _run: &str) -> Result<Box<dyn Tracker>> {
    Err(gradloom_track::Error::invalid("demo_run: built without the feature mlflow"))
}

fn log(trackers: &mut dyn Tracker, rate: f64) -> Result<()> {
    let settings: Settings = [
        ("learning_rate".to_owned(), rate.into()),
        ("optimizer".to_owned(), "AdamW".into()),
        ("augment".to_owned(), (rate > 0.2).into()),
        ("warm_up".to_owned(), 0.into()),
    ]
    .into();
    trackers.hyper_parameters(&settings, &["loss/valid"])?;
    trackers.graph(&network())?;
    for step in 0..600 {
        let t = step as f64;
        trackers.scalar("loss/train", step, (-t * rate / 50.0).exp())?;
        if step % 100 == 0 {
            trackers.scalar("loss/valid", step, 0.1 + (-t * rate / 50.0).exp())?;
            let weights: Vec<f32> = (0..1000)
                .map(|i| ((i * 37 % 1000) as f32 / 1000.0 - 0.5) * (1.0 + step as f32))
                .collect();
            trackers.histogram("weights/head", step, &weights)?;
        }
    }
    trackers.scalar("broken", 1, f64::NAN)?;
    trackers.scalar("zero", 0, 0.0)?;
    trackers.image("samples/ramp", 3, &ramp()?)?;
    trackers.text("samples/text", 3, "# Once <upon> a time\n\n    indented & escaped")?;
    trackers.finish(true)
}

/// A small network for pictures, whose layers become a graph.
fn network() -> Summary {
    let device = gradloom_testkit::reference::device();
    let init = &mut Init::new(Key::new(0), &device);
    let body = Sequential::new()
        .with_named("conv", Conv2d::new(1, 4, [3, 3], ConvOptions::default().padding(1), init))
        .with_named("relu", Activation::Relu)
        .with_named("pool", MaxPool2d::new(4));
    let model = Sequential::new()
        .with_named("body", body)
        .with_named("flatten", Flatten)
        .with_named("hidden", Linear::new(4 * 7 * 7, 16, init))
        .with_named("head", Linear::new(16, 10, init));
    summary(&model, &Tensor::zeros([8, 1, 28, 28], DType::F32, &device))
}

fn ramp() -> Result<Picture> {
    let pixel = |at: u32| [(at % 16 * 16) as u8, (at / 16 * 16) as u8, 128];
    Picture::new(16, 16, 3, (0..256).flat_map(pixel).collect())
}

fn report() -> Result<Report> {
    let points = |shift: f64| -> Vec<(f64, f64)> {
        (1..=20).map(|epoch| (f64::from(epoch), shift + 2.0 / f64::from(epoch))).collect()
    };
    let mut confusion = ConfusionMatrix::new(3);
    confusion.update(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 2], &[0, 0, 1, 1, 1, 1, 2, 2, 0, 2])?;
    let mistake = |caption: &str| -> Result<Mistake> {
        Ok(Mistake { picture: Some(ramp()?), caption: caption.to_owned() })
    };
    Ok(Report {
        title: "demo <run> & \"report\"".to_owned(),
        figures: vec![("accuracy".to_owned(), format!("{:.1} %", 100.0 * confusion.accuracy()))],
        curves: vec![
            Curve {
                title: "Loss".to_owned(),
                x: "epoch".to_owned(),
                y: "cross-entropy in nats".to_owned(),
                lines: vec![
                    ("training".to_owned(), points(0.0)),
                    ("validation".to_owned(), points(0.2)),
                ],
            },
            Curve {
                title: "Accuracy".to_owned(),
                x: "epoch".to_owned(),
                y: "share".to_owned(),
                lines: vec![(
                    "validation".to_owned(),
                    points(0.0).into_iter().map(|(x, y)| (x, 1.0 - y / 3.0)).collect(),
                )],
            },
        ],
        confusion: Some(confusion),
        classes: ["cat", "<dog>", "bird"].map(str::to_owned).to_vec(),
        mistakes: vec![
            mistake("is <dog>\nsaid cat, 98.2 % sure")?,
            mistake("is bird\nsaid cat, 77.0 % sure")?,
        ],
        settings: [("learning_rate".to_owned(), 0.1.into())].into(),
        summary: "layer   parameters".to_owned(),
        versions: vec![("gradloom-track".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
    })
}
