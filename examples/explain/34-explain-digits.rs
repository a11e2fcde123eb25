//! Asks a network of digits why, by eight methods, and which of them finds the pixels that matter.
//!
//! `cargo run --release -p explain-examples --example 34-explain-digits`
//!
//! Prints for each method how fast the answer falls as the pixels that it names are taken away, which is the
//! smaller the better; writes a page with heat maps and curves, and a picture, into `out/34-explain-digits`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use explain_examples::{MAPS, trained, unseen};
use gradloom::explain::report::{HeatMap, Page};
use gradloom::explain::*;
use gradloom::ops::interpolation::Interpolation;
use gradloom::prelude::*;
use gradloom::track::{Curve, Picture};

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("34-explain-digits.rs"))?;
    let model = trained(&device, tiny)?;
    let (digits, labels) = unseen(&device, 8)?;
    let answers = model.forward(&digits, &mut Context::eval()).argmax(1).to_vec::<i32>()?;
    let forward = Forward::new(|x, ctx| model.forward(&x[0], ctx).softmax(1));
    // Black is what is not there.
    let baseline = Baseline::Value(-0.1307 / 0.3081);
    let (inputs, target) = (Inputs::from(&digits), Target::Classes(labels.clone()));
    let squares = Features::grid(&[1, 28, 28], [4, 4])?;

    let integrated = IntegratedGradients { baseline: baseline.clone(), ..Default::default() };
    let smooth =
        NoiseTunnel { deviations: vec![0.3], ..NoiseTunnel::new(InputXGradient, Key::new(0)) };
    let lift = DeepLift { baseline: baseline.clone(), ..DeepLift::default() };
    let cam =
        GradCam { relu: true, ..GradCam::new(MAPS) }.resized(&[28, 28], Interpolation::Linear);
    let occlusion =
        Occlusion { baseline: baseline.clone(), ..Occlusion::new(&[1, 4, 4], &[1, 2, 2]) };
    let shap = KernelShap {
        baseline: baseline.clone(),
        features: Some(squares),
        samples: if tiny { 60 } else { 600 },
        ..KernelShap::new(Key::new(0))
    };
    let methods: [(&str, &dyn Method); 8] = [
        ("saliency", &Saliency::default()),
        ("input x gradient", &InputXGradient),
        ("the same, smoothed", &smooth),
        ("integrated gradients", &integrated),
        ("DeepLIFT", &lift),
        ("Grad-CAM", &cam),
        ("occlusion", &occlusion),
        ("KernelSHAP of squares", &shap),
    ];
    let mut page = Page::new("Why these digits");
    let said: Vec<String> =
        labels.iter().zip(&answers).map(|(is, said)| format!("{is} read as {said}")).collect();
    page.paragraph(&format!("Digits that the network has not seen: {}.", said.join(", ")));
    let mut curves = Vec::new();
    let mut first: Option<Picture> = None;
    let mut best = ("", f64::INFINITY);
    for (name, method) in methods {
        let attribution = method.attribute(&forward, &inputs, &target)?;
        let features = [attribution.first().clone()];
        let order = CurveOrder::Deletion;
        let curve =
            removal_curve(order, &forward, &inputs, &features, &target, &baseline, None, 28)?;
        let area = curve.areas.iter().sum::<f64>() / labels.len() as f64;
        println!("{name:<22} area under the deletion curve {area:.3}");
        if area < best.1 {
            best = (name, area);
        }
        let mean =
            |at: usize| curve.values.iter().map(|row| row[at]).sum::<f64>() / labels.len() as f64;
        let points = curve.shares.iter().enumerate().map(|(at, share)| (*share, mean(at)));
        curves.push((name.to_owned(), points.collect()));
        let mut pictures = Vec::new();
        for (at, digit) in labels.iter().enumerate() {
            let at = at as isize;
            let map = HeatMap { scale: 4, ..HeatMap::signed() };
            let picture = map.over(&features[0].index(0, at), Some(&digits.index(0, at)))?;
            pictures.push((digit.to_string(), picture));
        }
        page.heading(name);
        page.pictures(&pictures)?;
        if name == "DeepLIFT" {
            first = Some(pictures.swap_remove(0).1);
        }
    }
    page.heading("What happens as the pixels that matter most go first");
    page.curve(&Curve {
        title: "Deletion".into(),
        x: "share of pixels that are gone".into(),
        y: "probability of the digit".into(),
        lines: curves,
    });
    let out = std::path::Path::new("out/34-explain-digits");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    if let Some(picture) = first {
        std::fs::write(out.join("result.png"), picture.png()?)?;
    }
    println!("{} names the pixels best: {:.3}", best.0, best.1);
    println!("wrote {}", out.display());
    Ok(())
}
