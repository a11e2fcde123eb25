//! Sizes of the passes that a prompt is fed in: few, so that prompts of any length replay few plans.

use std::cmp::Reverse;

/// Tokens of a pass. What is missing is filled up with tokens that leave no trace.
const SIZES: [usize; 8] = [1, 8, 16, 32, 64, 128, 256, 512];
/// What a pass costs beside its tokens, in tokens: the weights are read once for all of them.
const PASS_COST: usize = 32;

/// Tokens of the next pass where up to `rest` are left, at least one, and `room` fit, at least as many: the
/// first of those passes that cost least together.
pub(super) fn next_size(rest: usize, room: usize) -> usize {
    let largest = SIZES[SIZES.len() - 1];
    if rest >= largest {
        return largest;
    }
    // For every number of tokens that may be left, what they cost and the size of the first pass.
    let mut cheapest = vec![(0, 0)];
    for left in 1..=rest {
        let room = room - (rest - left);
        let costs = SIZES.iter().filter(|&&size| size <= room);
        let costs =
            costs.map(|&size| (size + PASS_COST + cheapest[left.saturating_sub(size)].0, size));
        // Of equal costs the largest pass comes first.
        cheapest.push(costs.min_by_key(|&(cost, size)| (cost, Reverse(size))).unwrap_or((0, 1)));
    }
    cheapest[rest].1
}

#[cfg(test)]
mod tests {
    use super::{SIZES, next_size};

    /// The sizes of all passes.
    fn passes(tokens: usize, room: usize) -> Vec<usize> {
        let (mut rest, mut room, mut sizes) = (tokens, room, Vec::new());
        while rest > 0 {
            let size = next_size(rest, room);
            assert!(SIZES.contains(&size) && size <= room, "{size} of {room}");
            sizes.push(size);
            room -= size.min(rest);
            rest = rest.saturating_sub(size);
        }
        sizes
    }

    #[test]
    fn prompts_take_few_passes_of_few_sizes() {
        assert_eq!(passes(1, 4096), [1]);
        assert_eq!(passes(5, 4096), [8]);
        assert_eq!(passes(17, 4096), [32]);
        assert_eq!(passes(130, 4096), [128, 8]);
        assert_eq!(passes(1100, 4096), [512, 512, 128]);
        for tokens in 1..2000 {
            let sizes = passes(tokens, 4096);
            let fed: usize = sizes.iter().sum();
            assert!(fed >= tokens && fed < 2 * tokens + 8, "{tokens}: {sizes:?}");
            assert!(sizes.len() <= tokens / 512 + 3, "{tokens}: {sizes:?}");
        }
    }

    #[test]
    fn no_pass_goes_beyond_the_room() {
        for tokens in 1..200 {
            for room in tokens..tokens + 70 {
                let fed: usize = passes(tokens, room).iter().sum();
                assert!(fed >= tokens, "{tokens} in {room}");
            }
        }
        assert_eq!(passes(7, 7), [1; 7]);
        assert_eq!(passes(98, 98), [64, 32, 1, 1]);
    }
}
