//! Pages hold what they are given, as text that is nothing but itself, and need nothing else.

use gradloom_explain::report::{
    ColourMap, HeatMap, Page, coloured_text, dependence_plot, force_plot, matrix_plot,
    scatter_plot, summary_plot, tree_plot,
};
use gradloom_explain::{DecisionTree, PartialDependence, TreeOptions};
use gradloom_tensor::{DType, Key, Tensor};
use gradloom_track::Curve;

/// One of everything.
fn page() -> Page {
    let device = gradloom_cpu::device();
    let mut page = Page::new("All pieces <script>");
    page.heading("Words & weights");
    page.paragraph("5 < 6");
    let tokens = ["a", "<b>", "truly", "great", "film", "not", "boring"];
    let weights = [0.02, 0.0, 0.31, 0.9, 0.12, -0.6, 0.4];
    page.piece(&coloured_text(&tokens, &weights).unwrap());
    page.piece(&force_plot(0.12, &tokens, &weights, 4).unwrap());
    let row = |seed: u64| -> Vec<f64> {
        let row = Tensor::normal(Key::new(seed), 7, 0.0, 1.0, &device).to_vec::<f32>().unwrap();
        row.into_iter().map(f64::from).collect()
    };
    let values: Vec<Vec<f64>> = (0..80).map(row).collect();
    let scaled =
        |row: &Vec<f64>| row.iter().enumerate().map(|(at, x)| x * at as f64 / 6.0).collect();
    let attributions: Vec<Vec<f64>> = values.iter().map(scaled).collect();
    page.piece(&summary_plot(&tokens, &attributions, &values, 5).unwrap());
    let attention: Vec<Vec<f64>> =
        (0..7).map(|at| row(100 + at).iter().map(|x| x.abs()).collect()).collect();
    page.piece(&matrix_plot(&tokens, &tokens, &attention).unwrap());
    let labels: Vec<usize> = values.iter().map(|row| usize::from(row[2] + row[4] > 0.0)).collect();
    let options = TreeOptions { depth_max: 3, ..TreeOptions::default() };
    let tree = DecisionTree::fit(&values, &labels, 2, &options).unwrap();
    page.piece(&tree_plot(&tree, &tokens, &["no", "yes"]));
    page.preformatted(&tree.text(&tokens));
    let bends = |slope: f64| (0..9).map(|at| slope * f64::from(at) + 0.1).collect::<Vec<f64>>();
    let dependence = PartialDependence {
        grid: (0..9).map(|at| f64::from(at) * 250.0).collect(),
        mean: bends(0.05),
        each: [-0.05, 0.0, 0.05, 0.1, 0.15].map(bends).to_vec(),
    };
    page.piece(&dependence_plot("income", "probability", &dependence, 4).unwrap());
    let points: Vec<[f64; 2]> = values.iter().map(|row| [row[2], row[4]]).collect();
    page.piece(&scatter_plot(&points, &labels, &["no", "yes"]).unwrap());
    let lines = vec![("deletion".to_owned(), vec![(0.0, 1.0), (0.5, 0.2), (1.0, 0.1)])];
    page.curve(&Curve { title: "Curve".into(), x: "share".into(), y: "score".into(), lines });
    let map = Tensor::normal(Key::new(3), [3, 12, 12], 0.0, 1.0, &device);
    let picture = HeatMap { scale: 6, ..HeatMap::signed() }.over(&map, Some(&map)).unwrap();
    let sizes = HeatMap { scale: 6, ..HeatMap::sizes() }.over(&map, None).unwrap();
    let sheet = HeatMap { scale: 6, ..HeatMap::signed() }.sheet(&map, 2).unwrap();
    page.pictures(&[("signed".into(), picture), ("sizes".into(), sizes), ("sheet".into(), sheet)])
        .unwrap();
    page
}

#[test]
fn planes_of_a_sheet_are_apart_and_on_one_scale() {
    let device = gradloom_cpu::device();
    let planes = Tensor::new([[[1f32, -1.0]], [[0.5, 0.0]], [[0.0, -0.5]]], &device).unwrap();
    let sheet = HeatMap { percentile: 1.0, ..HeatMap::signed() }.sheet(&planes, 2).unwrap();
    // Two planes of two pixels in the first row, with two pixels between; one plane after two white rows.
    assert_eq!((sheet.width(), sheet.height(), sheet.channels()), (6, 4, 3));
    let pixel = |x: usize, y: usize| &sheet.pixels()[3 * (y * 6 + x)..][..3];
    let [high, low, middle] = [1.0, 0.0, 0.5].map(|at| ColourMap::Coolwarm.colour(at));
    assert_eq!((pixel(0, 0), pixel(1, 0)), (&high[..], &low[..]));
    assert_eq!((pixel(2, 0), pixel(5, 0)), (&[255; 3][..], &middle[..]));
    assert_eq!(pixel(4, 0), ColourMap::Coolwarm.colour(0.75));
    assert_eq!((pixel(0, 1), pixel(0, 3)), (&[255; 3][..], &middle[..]));
    assert_eq!((pixel(1, 3), pixel(4, 3)), (&ColourMap::Coolwarm.colour(0.25)[..], &[255; 3][..]));
    let error = HeatMap::signed().sheet(&planes, 0).unwrap_err().to_string();
    assert!(error.starts_with("heat_map: a sheet of 0 columns"), "{error}");
}

/// Written where `GRADLOOM_EXPLAIN_PAGE` says, to be looked at.
#[test]
fn a_page_of_all_pieces_needs_nothing_else() {
    let html = page().html();
    if let Some(path) = std::env::var_os("GRADLOOM_EXPLAIN_PAGE") {
        std::fs::write(path, &html).unwrap();
    }
    assert!(!html.contains("<script") && !html.contains("<b>"));
    // Without the name of the language and the bytes of pictures, which may spell anything.
    let text = html.replace("http://www.w3.org/2000/svg", "");
    let parts =
        text.split("base64,").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest));
    let text: String = parts.collect();
    assert!(!text.contains("http"), "a page asks for nothing");
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert_eq!(html.matches("<svg").count(), 7);
    // Three of five rows, evenly, and the mean.
    assert_eq!(html.matches("stroke-opacity=\"0.35\"").count(), 3);
    assert_eq!(html.matches("data:image/png;base64,iVBORw0KGgo").count(), 3);
    assert!(html.contains(">great</span>") && html.contains("5 &lt; 6"));
    assert!(!text.contains("NaN") && !text.contains("inf"));
}

#[test]
fn pieces_that_cannot_be_drawn_are_refused() {
    let refused = |found: gradloom_tensor::Result<String>, expected: &str| {
        let message = found.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    };
    refused(coloured_text(&["a"], &[]), "coloured_text: 0 attributions for 1 tokens");
    refused(coloured_text(&["a"], &[f64::NAN]), "coloured_text");
    refused(force_plot(f64::INFINITY, &["a"], &[1.0], 3), "force_plot: inf cannot be drawn");
    refused(summary_plot(&["a"], &[vec![1.0]], &[], 3), "summary_plot: 1 samples");
    refused(matrix_plot(&["a"], &["b"], &[vec![]]), "matrix_plot: 1 rows of numbers");
    refused(scatter_plot(&[[0.0, 1.0]], &[1], &["a"]), "scatter_plot: 1 classes of 1 names");
    let one = PartialDependence { grid: vec![1.0], mean: vec![0.5], each: vec![] };
    refused(dependence_plot("age", "p", &one, 3), "dependence_plot: 1 values of \"age\"");
    let device = gradloom_cpu::device();
    let line = Tensor::zeros([4], DType::F32, &device);
    let error = HeatMap::signed().over(&line, None).unwrap_err().to_string();
    assert!(error.starts_with("heat_map: [4] is no [C, H, W]"), "{error}");
}
