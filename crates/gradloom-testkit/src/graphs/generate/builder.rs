//! [`Builder`]: a recipe while it is drawn, with the tensors that it makes so far.

use gradloom_tensor::{DType, Device, Shape, Tensor};

use super::Options;
use crate::graphs::rows::{Row, named};
use crate::graphs::{Fill, Parameters, Rng, Step};
use crate::storage;

/// Results of more elements are not made.
const ELEMENTS_MAX: usize = 20_000;

pub(super) struct Builder {
    pub(super) rng: Rng,
    pub(super) steps: Vec<Step>,
    /// What the steps make, without values.
    pub(super) tensors: Vec<Tensor>,
    /// How large values of each step may be, roughly.
    magnitudes: Vec<f64>,
    device: Device,
    /// The dtype of most floats.
    pub(super) float: DType,
    few_shapes: bool,
}

impl Builder {
    pub(super) fn new(seed: u64, options: &Options) -> Builder {
        let mut rng = Rng::new(seed);
        let float = super::main_dtype(&mut rng, options);
        Builder {
            rng,
            steps: Vec::new(),
            tensors: Vec::new(),
            magnitudes: Vec::new(),
            device: storage::device(),
            float,
            few_shapes: options.few_shapes,
        }
    }

    pub(super) fn shape(&self, at: usize) -> Shape {
        *self.tensors[at].shape()
    }

    pub(super) fn dtype(&self, at: usize) -> DType {
        self.tensors[at].dtype()
    }

    pub(super) fn magnitude(&self, at: usize) -> f64 {
        self.magnitudes[at]
    }

    /// Says how large values of the last step are.
    pub(super) fn magnitude_is(&mut self, magnitude: f64) {
        if let Some(last) = self.magnitudes.last_mut() {
            *last = magnitude;
        }
    }

    /// Adds a call.
    pub(super) fn call(
        &mut self,
        row: &'static Row,
        operands: &[usize],
        parameters: Parameters,
    ) -> usize {
        let step = Step { row, operands: operands.to_vec(), parameters };
        self.tensors.push(step.apply(&self.tensors, &self.device, 0));
        let largest = |largest: f64, &at: &usize| largest.max(self.magnitudes[at]);
        let magnitude = operands.iter().fold(2.0, largest);
        self.magnitudes.push(magnitude);
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Adds a call by the row's name.
    pub(super) fn named(&mut self, name: &str, operands: &[usize], parameters: Parameters) -> usize {
        self.call(named(name), operands, parameters)
    }

    /// Adds a call of which axes are the parameters.
    pub(super) fn along(&mut self, name: &str, operands: &[usize], axes: &[usize]) -> usize {
        let axes = axes.iter().map(|&axis| axis as isize).collect();
        self.named(name, operands, Parameters { axes, ..Parameters::default() })
    }

    /// Adds a call of which sizes are the parameters.
    pub(super) fn sized(&mut self, name: &str, operands: &[usize], sizes: &[usize]) -> usize {
        let sizes = sizes.to_vec();
        self.named(name, operands, Parameters { sizes, ..Parameters::default() })
    }

    /// Adds a leaf.
    pub(super) fn leaf(&mut self, shape: &[usize], dtype: DType, fill: Fill) -> usize {
        let seed = self.rng.bits() >> 40;
        let sizes = shape.to_vec();
        let at =
            self.named("leaf", &[], Parameters { sizes, dtype, fill, seed, ..Parameters::default() });
        self.magnitude_is(match fill {
            Fill::Hundreds => 300.0,
            Fill::Far => 6e4,
            Fill::Ends => 1e9,
            Fill::Small => 9.0,
            Fill::Below(size) => size as f64,
            _ => 2.0,
        });
        at
    }

    /// Adds a leaf whose elements suit its dtype.
    pub(super) fn any_leaf(&mut self, shape: &[usize], dtype: DType) -> usize {
        let drawn = self.rng.below(100);
        let fill = match dtype {
            DType::Bool => Fill::Truth,
            DType::F16 if drawn < 15 => Fill::Hundreds,
            DType::F16 if drawn < 22 => Fill::Far,
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => match drawn {
                0..45 => Fill::Quarters,
                45..85 => Fill::Fine,
                85..95 => Fill::Small,
                _ => Fill::Edges,
            },
            DType::I32 | DType::U32 | DType::U8 if drawn < 40 => Fill::Ends,
            DType::I32 | DType::U32 | DType::U8 => Fill::Small,
        };
        self.leaf(shape, dtype, fill)
    }

    pub(super) fn first_leaf(&mut self) {
        let shape = self.new_shape();
        let dtype = match self.rng.below(100) {
            0..8 => DType::I32,
            8..12 => DType::U32,
            12..20 => DType::U8,
            20..22 => DType::Bool,
            _ => self.float,
        };
        self.any_leaf(&shape, dtype);
    }

    /// A size: mostly small, sometimes one, zero or large.
    pub(super) fn size(&mut self) -> usize {
        if self.few_shapes {
            return *self.rng.choose(&[1, 2, 3, 3]);
        }
        match self.rng.below(100) {
            0..15 => 1,
            15..80 => self.rng.between(2, 5),
            80..84 => 8,
            84..97 => self.rng.between(6, 17),
            97 => 0,
            _ => self.rng.between(18, 70),
        }
    }

    /// A size above zero.
    pub(super) fn some(&mut self) -> usize {
        self.size().max(1)
    }

    /// A shape of a new leaf, rarely with one long axis.
    pub(super) fn new_shape(&mut self) -> Vec<usize> {
        let rank = match self.rng.below(20) {
            0 => 0,
            1..5 => 1,
            5..12 => 2,
            12..17 => 3,
            17..19 => 4,
            _ => 5,
        };
        let mut shape: Vec<usize> = (0..rank).map(|_| self.size()).collect();
        if !self.few_shapes && rank > 0 && self.rng.chance(2) {
            let axis = self.rng.below(rank);
            shape.iter_mut().for_each(|size| *size = (*size).min(3));
            shape[axis] = self.rng.between(900, 4200);
        }
        shape
    }

    /// An earlier step that fits, the later the likelier.
    pub(super) fn pick(&mut self, fits: impl Fn(&Builder, usize) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.steps.len())
            .filter(|&at| !self.tensors[at].is_quantized() && fits(self, at))
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let (first, second) = (self.rng.below(fitting.len()), self.rng.below(fitting.len()));
        Some(fitting[first.max(second)])
    }

    pub(super) fn any_float(&mut self) -> Option<usize> {
        self.pick(|builder, at| builder.dtype(at).is_float())
    }

    pub(super) fn any_number(&mut self) -> Option<usize> {
        self.pick(|builder, at| builder.dtype(at) != DType::Bool)
    }

    /// A step of a rank between bounds and of a float dtype, made from any if there is none.
    pub(super) fn float_of_rank(&mut self, least: usize, most: usize) -> usize {
        let fits = |builder: &Builder, at: usize| {
            builder.dtype(at).is_float() && (least..=most).contains(&builder.shape(at).rank())
        };
        if self.rng.chance(85)
            && let Some(at) = self.pick(fits)
        {
            return at;
        }
        let rank = self.rng.between(least, most);
        let shape: Vec<usize> = (0..rank).map(|_| self.some()).collect();
        let dtype = self.float;
        self.any_leaf(&shape, dtype)
    }

    /// A step of exactly this shape and dtype: an earlier one, a view of one, or a leaf.
    pub(super) fn operand(&mut self, shape: &[usize], dtype: DType) -> usize {
        let fits = |builder: &Builder, at: usize| {
            builder.dtype(at) == dtype && builder.shape(at)[..] == *shape
        };
        if self.rng.chance(60)
            && let Some(at) = self.pick(fits)
        {
            return at;
        }
        let count: usize = shape.iter().product();
        let same_count = |builder: &Builder, at: usize| {
            builder.dtype(at) == dtype && builder.shape(at).count() == count
        };
        if self.rng.chance(50)
            && let Some(at) = self.pick(same_count)
        {
            return self.sized("reshape", &[at], shape);
        }
        self.any_leaf(shape, dtype)
    }

    /// True if a result of so many elements is not too large.
    pub(super) fn fits(&self, count: usize) -> bool {
        count <= ELEMENTS_MAX
    }
}
