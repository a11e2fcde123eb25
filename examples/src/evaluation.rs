//! [`Evaluation`]: what measuring a classifier of images found.

use gradloom::metrics::ConfusionMatrix;

/// A sample that the model got wrong.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// The image as the model saw it.
    pub pixels: Vec<f32>,
    /// Its true class.
    pub actual: i32,
    /// What the model said.
    pub predicted: i32,
    /// How sure it was.
    pub confidence: f32,
}

/// What measuring found.
pub struct Evaluation {
    /// Right and wrong by class.
    pub confusion: ConfusionMatrix,
    /// The mistakes, surest first.
    pub mistakes: Vec<Mistake>,
    /// Channels, height, width of an image.
    pub size: [usize; 3],
}
