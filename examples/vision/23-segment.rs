//! Learns which pixels of a scene belong to which digit: a small U-Net, masks, and the Dice coefficient of each class.
//!
//! `cargo run --release -p vision-examples --example 23-segment`
//!
//! Scenes are composed of digits that are embedded, so nothing is fetched: handwriting in any colour on coloured ground,
//! some of it hidden, beside strokes that are no digits. The unseen scenes have digits of other writings.
//! Writes `result.png`, with scenes, their masks and those of the network side by side, and a page with curves, the
//! confusion matrix and the worst scenes into `out/23-segment`. Takes five minutes on two cores.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::format::picture::write_png;
use gradloom::data::{Dataset, Image, Labelled, mnist};
use gradloom::metrics::ConfusionMatrix;
use gradloom::prelude::*;
use gradloom::track::{Mistake, Picture, summary};
use gradloom::vision::drawing::draw_mask;
use gradloom::vision::losses::dice_loss;
use gradloom::vision::{Classifier, UNet, UNetConfig};
use vision_examples::scenes::{CLASSES, GROUND, SIDE, Scene, Scenes, tensors};

/// Colours of the digits' masks.
const COLOURS: [[u8; 3]; CLASSES - 1] = [
    [230, 25, 75],
    [60, 180, 75],
    [255, 225, 25],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [70, 240, 240],
    [240, 50, 230],
    [170, 110, 40],
    [128, 128, 0],
];
/// Each pixel becomes a square of so many.
const ENLARGED: usize = 3;
/// Scenes of the picture.
const SHOWN: usize = 6;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "23-segment",
        source: include_str!("23-segment.rs"),
        epochs: 20,
        epoch: "times 50 batches of fresh scenes",
        batch_size: 16,
        data: "",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let (train_digits, test_digits) = mnist::embedded_split()?;
    let key = Key::new(options.seed);
    let batch_size = if options.tiny { 2 } else { options.batch_size };
    let count = |full: usize| if options.tiny { 2 } else { full };
    let scenes = |digits, stream: u32, fresh, full| Scenes {
        digits,
        key: key.fold(stream),
        fresh,
        count: count(full),
        batch_size,
        device: device.clone(),
    };
    let train = scenes(train_digits, 1, true, 50);
    let valid = scenes(test_digits.clone(), 2, false, 4);
    let unseen = scenes(test_digits.clone(), 3, false, 20);

    let width = if options.tiny { 4 } else { 16 };
    let config = UNetConfig { width, ..UNetConfig::new(3, CLASSES) };
    let model = UNet::new(&config, &mut Init::new(key, &device))?;
    println!("{} parameters, on {}", model.parameter_count(), device.name());
    let steps = StepLosses::default();
    let mut trainer = Trainer::new(model, AdamW::new(3e-3), loss)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .key(key.fold(4))
        .schedule_over(|steps| Schedule::one_cycle(3e-3, steps))
        .callback(steps.clone());
    let fit = trainer.fit(&train, &valid)?;

    let (confusion, mut judged) = judge(&trainer.model, &unseen, &device)?;
    let dice = confusion.dice();
    for (class, dice) in dice.iter().enumerate() {
        let dice = dice.map_or("none there".to_owned(), |dice| format!("{dice:.4}"));
        println!("Dice of {:<6} {dice}", name(class));
    }
    let shown = judged.iter().take(SHOWN).collect::<Vec<_>>();
    let picture = side_by_side(&shown, &test_digits)?;
    let file = options.out.join("result.png");
    write_png(&picture, std::fs::File::create(&file)?)?;

    let digits: Vec<f64> = dice[1..].iter().flatten().copied().collect();
    let mean = digits.iter().sum::<f64>() / digits.len().max(1) as f64;
    let mut page = report::page(&options, &fit.history, &steps, &device);
    page.figures = vec![
        ("mean Dice of the digits".into(), format!("{mean:.4}")),
        ("mean IoU of all classes".into(), format!("{:.4}", confusion.mean_iou()?)),
        ("pixels that are right".into(), format!("{:.2} %", 100.0 * confusion.accuracy())),
        ("unseen scenes".into(), judged.len().to_string()),
    ];
    for (class, dice) in dice.iter().enumerate() {
        let dice = dice.map_or("none there".to_owned(), |dice| format!("{dice:.4}"));
        page.figures.push((format!("Dice of {}", name(class)), dice));
    }
    judged.sort_by_key(|scene| std::cmp::Reverse(scene.wrong));
    page.mistakes = judged.iter().take(12).map(mistake).collect::<Result<_>>()?;
    page.summary =
        summary(&trainer.model, &tensors(&[judged[0].scene.clone()], &device)?.0).to_string();
    page.classes = (0..CLASSES).map(name).collect();
    page.confusion = Some(confusion);
    report::save(&options, &trainer.model, &page)?;
    println!("wrote {}", file.display());
    println!("mean Dice of the digits on unseen scenes {mean:.4}");
    Ok(())
}

fn name(class: usize) -> String {
    if class as i32 == GROUND { "ground".into() } else { (class - 1).to_string() }
}

/// Cross-entropy of the pixels and Dice of the masks, half and half: logits `[N, classes, H, W]`.
fn loss(logits: &Tensor, classes: &Tensor) -> Tensor {
    let pixels = logits.permute(&[0, 2, 3, 1]).cross_entropy(classes);
    let masks = classes.one_hot(CLASSES).permute(&[0, 3, 1, 2]);
    pixels + dice_loss(&logits.softmax(1), &masks, 1.0).mean(..)
}

/// A scene and what the network says.
struct Judged {
    scene: Scene,
    said: Vec<i32>,
    /// Pixels that are wrong.
    wrong: usize,
}

fn judge<D: Dataset<Item = Labelled<Image>>>(
    model: &UNet,
    unseen: &Scenes<D>,
    device: &Device,
) -> Result<(ConfusionMatrix, Vec<Judged>)> {
    let mut confusion = ConfusionMatrix::new(CLASSES);
    let mut judged = Vec::new();
    for batch in 0..unseen.count {
        let scenes = unseen.scenes(0, batch)?;
        let (inputs, _) = tensors(&scenes, device)?;
        let said = model.forward(&inputs, &mut Context::eval()).argmax(1).to_vec::<i32>()?;
        for (scene, said) in scenes.into_iter().zip(said.chunks_exact(SIDE * SIDE)) {
            confusion.update(&scene.classes, said)?;
            let wrong = scene.classes.iter().zip(said).filter(|(is, said)| is != said).count();
            judged.push(Judged { scene, said: said.to_vec(), wrong });
        }
    }
    Ok((confusion, judged))
}

/// The scene with a mask for each digit.
fn masked(scene: &Scene, classes: &[i32]) -> Result<Image> {
    let mut image = scene.image.clone();
    // Darker, so that the masks stand out.
    image.pixels_mut().iter_mut().for_each(|pixel| *pixel /= 3);
    for (class, colour) in (1..).zip(COLOURS) {
        let mask: Vec<bool> = classes.iter().map(|&own| own == class).collect();
        draw_mask(&mut image, &mask, colour, 1.0)?;
    }
    Ok(image)
}

fn mistake(judged: &Judged) -> Result<Mistake> {
    let image = beside(&[
        judged.scene.image.clone(),
        masked(&judged.scene, &judged.scene.classes)?,
        masked(&judged.scene, &judged.said)?,
    ])?;
    let [_, height, width] = image.size();
    let plane = height * width;
    let pixels = (0..plane).flat_map(|at| (0..3).map(move |channel| channel * plane + at));
    let pixels = pixels.map(|at| image.pixels()[at]).collect();
    let picture = Some(Picture::new(width as u32, height as u32, 3, pixels)?);
    let caption = format!("{} of {} pixels wrong\nscene, masks, said", judged.wrong, SIDE * SIDE);
    Ok(Mistake { picture, caption })
}

/// Rows of scene, its masks, the network's masks; then the digits in the colours of their masks.
fn side_by_side(
    judged: &[&Judged],
    digits: &impl Dataset<Item = Labelled<Image>>,
) -> Result<Image> {
    let mut rows = vec![];
    for judged in judged {
        let masks = [&judged.scene.classes, &judged.said];
        let [is, said] = masks.map(|classes| masked(&judged.scene, classes));
        rows.push(beside(&[judged.scene.image.clone(), is?, said?])?);
    }
    let mut legend = Vec::new();
    for (digit, colour) in (0..).zip(COLOURS) {
        let of_digit = |index: &usize| digits.get(*index).is_ok_and(|found| found.label == digit);
        let Some(index) = (0..digits.len()).find(of_digit) else { continue };
        let glyph = digits.get(index)?.input;
        let mut image =
            Image::new(vec![0; 3 * glyph.pixels().len()], [3, glyph.height(), glyph.width()])?;
        let mask: Vec<bool> = glyph.pixels().iter().map(|&level| level >= 128).collect();
        draw_mask(&mut image, &mask, colour, 1.0)?;
        legend.push(image);
    }
    // Two lines of five digits below scenes of three pictures.
    for line in legend.chunks(5) {
        rows.push(beside(line)?);
    }
    let width = rows.iter().map(Image::width).max().unwrap_or(0);
    let height = rows.iter().map(|row| row.height() + 2).sum();
    let mut all = Image::new(vec![255; 3 * height * width], [3, height, width])?;
    let mut top = 0;
    for row in &rows {
        paste(&mut all, row, top, 0);
        top += row.height() + 2;
    }
    enlarged(&all)
}

/// Pictures of one height side by side, two pixels apart.
fn beside(images: &[Image]) -> Result<Image> {
    let height = images.iter().map(Image::height).max().unwrap_or(0);
    let width = images.iter().map(|image| image.width() + 2).sum();
    let mut all = Image::new(vec![255; 3 * height * width], [3, height, width])?;
    let mut left = 0;
    for image in images {
        paste(&mut all, image, 0, left);
        left += image.width() + 2;
    }
    Ok(all)
}

fn paste(onto: &mut Image, image: &Image, top: usize, left: usize) {
    let [_, height, width] = onto.size();
    let [_, rows, columns] = image.size();
    for line in 0..3 * rows {
        let start = (line / rows * height + top + line % rows) * width + left;
        let row = &image.pixels()[line * columns..(line + 1) * columns];
        onto.pixels_mut()[start..start + columns].copy_from_slice(row);
    }
}

fn enlarged(image: &Image) -> Result<Image> {
    let [channels, height, width] = image.size();
    let mut pixels = Vec::with_capacity(image.pixels().len() * ENLARGED * ENLARGED);
    for row in image.pixels().chunks_exact(width) {
        let long: Vec<u8> = row.iter().flat_map(|&pixel| [pixel; ENLARGED]).collect();
        for _ in 0..ENLARGED {
            pixels.extend_from_slice(&long);
        }
    }
    Image::new(pixels, [channels, height * ENLARGED, width * ENLARGED])
}
