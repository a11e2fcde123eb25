//! Files of `EventWriter`, read back. `check_tensorboard.py` reads them with TensorBoard.

use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::{DType, Key, Tensor};
use gradloom_testkit::reference;
use gradloom_track::event::{Content, Event, Value, read_events};
use gradloom_track::{EventWriter, Picture, Tracker, summary};

fn events(writer: &EventWriter) -> Vec<Event> {
    read_events(&std::fs::read(writer.path()).unwrap()).unwrap()
}

#[test]
fn writers_of_one_folder_have_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("a/run");
    let (first, second) = (EventWriter::new(&run).unwrap(), EventWriter::new(&run).unwrap());
    assert_ne!(first.path(), second.path());
    for writer in [&first, &second] {
        let name = writer.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        let [version] = &events(writer)[..] else { panic!("more than the version") };
        assert_eq!(version.content, Content::FileVersion("brain.Event:2".to_owned()));
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = EventWriter::new(folder.path().join("file")).unwrap_err();
    assert!(error.is_io() && error.to_string().starts_with("event writer: "), "{error}");
}

#[test]
fn every_kind_of_event_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::new(folder.path()).unwrap();
    writer.hyper_parameters(&[("rate".to_owned(), 0.5.into())].into(), &["loss"]).unwrap();
    writer.scalar("loss", 5, f64::NAN).unwrap();
    writer.histogram("weights", 6, &[1.0, f32::NAN, 3.0, f32::INFINITY]).unwrap();
    writer.histogram("nothing", 6, &[f32::NAN]).unwrap();
    let picture = Picture::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap();
    writer.image("picture", 7, &picture).unwrap();
    writer.text("sample", 8, "words").unwrap();
    assert!(writer.scalar("loss", u64::MAX, 1.0).unwrap_err().is_invalid());
    writer.finish(false).unwrap();
    let mut values = Vec::new();
    for event in events(&writer) {
        if let Content::Summary(of_event) = event.content {
            values.extend(of_event.into_iter().map(|(tag, value)| (event.step, tag, value)));
        }
    }
    let tags: Vec<(i64, &str)> =
        values.iter().map(|(step, tag, _)| (*step, tag.as_str())).collect();
    assert_eq!(
        tags,
        [
            (0, "_hparams_/experiment"),
            (0, "_hparams_/session_start_info"),
            (5, "loss"),
            (6, "weights"),
            (7, "picture"),
            (8, "sample/text_summary"),
            (0, "_hparams_/session_end_info")
        ]
    );
    assert!(matches!(values[2].2, Value::Scalar(loss) if loss.is_nan()));
    let Value::Histogram(histogram) = &values[3].2 else { panic!("{:?}", values[3]) };
    assert_eq!(
        (histogram.min, histogram.max, histogram.count, histogram.sum),
        (1.0, 3.0, 2.0, 4.0)
    );
    assert_eq!(
        (histogram.buckets[0], histogram.buckets[29], histogram.limits[29]),
        (1.0, 1.0, 3.0)
    );
    let png = picture.png().unwrap();
    assert_eq!(values[4].2, Value::Image { width: 2, height: 1, channels: 3, png });
    assert_eq!(values[5].2, Value::Text("words".to_owned()));
}

#[test]
fn a_picture_of_another_size_is_refused() {
    for (width, height, channels, len) in [(2, 2, 3, 11), (2, 2, 2, 8), (0, 2, 1, 0)] {
        let error = Picture::new(width, height, channels, vec![0; len]).unwrap_err();
        assert!(error.to_string().starts_with("picture: "), "{error}");
    }
}

/// A layer whose output two others read, one of which runs twice.
#[derive(Module, Clone)]
struct Residual {
    first: Linear,
    body: Vec<Linear>,
    head: Linear,
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.first.forward(x, ctx);
        let y = self.body[0].forward(&x.relu(), ctx);
        let y = self.body[0].forward(&y.detach(), ctx);
        self.head.forward(&(x + y), ctx)
    }
}

#[test]
fn a_graph_has_the_bytes_of_tensorboards_own_classes() {
    let device = reference::device();
    let init = &mut Init::new(Key::new(1), &device);
    let mut linear = |inputs, outputs| Linear::new(inputs, outputs, init);
    let model = Residual { first: linear(3, 4), body: vec![linear(4, 4)], head: linear(4, 2) };
    let summary = summary(&model, &Tensor::zeros([2, 3], DType::F32, &device));
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::new(folder.path()).unwrap();
    let mut trackers: Vec<Box<dyn Tracker>> =
        vec![Box::new(EventWriter::new(folder.path().join("other")).unwrap())];
    trackers.graph(&summary).unwrap();
    writer.graph(&summary).unwrap();
    // `make_events.py` writes the same four layers.
    let golden = include_bytes!("golden.graph").to_vec();
    assert_eq!(events(&writer)[1].content, Content::Graph(golden));
}
