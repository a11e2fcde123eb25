//! [`Recipe::random`]: the graph of a seed.
//!
//! Values are steered so that results mean something (logarithms of what is positive, no towers of
//! exponentials), corners are not avoided. A call that the interface refuses is left out.

mod options;
mod maker;
mod elementwise;
mod views;
mod reductions;
mod products;
mod windows;
mod pooling;
mod indexing;
mod loops;
mod sequences;
mod structure;
mod custom;
mod scenarios;

use super::dice::Dice;
use super::recipe::Recipe;
use maker::Maker;
pub use options::Options;

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
    let families: [(usize, fn(&mut Maker<'_>)); 31] = [
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
        (4, windows::convolution),
        (3, windows::layers),
        (4, pooling::pooling),
        (3, pooling::layers),
        (5, indexing::gather),
        (3, indexing::sort),
        (3, sequences::attention),
        (3, sequences::write_or_blocks),
        (5, structure::step),
        (4, loops::step),
        (3, custom::woven),
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
