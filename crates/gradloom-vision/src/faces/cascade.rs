//! [`FaceCascade`]: faces and five points of each by three networks, of which each looks closer at what the one
//! before it let through.

use std::path::Path;

use gradloom_data::Image;
use gradloom_nn::{Context, Module};
use gradloom_tensor::{Device, Tensor, eval};

use crate::boxes::nms;
use crate::faces::{FaceDetection, OutputNet, ProposalNet, RefineNet};
use crate::tensorflow::Levels;
use crate::{Error, Pretrained, Result};

/// Windows that the networks look at together.
const BATCH: usize = 512;
/// Side of the first network's windows, and how far they are apart.
const WINDOW: f64 = 12.0;
const STRIDE: f32 = 2.0;

/// How faces are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeOptions {
    /// Side of the smallest face, in pixels.
    pub size_min: f64,
    /// Each picture of the pyramid is so much smaller than the one before.
    pub factor: f64,
    /// Probabilities from which on windows go from each network to the next.
    pub score_min: [f32; 3],
}

impl Default for CascadeOptions {
    fn default() -> Self {
        CascadeOptions { size_min: 20.0, factor: 0.709, score_min: [0.6, 0.7, 0.7] }
    }
}

/// A face and where its eyes, nose and corners of the mouth are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeFace {
    /// Box and probability.
    pub face: FaceDetection,
    /// The left eye, the right one, the nose, the left corner of the mouth, the right one: as they are in the picture,
    /// in pixels.
    pub points: [[f32; 2]; 5],
}

/// A multi-task cascade of convolutional networks (MTCNN).
///
/// Zhang et al., "Joint face detection and alignment using multitask cascaded convolutional networks", 2016.
/// facenet-pytorch: `MTCNN.detect` on an array, with its resizing by means of areas.
///
/// ```no_run
/// use gradloom_data::format::picture::PictureReader;
/// use gradloom_vision::faces::{CascadeOptions, FaceCascade};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let cascade = FaceCascade::from_folder("assets/mtcnn", &device)?; // cargo xtask assets mtcnn
/// let photo = PictureReader::new().read("assets/photos/astronaut.png")?;
/// for found in cascade.detect(&photo, &CascadeOptions::default())? {
///     println!("{:?} {:.3}", found.face.bounds, found.face.score); // [181.1, 62.2, 267.7, 172.1] 1.000
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct FaceCascade {
    /// Looks at all windows of 12 x 12 in pictures of many sizes.
    pub proposals: ProposalNet,
    /// At 24 x 24.
    pub refinement: RefineNet,
    /// At 48 x 48.
    pub output: OutputNet,
}

/// A window on its way through the cascade.
#[derive(Clone, Copy)]
struct Candidate {
    bounds: [f32; 4],
    score: f32,
    /// How the box is to be moved.
    code: [f32; 4],
}

impl Candidate {
    /// Moves each side by its code times the size, which is `more` than the difference of the sides.
    fn moved(mut self, more: f32) -> Self {
        let [left, top, right, bottom] = self.bounds;
        let sizes = [right - left + more, bottom - top + more];
        for (side, code) in self.code.into_iter().enumerate() {
            self.bounds[side] += code * sizes[side % 2];
        }
        self
    }

    /// The square around the same middle.
    fn squared(mut self) -> Self {
        let [left, top, right, bottom] = self.bounds;
        let (width, height) = (right - left, bottom - top);
        let side = width.max(height);
        let (left, top) = (left + width * 0.5 - side * 0.5, top + height * 0.5 - side * 0.5);
        self.bounds = [left, top, left + side, top + side];
        self
    }
}

impl FaceCascade {
    /// Reads `pnet.pt`, `rnet.pt` and `onet.pt` in a folder.
    ///
    /// # Errors
    /// If a file is missing or is none of this network.
    pub fn from_folder(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        Ok(FaceCascade {
            proposals: ProposalNet::from_file(&(), folder.join("pnet.pt"), device)?,
            refinement: RefineNet::from_file(&(), folder.join("rnet.pt"), device)?,
            output: OutputNet::from_file(&(), folder.join("onet.pt"), device)?,
        })
    }

    /// The faces of a picture, best first.
    ///
    /// # Errors
    /// If the options make no sense, the picture has no pixels, or the device fails.
    pub fn detect(&self, image: &Image, options: &CascadeOptions) -> Result<Vec<CascadeFace>> {
        let (size, factor) = (options.size_min, options.factor);
        if !(size.is_finite() && size >= 1.0 && factor > 0.0 && factor < 1.0) {
            let message = format!("face_cascade: faces of {size} pixels, pyramid of {factor}");
            return Err(Error::invalid(message));
        }
        let picture = Levels::of(image)?;
        let [first, second, third] = options.score_min;
        let proposed = self.propose(&picture, options, first)?;
        let refined = self.refine(&picture, &proposed, second)?;
        self.finish(&picture, &refined, third)
    }

    /// Squares around what the first network finds in the pyramid.
    fn propose(
        &self,
        picture: &Levels,
        options: &CascadeOptions,
        score_min: f32,
    ) -> Result<Vec<Candidate>> {
        let [height, width] = picture.size;
        let mut found = Vec::new();
        let mut scale = WINDOW / options.size_min;
        let mut shorter = height.min(width) as f64 * scale;
        while shorter >= WINDOW {
            let size = picture.size.map(|length| (length as f64 * scale + 1.0) as usize);
            let x = area([0, 0], picture.size, picture, size);
            let x = prepared(x, [1, 3, size[0], size[1]], self.device())?;
            let [codes, scores] = self.proposals.propose(&x, &mut Context::eval());
            eval([&codes, &scores])?;
            let (columns, places) = (scores.size(3), scores.size(2) * scores.size(3));
            let [codes, scores] = [codes.to_vec::<f32>()?, scores.to_vec::<f32>()?];
            let mut here = Vec::new();
            for (place, &score) in scores[places..].iter().enumerate() {
                if score >= score_min {
                    let at = [place % columns, place / columns].map(|at| STRIDE * at as f32);
                    let side = |more: f32| at.map(|at| ((at + more) / scale as f32).floor());
                    let ([left, top], [right, bottom]) = (side(1.0), side(WINDOW as f32));
                    let code = std::array::from_fn(|side| codes[side * places + place]);
                    here.push(Candidate { bounds: [left, top, right, bottom], score, code });
                }
            }
            found.extend(suppressed(&here, 0.5)?);
            scale *= options.factor;
            shorter *= options.factor;
        }
        let found = suppressed(&found, 0.7)?;
        Ok(found.into_iter().map(|window| window.moved(0.0).squared()).collect())
    }

    fn refine(
        &self,
        picture: &Levels,
        windows: &[Candidate],
        score_min: f32,
    ) -> Result<Vec<Candidate>> {
        let mut found = Vec::new();
        for (windows, x) in cut(picture, windows, 24, self.device())? {
            let [codes, scores] = self.refinement.refine(&x, &mut Context::eval());
            eval([&codes, &scores])?;
            let [codes, scores] = [codes.to_vec::<f32>()?, scores.to_vec::<f32>()?];
            let rows = windows.iter().zip(codes.as_chunks().0).zip(scores.as_chunks::<2>().0);
            let rows = rows.filter(|(_, [_, score])| *score > score_min);
            found.extend(rows.map(|((window, &code), &[_, score])| Candidate {
                score,
                code,
                ..*window
            }));
        }
        let found = suppressed(&found, 0.7)?;
        Ok(found.into_iter().map(|window| window.moved(1.0).squared()).collect())
    }

    fn finish(
        &self,
        picture: &Levels,
        windows: &[Candidate],
        score_min: f32,
    ) -> Result<Vec<CascadeFace>> {
        let mut found = Vec::new();
        for (windows, x) in cut(picture, windows, 48, self.device())? {
            let [codes, points, scores] = self.output.finish(&x, &mut Context::eval());
            eval([&codes, &points, &scores])?;
            let [codes, points] = [codes.to_vec::<f32>()?, points.to_vec::<f32>()?];
            let scores = scores.to_vec::<f32>()?;
            let rows = windows.iter().zip(codes.as_chunks().0);
            let rows = rows.zip(points.as_chunks::<10>().0).zip(scores.as_chunks::<2>().0);
            for (((window, &code), points), &[_, score]) in rows {
                if score <= score_min || score.is_nan() {
                    continue;
                }
                let [left, top, right, bottom] = window.bounds;
                let place = |part: f32, low: f32, high: f32| (high - low + 1.0) * part + low - 1.0;
                let points = std::array::from_fn(|index| {
                    [place(points[index], left, right), place(points[5 + index], top, bottom)]
                });
                let moved = Candidate { score, code, ..*window }.moved(1.0);
                let face = FaceDetection { bounds: moved.bounds, score };
                found.push(CascadeFace { face, points });
            }
        }
        found.sort_by(|a, b| b.face.score.total_cmp(&a.face.score));
        let mut kept: Vec<CascadeFace> = Vec::new();
        for face in found {
            let bounds = face.face.bounds;
            if kept.iter().all(|other| part_covered(bounds, other.face.bounds) <= 0.7) {
                kept.push(face);
            }
        }
        Ok(kept)
    }

    fn device(&self) -> &Device {
        self.output.device()
    }
}

/// How much of the smaller of two boxes the other covers, where the last pixels belong to them.
fn part_covered(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left + 1.0) * (bottom - top + 1.0);
    let width = (a[2].min(b[2]) - a[0].max(b[0]) + 1.0).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1]) + 1.0).max(0.0);
    width * height / area(a).min(area(b))
}

fn suppressed(windows: &[Candidate], threshold: f64) -> Result<Vec<Candidate>> {
    let (bounds, scores): (Vec<_>, Vec<_>) =
        windows.iter().map(|window| (window.bounds, window.score)).unzip();
    Ok(nms(&bounds, &scores, threshold)?.into_iter().map(|index| windows[index]).collect())
}

/// What is under the windows, in squares of this size, a batch at a time. Windows outside the picture are left out.
fn cut(
    picture: &Levels,
    windows: &[Candidate],
    size: usize,
    device: &Device,
) -> Result<Vec<(Vec<Candidate>, Tensor)>> {
    let [height, width] = picture.size;
    // The first pixel is number one, and the last is inside.
    let inside = |window: &Candidate| {
        let [left, top, right, bottom] = window.bounds.map(f32::trunc);
        let [left, top] = [left, top].map(|side| side.max(1.0) as usize - 1);
        let right = (right.max(0.0) as usize).min(width);
        let bottom = (bottom.max(0.0) as usize).min(height);
        (right > left && bottom > top).then_some(([top, left], [bottom - top, right - left]))
    };
    let inside = |window: &Candidate| Some((*window, inside(window)?));
    let windows: Vec<_> = windows.iter().filter_map(inside).collect();
    let batches = windows.chunks(BATCH).map(|batch| {
        let squares = batch
            .iter()
            .flat_map(|&(_, (corner, sizes))| area(corner, sizes, picture, [size, size]));
        let x = prepared(squares.collect(), [batch.len(), 3, size, size], device)?;
        Ok((batch.iter().map(|&(window, _)| window).collect(), x))
    });
    batches.collect()
}

/// Levels as the networks take them.
fn prepared(mut levels: Vec<f32>, shape: [usize; 4], device: &Device) -> Result<Tensor> {
    levels.iter_mut().for_each(|level| *level = (*level - 127.5) * 0.007_812_5);
    Tensor::from_vec(levels, shape, device)
}

/// The part of a picture from `corner` (y, x) of `from` (height, width) in another size: the mean of all pixels that a
/// new one touches.
///
/// PyTorch: `interpolate(mode="area")`.
fn area(corner: [usize; 2], from: [usize; 2], picture: &Levels, to: [usize; 2]) -> Vec<f32> {
    let spans = [0, 1].map(|axis| {
        let span = |index: usize| {
            let first = index * from[axis] / to[axis];
            let end = ((index + 1) * from[axis]).div_ceil(to[axis]);
            corner[axis] + first..corner[axis] + end
        };
        (0..to[axis]).map(span).collect::<Vec<_>>()
    });
    let [height, width] = picture.size;
    let mut levels = Vec::with_capacity(3 * to[0] * to[1]);
    for channel in 0..3 {
        let plane = &picture.pixels[channel * height * width..];
        for rows in &spans[0] {
            for columns in &spans[1] {
                let sum: f32 = rows
                    .clone()
                    .map(|row| plane[row * width..][columns.clone()].iter().sum::<f32>())
                    .sum();
                levels.push(sum / (rows.len() * columns.len()) as f32);
            }
        }
    }
    levels
}
