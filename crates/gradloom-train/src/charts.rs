//! The figures of a run's epochs as charts of a report.

use gradloom_track::Curve;

use crate::History;

impl History {
    /// A chart for each figure: training and validation over epochs, from 1.
    pub fn charts(&self) -> Vec<Curve> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.records.iter().flat_map(|record| &record.scalars) {
            let name = name.strip_prefix("val_").unwrap_or(name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let line = |name: &str| -> Vec<(f64, f64)> {
            let points = self.records.iter();
            points
                .filter_map(|record| Some((f64::from(record.epoch) + 1.0, record.get(name)?)))
                .collect()
        };
        let chart = |name: &str| {
            let lines = [("training", line(name)), ("validation", line(&format!("val_{name}")))];
            let lines = lines.into_iter().filter(|(_, points)| !points.is_empty());
            Curve {
                title: name.replace('_', " "),
                x: "epoch".into(),
                y: name.replace('_', " "),
                lines: lines.map(|(name, points)| (name.to_owned(), points)).collect(),
            }
        };
        names.into_iter().map(chart).collect()
    }
}
