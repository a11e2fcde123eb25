//! [`Report`]: a run on one page that needs nothing else.

use std::fmt::Write;
use std::path::Path;

use gradloom_metrics::ConfusionMatrix;

use crate::chart::Curve;
use crate::html::{self, base_64, escaped};
use crate::{Picture, Result, Settings};

/// A sample that a model got wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// What the sample looks like, if it is a picture.
    pub picture: Option<Picture>,
    /// What it is, what the model said, how sure it was.
    pub caption: String,
}

/// What a report says. Parts that are empty are left out.
///
/// ```
/// use gradloom_track::{Curve, Report};
///
/// # fn main() -> gradloom_track::Result<()> {
/// let loss = Curve {
///     title: "Loss".into(),
///     x: "epoch".into(),
///     y: "cross-entropy in nats".into(),
///     lines: vec![
///         ("training".into(), vec![(1.0, 0.9), (2.0, 0.5)]),
///         ("validation".into(), vec![(1.0, 1.0), (2.0, 0.7)]),
///     ],
/// };
/// let report = Report { title: "digits <1>".into(), curves: vec![loss], ..Report::default() };
/// let page = report.html()?;
/// assert!(page.contains("digits &lt;1&gt;") && page.contains("<svg"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Name of the run.
    pub title: String,
    /// Figures at its end, by name, as they should be read.
    pub figures: Vec<(String, String)>,
    /// Charts.
    pub curves: Vec<Curve>,
    /// What was taken for what.
    pub confusion: Option<ConfusionMatrix>,
    /// Names of the classes; numbers stand for those that are missing.
    pub classes: Vec<String>,
    /// The worst mistakes first.
    pub mistakes: Vec<Mistake>,
    /// Hyper-parameters.
    pub settings: Settings,
    /// The model, as [`Summary`](crate::Summary) prints it.
    pub summary: String,
    /// Versions of programs and devices, by name.
    pub versions: Vec<(String, String)>,
}

const STYLE: &str = "\
.charts{display:flex;flex-wrap:wrap;gap:1em}.charts figure,.mistakes figure{margin:0}
.charts figure{flex:1 1 480px;max-width:640px}.confusion td,.confusion th{text-align:right;min-width:2.2em}
.mistakes{display:flex;flex-wrap:wrap;gap:1em}.mistakes img{width:112px;image-rendering:pixelated;
border:1px solid #ccc}.mistakes figcaption{font-weight:400;font-size:13px;max-width:220px;
white-space:pre-wrap;overflow-wrap:anywhere}";

impl Report {
    /// The page, as one text: styles, charts and pictures are in it, scripts are not.
    ///
    /// # Errors
    /// If a picture cannot be written as PNG.
    pub fn html(&self) -> Result<String> {
        let mut page = String::new();
        pairs(&mut page, "Figures", self.figures.iter().cloned());
        if !self.curves.is_empty() {
            page.push_str("<h2>Curves</h2>\n<div class=\"charts\">\n");
            for curve in &self.curves {
                let (title, svg) = (escaped(&curve.title), curve.svg());
                let _ = writeln!(page, "<figure><figcaption>{title}</figcaption>\n{svg}</figure>");
            }
            page.push_str("</div>\n");
        }
        if let Some(matrix) = self.confusion.as_ref().filter(|matrix| matrix.total() > 0) {
            self.confusion_table(&mut page, matrix);
        }
        if !self.mistakes.is_empty() {
            page.push_str("<h2>Worst mistakes</h2>\n<div class=\"mistakes\">\n");
            for mistake in &self.mistakes {
                page.push_str("<figure>");
                if let Some(picture) = &mistake.picture {
                    let data = base_64(&picture.png()?);
                    let _ = write!(page, "<img alt=\"\" src=\"data:image/png;base64,{data}\">");
                }
                let caption = escaped(&mistake.caption);
                let _ = writeln!(page, "<figcaption>{caption}</figcaption></figure>");
            }
            page.push_str("</div>\n");
        }
        let settings = self.settings.iter();
        pairs(
            &mut page,
            "Settings",
            settings.map(|(name, value)| (name.clone(), value.to_string())),
        );
        if !self.summary.is_empty() {
            let _ = writeln!(page, "<h2>Model</h2>\n<pre>{}</pre>", escaped(&self.summary));
        }
        pairs(&mut page, "Versions", self.versions.iter().cloned());
        Ok(html::page(&self.title, STYLE, &page))
    }

    /// Writes the page into a file, whole or not at all.
    ///
    /// # Errors
    /// As [`html`](Report::html), and if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        gradloom_files::write(path, self.html()?.as_bytes())
            .map_err(|error| error.context("report"))
    }

    /// Cells are as dark as the share of their row.
    fn confusion_table(&self, page: &mut String, matrix: &ConfusionMatrix) {
        let name = |class: usize| match self.classes.get(class) {
            Some(name) => escaped(name),
            None => class.to_string(),
        };
        page.push_str(
            "<h2>Confusion matrix</h2>\n<p>Rows: what it is. Columns: what the model said.</p>\n\
             <table class=\"confusion\">\n<tr><th></th>",
        );
        for class in 0..matrix.classes() {
            let _ = write!(page, "<th>{}</th>", name(class));
        }
        page.push_str("<th>recall</th></tr>\n");
        for actual in 0..matrix.classes() {
            let _ = write!(page, "<tr><th>{}</th>", name(actual));
            let support = matrix.support(actual);
            for predicted in 0..matrix.classes() {
                let count = matrix.count(actual, predicted);
                let share = count as f64 / support.max(1) as f64;
                let colour = if actual == predicted { "0,114,178" } else { "213,94,0" };
                let text = if share > 0.6 { ";color:#fff" } else { "" };
                let _ = write!(
                    page,
                    "<td style=\"background:rgba({colour},{share:.3}){text}\">{count}</td>"
                );
            }
            let recall = 100.0 * matrix.class(actual).recall;
            let _ = writeln!(page, "<td>{recall:.1} %</td></tr>");
        }
        page.push_str("</table>\n");
    }
}

fn pairs(page: &mut String, title: &str, rows: impl Iterator<Item = (String, String)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = writeln!(page, "<h2>{title}</h2>\n<table>");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", escaped(&name), escaped(&value));
    }
    page.push_str("</table>\n");
}
