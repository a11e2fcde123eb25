//! [`Buckets`]: distances between tokens, sorted into few kinds.

use crate::t5::T5Config;
use gradloom_tensor::{DType, Tensor};

/// Sorts distances into buckets: near ones have their own, farther ones share them ever more.
///
/// The bounds between buckets are found once, with the numbers that the original's formula gives; sorting
/// is then comparison of integers on the device.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// Distances below this have a bucket each.
    own: i32,
    /// The smallest distances of the shared buckets after the first.
    bounds: Vec<i32>,
    /// First bucket of keys after the query, where they count.
    after: Option<i32>,
}

impl Buckets {
    /// Of a checked configuration, for keys on both sides of a query or before it only.
    pub(super) fn new(config: &T5Config, both_sides: bool) -> Self {
        let all = config.relative_attention_num_buckets;
        let count = if both_sides { all / 2 } else { all };
        let own = count / 2;
        let last = config.relative_attention_max_distance as f64 / own as f64;
        let shared = (count - own) as f32;
        // In f32, as the original computes it: a bound may fall on a whole number.
        let bucket = |distance: usize| {
            let ratio = (distance as f32 / own as f32).ln() / last.ln() as f32;
            (ratio * shared) as usize
        };
        let mut bounds = Vec::new();
        let mut distance = own;
        while bounds.len() + 1 < count - own {
            distance += 1;
            while bucket(distance) > bounds.len() && bounds.len() + 1 < count - own {
                bounds.push(distance as i32);
            }
        }
        Buckets { own: own as i32, bounds, after: both_sides.then_some(count as i32) }
    }

    /// The bucket of each distance, key's position minus query's: `i32 [..] -> i32 [..]`.
    ///
    /// Python: `T5Attention._relative_position_bucket`.
    #[track_caller]
    pub fn of(&self, distances: &Tensor) -> Tensor {
        let number = |value: i32| distances.constant_like(i64::from(value));
        let (far, side) = match self.after {
            Some(first) => {
                let after = distances.gt(number(0)).cast(DType::I32);
                (distances.abs(), Some(after * number(first)))
            }
            None => (distances.minimum(number(0)).neg(), None),
        };
        let own = far.minimum(number(self.own));
        let bucket = self
            .bounds
            .iter()
            .fold(own, |bucket, &bound| bucket + far.ge(number(bound)).cast(DType::I32));
        match side {
            Some(side) => bucket + side,
            None => bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_pythons() {
        let device = gradloom_testkit::reference::device();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/t5/expected.safetensors");
        let expected = gradloom_nn::weights::load(path, &device).unwrap();
        let distances: Vec<i32> = (-300..=300).collect();
        let distances = Tensor::from_vec(distances, 601, &device).unwrap();
        for (name, both_sides) in [("buckets.both", true), ("buckets.past", false)] {
            let buckets = Buckets::new(&T5Config::default(), both_sides);
            let expected = expected.get(name).unwrap().to_vec::<i32>().unwrap();
            assert_eq!(buckets.of(&distances).to_vec::<i32>().unwrap(), expected, "{name}");
        }
    }
}
