//! Says what is on photos by published weights, and where it looked for that.
//!
//! `cargo xtask assets efficientnet-lite0 photos scenes`, then
//! `cargo run --release -p vision-examples --example 20-classify-photo`
//!
//! Prints the five most probable of ImageNet's classes of each photo, and writes a page with the photos, the parts that
//! speak for the class (Grad-CAM) and the pixels that it hangs on (SmoothGrad), and a picture, into
//! `out/20-classify-photo`.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use examples::Failure;
use examples::options::{Arguments, DEVICE, TINY};
use gradloom::data::Image;
use gradloom::explain::report::{HeatMap, Page};
use gradloom::explain::*;
use gradloom::ops::interpolation::Interpolation;
use gradloom::prelude::*;
use gradloom::track::Picture;
use gradloom::vision::*;
use vision_examples::photos::{asset, drawn, read, shown};

const WEIGHTS: (&str, &str) = ("--weights NAME", "efficientnet-lite0 (it) or mobilenet-v2");
const PHOTO: (&str, &str) =
    ("--photo FILE", "a photo of yours, PNG or JPEG (a cat, coffee and a flower)");

/// A network, and what comes before and after it.
struct Network {
    model: Box<dyn Layer>,
    preprocessing: Preprocessing,
    /// The name that its last maps are tapped under.
    maps: &'static str,
    /// Names of the classes.
    classes: Vec<String>,
}

fn main() -> Result<(), Failure> {
    let source = include_str!("20-classify-photo.rs");
    let arguments = Arguments::read(source, &[DEVICE, TINY, WEIGHTS, PHOTO])?;
    let device = arguments.device()?;
    let (tiny, given) = (arguments.tiny(), arguments.text("--photo"));
    let network = match tiny {
        true => small(&device)?,
        false => published(arguments.text("--weights").unwrap_or("efficientnet-lite0"), &device)?,
    };
    let photos = match tiny && given.is_none() {
        true => vec![("a drawn disc".to_owned(), drawn(48)?)],
        false => photos(given)?,
    };
    let mut page = Page::new("What is on the photos");
    let mut first = None;
    for (name, photo) in &photos {
        let picture = network.preprocessing.tensor(std::slice::from_ref(photo), &device)?;
        let logits = network.model.forward(&picture, &mut Context::eval());
        let count = network.classes.len().min(5);
        let (probabilities, classes) = logits.softmax(-1).topk(count, -1, true);
        let classes = classes.to_vec::<i32>()?;
        println!("{name}");
        page.heading(name);
        let mut lines = String::new();
        for (class, p) in classes.iter().zip(probabilities.to_vec::<f32>()?) {
            let line = format!("{:5.1} %  {}", 100.0 * p, network.classes[*class as usize]);
            println!("  {line}");
            lines += &line;
            lines.push('\n');
        }
        page.preformatted(lines.trim_end());
        let class = classes[0] as usize;
        let pictures = network.why(&picture, class, if tiny { 2 } else { 12 })?;
        page.pictures(&pictures)?;
        first = first.or(pictures.into_iter().nth(1));
    }
    let out = Path::new("out/20-classify-photo");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    if let Some((_, picture)) = first {
        std::fs::write(out.join("result.png"), picture.png()?)?;
    }
    println!("wrote {}", out.display());
    Ok(())
}

/// Published weights for ImageNet's classes.
fn published(weights: &str, device: &Device) -> Result<Network, Failure> {
    let classes = imagenet_classes().iter().map(|&name| name.to_owned()).collect();
    Ok(match weights {
        "mobilenet-v2" => {
            let file = asset(weights, "mobilenet_v2-b0353104.pth")?;
            let model = MobileNetV2::from_file(&MobileNetV2Config::new(), file, device)?;
            Network {
                model: Box::new(model),
                preprocessing: Preprocessing::imagenet(256, 224),
                maps: "features.18.output",
                classes,
            }
        }
        "efficientnet-lite0" => {
            let file = asset(weights, "efficientnet-lite0-57934424.pth")?;
            let config = EfficientNetConfig::tensorflow_lite0();
            Network {
                model: Box::new(EfficientNet::from_file(&config, file, device)?),
                preprocessing: Preprocessing::tensorflow_lite0(),
                maps: "features.8.output",
                classes,
            }
        }
        other => {
            return Err(format!("--weights {other}: mobilenet-v2 or efficientnet-lite0").into());
        }
    })
}

/// A network of first values, which knows nothing: all but its answers is as with a published one.
fn small(device: &Device) -> Result<Network, Failure> {
    let config = MobileNetV2Config { width: 0.25, ..MobileNetV2Config::new() }.classes(10);
    let mut model = MobileNetV2::new(&config, &mut Init::new(Key::new(0), device))?;
    commit(&mut model)?;
    Ok(Network {
        model: Box::new(model),
        preprocessing: Preprocessing::imagenet(64, 64),
        maps: "features.18.output",
        classes: (0..10).map(|class| format!("class {class}")).collect(),
    })
}

/// The photo that was asked for, or three.
fn photos(given: Option<&str>) -> Result<Vec<(String, Image)>, Failure> {
    let files = match given {
        Some(path) => vec![PathBuf::from(path)],
        None => vec![
            asset("photos", "chelsea.png")?,
            asset("photos", "coffee.png")?,
            asset("scenes", "flower.jpg")?,
        ],
    };
    let photos = files.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    photos.collect()
}

impl Network {
    /// The picture as the network sees it, and why it is of a class.
    fn why(
        &self,
        picture: &Tensor,
        class: usize,
        samples: usize,
    ) -> Result<Vec<(String, Picture)>, Failure> {
        let forward = Forward::new(|x, ctx| self.model.forward(&x[0], ctx));
        let (inputs, target) = (Inputs::from(picture), Target::Class(class));
        let seen = self.seen(picture)?;
        let size = [seen.height(), seen.width()];
        let cam = GradCam { relu: true, ..GradCam::new(self.maps) };
        let cam = cam.resized(&size, Interpolation::Linear);
        let tunnel = NoiseTunnel::new(Saliency::default(), Key::new(0));
        let saliency = NoiseTunnel { samples, deviations: vec![0.2], ..tunnel };
        let over = picture.index(0, 0);
        let mut pictures = vec![("what the network sees".to_owned(), shown(&seen)?)];
        let name = &self.classes[class];
        let methods: [(String, &dyn Method, f64); 2] = [
            (format!("Grad-CAM: what speaks for {name}"), &cam, 0.6),
            ("SmoothGrad: the pixels that it hangs on".to_owned(), &saliency, 0.9),
        ];
        for (caption, method, opacity) in methods {
            let attribution = method.attribute(&forward, &inputs, &target)?;
            let map = HeatMap { opacity, ..HeatMap::sizes() };
            pictures.push((caption, map.over(&attribution.first().index(0, 0), Some(&over))?));
        }
        Ok(pictures)
    }

    /// Levels of a prepared picture.
    fn seen(&self, picture: &Tensor) -> Result<Image, Failure> {
        let size = [3, picture.size(2), picture.size(3)];
        let Preprocessing { mean, deviation, .. } = self.preprocessing;
        let numbers = picture.to_vec::<f32>()?;
        let plane = size[1] * size[2];
        let levels = numbers.iter().enumerate().map(|(at, number)| {
            let channel = at / plane;
            ((number * deviation[channel] + mean[channel]) * 255.0).round().clamp(0.0, 255.0) as u8
        });
        Ok(Image::new(levels.collect(), size)?)
    }
}
