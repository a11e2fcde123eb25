//! A report shows what it was given and lets nothing of it be read as HTML.

use gradloom_metrics::ConfusionMatrix;
use gradloom_track::{Curve, Mistake, Picture, Report};

const HOSTILE: &str = "<script>alert(\"1\")</script>&'";

#[test]
fn no_text_becomes_html_and_nothing_is_fetched() {
    let hostile = || HOSTILE.to_owned();
    let line = (hostile(), vec![(1.0, 2.0), (2.0, 1.0)]);
    let mut confusion = ConfusionMatrix::new(2);
    confusion.update(&[0, 1], &[0, 0]).unwrap();
    let picture = Picture::new(2, 1, 1, vec![0, 255]).unwrap();
    let report = Report {
        title: hostile(),
        figures: vec![(hostile(), hostile())],
        curves: vec![Curve { title: hostile(), x: hostile(), y: hostile(), lines: vec![line] }],
        confusion: Some(confusion),
        classes: vec![hostile()],
        mistakes: vec![Mistake { picture: Some(picture), caption: hostile() }],
        settings: [(hostile(), HOSTILE.into())].into(),
        summary: hostile(),
        versions: vec![(hostile(), hostile())],
    };
    let page = report.html().unwrap();
    assert!(!page.contains("<script") && !page.contains("alert(\""), "{page}");
    let escaped = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";
    // Title and heading, figure, chart (label, caption, axes, legend), class twice, caption, setting, model, version.
    assert_eq!(page.matches(escaped).count(), 2 + 2 + 5 + 2 + 1 + 2 + 1 + 2);
    let sources = page.matches("src=").count();
    assert_eq!((sources, page.matches("src=\"data:image/png;base64,iVBORw0KGgo").count()), (1, 1));
    assert!(!page.contains("href") && !page.contains("url("));
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn what_is_not_finite_is_a_gap() {
    let lines = vec![(
        "loss".to_owned(),
        vec![(1.0, 1.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 1.0), (5.0, f64::INFINITY), (6.0, 3.0)],
    )];
    let curve = Curve { title: "t".into(), x: "x".into(), y: "y".into(), lines };
    let page = Report { curves: vec![curve], ..Report::default() }.html().unwrap();
    assert_eq!((page.matches("<polyline").count(), page.matches("<circle").count()), (1, 2));
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn an_empty_report_and_an_empty_curve_are_pages() {
    let curve = Curve { lines: vec![("none".to_owned(), Vec::new())], ..Curve::default() };
    let page = Report { curves: vec![curve], ..Report::default() }.html().unwrap();
    assert!(page.starts_with("<!doctype html>") && !page.contains("NaN"));
    assert!(Report::default().html().unwrap().ends_with("</html>\n"));
}

#[test]
fn a_page_is_saved_whole_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let report = Report { title: "digits".into(), ..Report::default() };
    report.save(&path).unwrap();
    report.save(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report.html().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = report.save(folder.path().join("none/report.html")).unwrap_err();
    assert!(error.is_not_found() && error.to_string().starts_with("report: "), "{error}");
}
