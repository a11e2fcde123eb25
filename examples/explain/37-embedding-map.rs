//! Lays out what a network of digits makes of them in the plane: PCA and t-SNE of pixels and of its last layer.
//!
//! `cargo run --release -p explain-examples --example 37-embedding-map`
//!
//! Prints how true each map is to its neighbourhoods, and what a linear probe reads from pixels and from the
//! layer; writes a page with the maps into `out/37-embedding-map`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use explain_examples::{HIDDEN, trained, unseen};
use gradloom::explain::report::{Page, scatter_plot};
use gradloom::explain::*;
use gradloom::prelude::*;

const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("37-embedding-map.rs"))?;
    let model = trained(&device, tiny)?;
    let (digits, labels) = unseen(&device, if tiny { 120 } else { 1000 })?;
    let forward = Forward::of(&model);
    let hidden = forward.activation(HIDDEN, &Inputs::from(&digits))?;
    let mut page = Page::new("Maps of digits");
    let mut last = 0.0;
    for (name, points) in [("pixels", digits.flatten(1, -1)), ("the hidden layer", hidden)] {
        points.eval()?;
        let points = points.detach();
        let probe = Probe::fit(&points, &labels, 10, 1e-3)?;
        println!("{name}: a probe reads {:.1} %", 100.0 * probe.accuracy(&points, &labels)?);
        let tsne = Tsne { steps: if tiny { 50 } else { 1000 }, ..Tsne::default() };
        let maps =
            [("PCA", Pca::fit(&points, 2)?.project(&points)?), ("t-SNE", tsne.map(&points)?)];
        for (method, map) in maps {
            last = trustworthiness(&points, &map, 12)?;
            println!("{name}, {method}: trustworthiness {last:.4}");
            let numbers = map.to_vec::<f32>()?;
            let places: Vec<[f64; 2]> =
                numbers.chunks(2).map(|at| [f64::from(at[0]), f64::from(at[1])]).collect();
            page.heading(&format!("{method} of {name}, trustworthiness {last:.4}"));
            page.piece(&scatter_plot(&places, &labels, &NAMES)?);
        }
    }
    let out = std::path::Path::new("out/37-embedding-map");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    println!("t-SNE of the hidden layer: {last:.4}; wrote {}", out.display());
    Ok(())
}
