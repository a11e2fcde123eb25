//! What a tracker is told of a run.

use gradloom_nn::Sgd;
use gradloom_track::{EventWriter, JsonLines, Tracker, read_json_lines};
use gradloom_train::callbacks::Tracking;
use gradloom_train::metrics::Accuracy;
use serde_json::Value;

use crate::sets::{plain, rows, trainer};

#[test]
fn a_tracker_is_told_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("run.jsonl");
    let trackers: Vec<Box<dyn Tracker>> = vec![
        Box::new(EventWriter::new(folder.path().join("events")).unwrap()),
        Box::new(JsonLines::append(&log).unwrap()),
    ];
    let settings = [("learning_rate".to_owned(), 0.1.into())].into();
    let mut trainer = trainer(plain(), Sgd::new(0.1))
        .epochs(2)
        .metric(Accuracy::new())
        .callback(Tracking::new(trackers).settings(settings).every(2).weights(true));
    let fit = trainer.fit(&rows(23).batch_size(4), &rows(9).batch_size(9)).unwrap();
    drop(trainer);

    let lines = read_json_lines(&log).unwrap();
    let of = |tag: &str| -> Vec<(u64, f64)> {
        let lines = lines.iter().filter(|line| line["tag"] == tag);
        lines.filter_map(|line| Some((line["step"].as_u64()?, line["value"].as_f64()?))).collect()
    };
    assert_eq!(
        of("step/loss").iter().map(|(step, _)| *step).collect::<Vec<u64>>(),
        [2, 4, 6, 8, 10, 12]
    );
    for (tag, name) in [
        ("loss/train", "loss"),
        ("loss/validation", "val_loss"),
        ("accuracy/validation", "val_accuracy"),
    ] {
        let told: Vec<f64> = of(tag).into_iter().map(|(_, value)| value).collect();
        assert_eq!(told, fit.history.curve(name), "{tag}");
    }
    let tags: Vec<&Value> = lines.iter().map(|line| &line["tag"]).collect();
    assert!(tags.iter().any(|tag| *tag == "0.weight"), "{tags:?}");
    let events: Vec<_> = std::fs::read_dir(folder.path().join("events")).unwrap().collect();
    assert_eq!(events.len(), 1);

    let charts = fit.history.charts();
    let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
    assert_eq!(titles, ["loss", "accuracy", "learning rate"]);
    assert_eq!(charts[0].lines.len(), 2);
    assert_eq!(charts[0].lines[0].1[1].0, 2.0);
}
