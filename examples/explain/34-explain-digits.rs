//! Asks a network of digits why, by eight methods, and which of them finds the pixels that matter.
//!
//! `cargo run --release -p explain-examples --example 34-explain-digits`
//!
//! Prints for each method how fast the answer falls as the pixels that it names are taken away, which is the
//! smaller the better; writes a page with heat maps and curves, and a picture, into `out/34-explain-digits`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use explain_examples::{MAPS, attack, trained, trained_against_attacks, unseen};
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
    let said = labels.iter().zip(&answers).map(|(is, said)| format!("{is} read as {said}"));
    let said: Vec<String> = said.collect();
    let mut page = Page::new("Why these digits");
    page.paragraph(&format!("Digits that the network has not seen: {}.", said.join(", ")));

    // Black is what is not there.
    let baseline = Baseline::Value(-0.1307 / 0.3081);
    let question = Question {
        forward: Forward::new(|x, ctx| model.forward(&x[0], ctx).softmax(1)),
        inputs: Inputs::from(&digits),
        target: Target::Classes(labels),
        baseline: baseline.clone(),
    };
    let (mut curves, mut first, mut best) = (Vec::new(), None, ("", f64::INFINITY));
    let samples = if tiny { 60 } else { 600 };
    for (name, method) in methods(&baseline, samples)? {
        let attribution =
            method.attribute(&question.forward, &question.inputs, &question.target)?;
        let (area, curve) = question.deletion(&attribution)?;
        println!("{name:<22} area under the deletion curve {area:.3}");
        if area < best.1 {
            best = (name, area);
        }
        curves.push((name.to_owned(), curve));
        let mut pictures = question.heat_maps(&attribution)?;
        page.heading(name);
        page.pictures(&pictures)?;
        if name == "DeepLIFT" {
            first = Some(pictures.swap_remove(0).1);
        }
    }
    inside(&mut page, &model, &question)?;
    robustness(&mut page, &model, &device, tiny)?;
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

/// What is in the network: the filters of its first layer, what the last maps show of one digit, and how its probability
/// changes with them.
fn inside(page: &mut Page, model: &Sequential, question: &Question) -> Result<()> {
    let one = Inputs::from(question.inputs.features[0].narrow(0, 0, 1));
    let Target::Classes(classes) = &question.target else { return Ok(()) };
    let views = layer_views(&question.forward, &one, &Target::Class(classes[0]))?;
    let state = model.state_dict();
    let filters = state.get("0.weight").map(|weights| weights.index(1, 0));
    let big = HeatMap { scale: 10, ..HeatMap::signed() };
    let mut pictures = Vec::new();
    if let Some(filters) = filters {
        pictures.push(("filters of the first layer".to_owned(), big.sheet(&filters, 4)?));
    }
    let map = HeatMap { scale: 3, ..HeatMap::signed() };
    for view in views.iter().filter(|view| view.name == MAPS) {
        let sheet = |maps: &Tensor| map.sheet(&maps.index(0, 0), 6);
        pictures.push((
            "what the last maps show of the first digit".to_owned(),
            sheet(&view.activation)?,
        ));
        pictures.push(("how the answer changes with them".to_owned(), sheet(&view.gradient)?));
    }
    page.heading("Inside");
    page.pictures(&pictures)
}

/// How many digits are read right before and after they are moved against a network, one that was trained as ever and one
/// that was trained on moved digits; and what each goes by.
fn robustness(
    page: &mut Page,
    plain: &Sequential,
    device: &Device,
    tiny: bool,
) -> Result<(), Failure> {
    let robust = trained_against_attacks(device, tiny)?;
    let (digits, labels) = unseen(device, if tiny { 16 } else { 500 })?;
    let (inputs, classes) = (Inputs::from(&digits), Target::Classes(labels.clone()));
    let first = Inputs::from(digits.narrow(0, 0, 6));
    let target = Target::Classes(labels[..6].to_vec());
    page.heading("Digits that are moved against the network, by at most a tenth of the way from black to white");
    for (name, model) in [("trained as ever", plain), ("trained on moved digits", &robust)] {
        let forward = Forward::of(model);
        let moved = attack(10).perturb(&forward, &inputs, &classes)?.remove(0);
        let right = |x: &Tensor| -> Result<f64> {
            let said = forward.run(std::slice::from_ref(x))?.argmax(1).to_vec::<i32>()?;
            let right = said.iter().zip(&labels).filter(|(said, label)| **said as usize == **label);
            Ok(100.0 * right.count() as f64 / labels.len() as f64)
        };
        let line = format!(
            "{name}: {:.1} % right, {:.1} % of moved digits",
            right(&digits)?,
            right(&moved)?
        );
        println!("{line}");
        page.paragraph(&format!(
            "{line}. Moved digits, and input times gradient of the digits as they are:"
        ));
        let gradients = InputXGradient.attribute(&forward, &first, &target)?;
        let columns = |x: &Tensor| x.narrow(0, 0, 6).squeeze(1);
        let map = HeatMap { scale: 3, ..HeatMap::signed() };
        let moved = map.sheet(&columns(&moved), 6)?;
        let gradients = map.sheet(&columns(gradients.first()), 6)?;
        page.pictures(&[(String::new(), moved), (String::new(), gradients)])?;
    }
    Ok(())
}

type Named = (&'static str, Box<dyn Method>);

/// The methods that are compared.
fn methods(baseline: &Baseline, samples: usize) -> Result<[Named; 8]> {
    let baseline = || baseline.clone();
    let smooth = NoiseTunnel::new(InputXGradient, Key::new(0));
    let cam = GradCam { relu: true, ..GradCam::new(MAPS) };
    let occlusion = Occlusion::new(&[1, 4, 4], &[1, 2, 2]);
    let squares = Features::grid(&[1, 28, 28], [4, 4])?;
    let shap = KernelShap {
        baseline: baseline(),
        features: Some(squares),
        samples,
        ..KernelShap::new(Key::new(0))
    };
    let methods: [Named; 8] = [
        ("saliency", Box::new(Saliency::default())),
        ("input x gradient", Box::new(InputXGradient)),
        ("the same, smoothed", Box::new(NoiseTunnel { deviations: vec![0.3], ..smooth })),
        (
            "integrated gradients",
            Box::new(IntegratedGradients { baseline: baseline(), ..Default::default() }),
        ),
        ("DeepLIFT", Box::new(DeepLift { baseline: baseline(), ..DeepLift::default() })),
        ("Grad-CAM", Box::new(cam.resized(&[28, 28], Interpolation::Linear))),
        ("occlusion", Box::new(Occlusion { baseline: baseline(), ..occlusion })),
        ("KernelSHAP of squares", Box::new(shap)),
    ];
    Ok(methods)
}

/// What is asked about.
struct Question<'q> {
    forward: Forward<'q>,
    inputs: Inputs,
    target: Target,
    baseline: Baseline,
}

impl Question<'_> {
    /// The mean area under the curves of deletion, and the mean curve.
    fn deletion(&self, attribution: &Attribution) -> Result<(f64, Vec<(f64, f64)>)> {
        let curve = removal_curve(
            CurveOrder::Deletion,
            &self.forward,
            &self.inputs,
            &attribution.features,
            &self.target,
            &self.baseline,
            None,
            28,
        )?;
        let count = curve.values.len() as f64;
        let mean = |at: usize| curve.values.iter().map(|row| row[at]).sum::<f64>() / count;
        let points = curve.shares.iter().enumerate().map(|(at, share)| (*share, mean(at)));
        Ok((curve.areas.iter().sum::<f64>() / count, points.collect()))
    }

    /// The attributions of each digit over the digit.
    fn heat_maps(&self, attribution: &Attribution) -> Result<Vec<(String, Picture)>> {
        let digits = &self.inputs.features[0];
        let map = HeatMap { scale: 4, ..HeatMap::signed() };
        let one = |at: usize| -> Result<(String, Picture)> {
            let at = at as isize;
            let own = attribution.first().index(0, at);
            Ok((String::new(), map.over(&own, Some(&digits.index(0, at)))?))
        };
        (0..digits.size(0)).map(one).collect()
    }
}
