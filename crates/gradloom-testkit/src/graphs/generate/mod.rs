//! [`Recipe::random`]: the graph of a seed.
//!
//! Values are steered so that results mean something (logarithms of what is positive, no towers of
//! exponentials), corners are not avoided. A call that the interface refuses is left out.

mod maker;
mod elementwise;
mod views;
mod reductions;
mod products;
mod indexing;
mod sequences;
mod structure;
mod scenarios;

use gradloom_tensor::{DType, Device};

use super::dice::Dice;
use super::recipe::Recipe;
use maker::Maker;

/// What graphs are drawn from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Dtypes, each as often as it stands here.
    pub dtypes: Vec<DType>,
    /// Sizes of axes, each as often as it stands here; 0 and large ones come beside them.
    pub sizes: Vec<usize>,
    /// Whether some axes are empty, and some large enough for threads and reductions in parts.
    pub extremes: bool,
    /// Only graphs with gradients.
    pub gradients_only: bool,
    /// Fewest and most calls.
    pub calls: [usize; 2],
}

impl Options {
    /// Everything that a device has.
    pub fn of(device: &Device) -> Options {
        use DType::{BF16, Bool, F16, F32, F64, I32, U8, U32};
        let mut dtypes = vec![F32, F32, F32, F32, F32, F32, BF16, I32, I32, U8, U32, Bool];
        let capabilities = device.capabilities();
        if capabilities.f16 {
            dtypes.extend([F16, F16]);
        }
        if capabilities.f64 {
            dtypes.push(F64);
        }
        Options {
            dtypes,
            sizes: vec![1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 7, 8, 13, 16, 33],
            extremes: true,
            gradients_only: false,
            calls: [2, 14],
        }
    }

    /// Few shapes, so that kernels repeat.
    #[must_use]
    pub fn few_shapes(self) -> Options {
        Options { sizes: vec![1, 3, 4], extremes: false, calls: [2, 7], ..self }
    }
}

impl Recipe {
    /// The graph of a seed.
    pub fn random(seed: u64, options: &Options) -> Recipe {
        let mut maker = Maker::new(Dice::new(seed), options);
        let calls = maker.dice.between(options.calls[0], options.calls[1]);
        let start = maker.calls();
        for _ in 0..3 * calls {
            if maker.calls() >= start + calls {
                break;
            }
            step(&mut maker);
        }
        scenarios::finish(maker)
    }
}

/// One or a few calls of a family.
fn step(maker: &mut Maker<'_>) {
    let families: [(usize, fn(&mut Maker<'_>)); 27] = [
        (14, elementwise::unary),
        (16, elementwise::binary),
        (8, elementwise::scalar),
        (6, elementwise::cast),
        (6, elementwise::choice),
        (4, elementwise::integer),
        (3, elementwise::made),
        (8, views::reshape),
        (8, views::permute),
        (6, views::broadcast),
        (7, views::slice),
        (6, views::pad),
        (4, views::flip),
        (5, views::concat),
        (14, reductions::reduce),
        (3, reductions::arg),
        (3, reductions::scan),
        (8, reductions::rows),
        (3, reductions::loss),
        (9, products::matmul),
        (4, products::convolution),
        (4, products::pooling),
        (5, indexing::gather),
        (3, indexing::sort),
        (3, sequences::attention),
        (3, sequences::write_or_blocks),
        (5, structure::step),
    ];
    let total: usize = families.iter().map(|(weight, _)| weight).sum();
    let mut place = maker.dice.below(total);
    for (weight, family) in families {
        if place < weight {
            return family(maker);
        }
        place -= weight;
    }
}
