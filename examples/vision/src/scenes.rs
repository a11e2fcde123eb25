//! Scenes of handwritten digits on coloured, noisy ground, with strokes that are no digits: where every pixel's class is
//! known, as nobody had to draw the masks.

use gradloom::data::random::{RandomStream, sample_key};
use gradloom::data::{Dataset, Image, Labelled};
use gradloom::prelude::*;
use gradloom::train::Batches;

/// Height and width of a scene in pixels.
pub const SIDE: usize = 64;
/// What is no digit, and the ten digits.
pub const CLASSES: usize = 11;
/// The class of what is no digit.
pub const GROUND: i32 = 0;

const DIGIT: usize = 28;
const PLANE: usize = SIDE * SIDE;

/// A scene and what its pixels are.
#[derive(Clone, Debug)]
pub struct Scene {
    /// `[3, SIDE, SIDE]`
    pub image: Image,
    /// The class of each pixel, row by row: [`GROUND`], or one more than the digit.
    pub classes: Vec<i32>,
}

/// Makes a scene of two to four digits, of which those in front hide others.
///
/// # Errors
/// If the digits cannot be read.
pub fn scene(digits: &impl Dataset<Item = Labelled<Image>>, key: Key) -> Result<Scene> {
    let random = &mut RandomStream::new(key);
    let ground: [[f32; 3]; 4] = std::array::from_fn(|_| colour(random, 20.0, 140.0));
    let mut pixels = vec![0.0f32; 3 * PLANE];
    for (channel, plane) in pixels.chunks_exact_mut(PLANE).enumerate() {
        for (place, pixel) in plane.iter_mut().enumerate() {
            let (x, y) = ((place % SIDE) as f32 / SIDE as f32, (place / SIDE) as f32 / SIDE as f32);
            let across =
                |from: usize| (1.0 - x) * ground[from][channel] + x * ground[from + 1][channel];
            *pixel = (1.0 - y) * across(0) + y * across(2);
        }
    }
    for _ in 0..3 {
        stroke(&mut pixels, random);
    }
    let mut classes = vec![GROUND; PLANE];
    for _ in 0..2 + random.below(3) {
        let digit = digits.get(random.below(digits.len()))?;
        // Up to a quarter of a digit may lie outside.
        let corner = [0, 1].map(|_| random.below(SIDE - DIGIT / 2) as isize - DIGIT as isize / 4);
        let ink = colour(random, 150.0, 255.0);
        for (place, &level) in digit.input.pixels().iter().enumerate() {
            let row = corner[0] + (place / DIGIT) as isize;
            let column = corner[1] + (place % DIGIT) as isize;
            let inside = |at: isize| (0..SIDE as isize).contains(&at);
            if !inside(row) || !inside(column) {
                continue;
            }
            let at = row as usize * SIDE + column as usize;
            blend(&mut pixels, at, ink, f32::from(level) / 255.0);
            if level >= 128 {
                classes[at] = digit.label + 1;
            }
        }
    }
    let noisy = pixels.iter().map(|pixel| (pixel + 8.0 * random.normal()).clamp(0.0, 255.0) as u8);
    Ok(Scene { image: Image::new(noisy.collect(), [3, SIDE, SIDE])?, classes })
}

fn colour(random: &mut RandomStream, low: f32, high: f32) -> [f32; 3] {
    std::array::from_fn(|_| random.uniform(low, high))
}

fn blend(pixels: &mut [f32], at: usize, colour: [f32; 3], share: f32) {
    for (channel, level) in colour.into_iter().enumerate() {
        let pixel = &mut pixels[channel * PLANE + at];
        *pixel += (level - *pixel) * share;
    }
}

/// A straight line, as bright as digits are.
fn stroke(pixels: &mut [f32], random: &mut RandomStream) {
    let ends: [f32; 4] = std::array::from_fn(|_| random.uniform(0.0, SIDE as f32 - 1.0));
    let ink = colour(random, 100.0, 220.0);
    for step in 0..2 * SIDE {
        let share = step as f32 / (2 * SIDE) as f32;
        let [column, row] = [0, 1].map(|axis| ends[axis] + share * (ends[2 + axis] - ends[axis]));
        blend(pixels, row as usize * SIDE + column as usize, ink, 0.6);
    }
}

/// Scenes as batches of a training run: others in every epoch, or the same ones.
#[derive(Clone, Debug)]
pub struct Scenes<D> {
    /// Digits that occur in them.
    pub digits: D,
    /// What they are drawn by.
    pub key: Key,
    /// Whether every epoch has scenes of its own.
    pub fresh: bool,
    /// Batches of an epoch.
    pub count: usize,
    /// Scenes of a batch.
    pub batch_size: usize,
    /// Where their tensors are.
    pub device: Device,
}

impl<D: Dataset<Item = Labelled<Image>>> Scenes<D> {
    /// The scenes of one batch.
    ///
    /// # Errors
    /// If the digits cannot be read.
    pub fn scenes(&self, epoch: u32, batch: usize) -> Result<Vec<Scene>> {
        let key = self.key.fold(if self.fresh { epoch } else { 0 });
        let first = batch * self.batch_size;
        let keys = (first..first + self.batch_size).map(|index| sample_key(key, index));
        keys.map(|key| scene(&self.digits, key)).collect()
    }
}

/// Scenes as inputs `[N, 3, SIDE, SIDE]` around zero and classes `[N, SIDE, SIDE]`.
///
/// # Errors
/// If the device has no memory left.
pub fn tensors(scenes: &[Scene], device: &Device) -> Result<(Tensor, Tensor)> {
    let bytes = scenes.iter().flat_map(|scene| scene.image.pixels());
    let pixels: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 64.0 - 2.0).collect();
    let classes: Vec<i32> = scenes.iter().flat_map(|scene| &scene.classes).copied().collect();
    let inputs = Tensor::from_vec(pixels, [scenes.len(), 3, SIDE, SIDE], device)?;
    Ok((inputs, Tensor::from_vec(classes, [scenes.len(), SIDE, SIDE], device)?))
}

impl<D: Dataset<Item = Labelled<Image>>> Batches for Scenes<D> {
    type Batch = (Tensor, Tensor);

    fn batch_count(&self) -> Option<usize> {
        Some(self.count)
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.count * self.batch_size)
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>> {
        (first..self.count).map(move |batch| tensors(&self.scenes(epoch, batch)?, &self.device))
    }

    fn order(&self) -> String {
        format!("{} batches of {} scenes, fresh {}", self.count, self.batch_size, self.fresh)
    }
}
