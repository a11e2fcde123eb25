//! The law of views: a folded chain reads the same elements as the chain done step by step.
use gradloom_plan::View;
use gradloom_tensor::Shape;
use gradloom_tensor::op::{Axes, Permutation};
use proptest::prelude::*;

/// Elements of a tensor as positions in the original buffer; `None` for padding.
#[derive(Clone, Debug)]
struct Listed {
    shape: Shape,
    elements: Vec<Option<usize>>,
}

fn coordinates(shape: &Shape) -> Vec<Vec<usize>> {
    (0..shape.count())
        .map(|mut index| {
            let mut at = vec![0; shape.rank()];
            for axis in (0..shape.rank()).rev() {
                at[axis] = index % shape[axis];
                index /= shape[axis];
            }
            at
        })
        .collect()
}

impl Listed {
    fn at(&self, coordinate: &[usize]) -> Option<usize> {
        let index =
            self.shape.iter().zip(coordinate).fold(0, |index, (&size, &at)| index * size + at);
        self.elements[index]
    }

    fn map(&self, shape: Shape, from: impl Fn(&[usize]) -> Option<Vec<usize>>) -> Listed {
        let elements =
            coordinates(&shape).iter().map(|at| from(at).and_then(|at| self.at(&at))).collect();
        Listed { shape, elements }
    }
}

/// One step drawn from random bytes; `None` if it does not apply.
fn step(
    view: &View,
    listed: &Listed,
    kind: u8,
    a: usize,
    b: usize,
) -> Option<(Option<View>, Listed)> {
    let shape = listed.shape;
    let rank = shape.rank();
    let axis = a % rank;
    Some(match kind % 6 {
        0 => {
            let mut order: Vec<usize> = (0..rank).collect();
            order.rotate_left(b % rank);
            let permutation = Permutation::new(&order);
            let to: Shape = order.iter().map(|&axis| shape[axis]).collect();
            let moved = listed.map(to, |at| {
                let mut from = vec![0; rank];
                for (position, &axis) in order.iter().enumerate() {
                    from[axis] = at[position];
                }
                Some(from)
            });
            (Some(view.permute(&permutation)), moved)
        }
        1 => {
            if shape[axis] < 2 {
                return None;
            }
            let (start, step) = (b % 2, 1 + b % 3);
            let to = shape.with(axis, (shape[axis] - start).div_ceil(step));
            let (mut starts, mut steps) = (vec![0; rank], vec![1; rank]);
            (starts[axis], steps[axis]) = (start, step);
            let moved = listed.map(to, |at| {
                let mut from = at.to_vec();
                from[axis] = start + at[axis] * step;
                Some(from)
            });
            (Some(view.slice(&starts, &steps, to)), moved)
        }
        2 => {
            let (before, after) = (b % 3, b / 3 % 2);
            let to = shape.with(axis, shape[axis] + before + after);
            let mut list = vec![0; rank];
            list[axis] = before;
            let moved = listed.map(to, |at| {
                let mut from = at.to_vec();
                from[axis] = at[axis].checked_sub(before).filter(|&at| at < shape[axis])?;
                Some(from)
            });
            (Some(view.pad(&list, to)), moved)
        }
        3 => {
            let axes: Axes = [axis].into_iter().collect();
            let moved = listed.map(shape, |at| {
                let mut from = at.to_vec();
                from[axis] = shape[axis] - 1 - at[axis];
                Some(from)
            });
            (Some(view.flip(axes)), moved)
        }
        4 => {
            let single = (0..rank).find(|&axis| shape[axis] == 1)?;
            let to = shape.with(single, 2 + b % 2);
            let moved = listed.map(to, |at| {
                let mut from = at.to_vec();
                from[single] = 0;
                Some(from)
            });
            (Some(view.expand(to)), moved)
        }
        _ => {
            let count = shape.count();
            let divisors: Vec<usize> = (1..=count).filter(|d| count.is_multiple_of(*d)).collect();
            let first = divisors[b % divisors.len()];
            let rest = count / first;
            let second = (1..=rest).filter(|d| rest.is_multiple_of(*d)).nth(a % 2).unwrap_or(1);
            let to = Shape::new(&[first, second, rest / second]);
            let moved = Listed { shape: to, elements: listed.elements.clone() };
            (view.reshape(to), moved)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_folded_chain_reads_what_the_steps_read(
        sizes in prop::collection::vec(1usize..5, 1..4),
        steps in prop::collection::vec((any::<u8>(), 0usize..12, 0usize..12), 1..7),
    ) {
        let shape = Shape::new(&sizes);
        let mut view = View::contiguous(shape);
        let mut listed = Listed { shape, elements: (0..shape.count()).map(Some).collect() };
        for (kind, a, b) in steps {
            let Some((next, moved)) = step(&view, &listed, kind, a, b) else { continue };
            prop_assume!(moved.shape.count() <= 4000 && moved.shape.count() > 0);
            // A reshape that strides cannot express ends the chain; the planner stores it.
            let Some(next) = next else { break };
            (view, listed) = (next, moved);
            prop_assert_eq!(view.shape, listed.shape);
            for at in coordinates(&listed.shape) {
                prop_assert_eq!(view.element(&at), listed.at(&at), "at {:?} of {:?}", at, view);
            }
        }
    }
}

#[test]
fn extent_covers_flips_and_padding() {
    let shape = Shape::new(&[2, 3]);
    let view = View::contiguous(shape).flip([1].into_iter().collect());
    assert_eq!(view.extent(), Some((0, 5)));
    let padded = View::contiguous(shape).pad(&[1, 1], Shape::new(&[4, 5]));
    assert_eq!(padded.extent(), Some((0, 5)));
}
