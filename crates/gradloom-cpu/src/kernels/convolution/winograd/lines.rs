//! The transforms of F(4, 3) along one axis, for the points 0, A, -A, B, -B and infinity.

use crate::vector::Vector;

/// Outputs of a tile along an axis, and inputs.
pub(super) const TILE: usize = 4;
pub(super) const REACH: usize = TILE + 2;
/// Products in the place of each sum.
pub(super) const POINTS: usize = REACH * REACH;
/// Elements of a window.
pub(super) const TAPS: usize = 9;

const A: f32 = 0.75;
const B: f32 = 1.5;
const AA: f32 = A * A;
const BB: f32 = B * B;

/// What the polynomials of a point are divided by; done to weights, which are transformed once.
const AT_ZERO: f32 = 1.0 / (AA * BB);
const AT_A: f32 = 1.0 / (2.0 * AA * (AA - BB));
const AT_B: f32 = 1.0 / (2.0 * BB * (BB - AA));

/// `value * factor`
#[inline(always)]
fn times<V: Vector<Scalar = f32>>(value: V, factor: f32) -> V {
    V::splat(0.0).multiply_add(value, V::splat(factor))
}

/// `value + other * factor`
#[inline(always)]
fn add<V: Vector<Scalar = f32>>(value: V, other: V, factor: f32) -> V {
    value.multiply_add(other, V::splat(factor))
}

/// Six inputs at the six points.
#[inline(always)]
pub(super) fn of_inputs<V: Vector<Scalar = f32>>(d: [V; 6]) -> [V; 6] {
    let even = |square: f32| add(d[4], d[2], -square);
    let odd = |square: f32| add(d[3], d[1], -square);
    let ends = |first: V, middle: V, last: V| add(add(last, middle, -(AA + BB)), first, AA * BB);
    let (even_a, odd_a) = (even(BB), odd(BB));
    let (even_b, odd_b) = (even(AA), odd(AA));
    [
        ends(d[0], d[2], d[4]),
        add(even_a, odd_a, A),
        add(even_a, odd_a, -A),
        add(even_b, odd_b, B),
        add(even_b, odd_b, -B),
        ends(d[1], d[3], d[5]),
    ]
}

/// Three weights at the six points.
#[inline(always)]
pub(super) fn of_weights<V: Vector<Scalar = f32>>(g: [V; 3]) -> [V; 6] {
    let pair = |point: f32, factor: f32| {
        let even = times(add(g[0], g[2], point * point), factor);
        [add(even, g[1], point * factor), add(even, g[1], -point * factor)]
    };
    let ([a, minus_a], [b, minus_b]) = (pair(A, AT_A), pair(B, AT_B));
    [times(g[0], AT_ZERO), a, minus_a, b, minus_b, g[2]]
}

/// Four outputs of the products at the six points.
#[inline(always)]
pub(super) fn to_outputs<V: Vector<Scalar = f32>>(m: [V; 6]) -> [V; 4] {
    let (even_a, odd_a) = (m[1].plus(m[2]), add(m[1], m[2], -1.0));
    let (even_b, odd_b) = (m[3].plus(m[4]), add(m[3], m[4], -1.0));
    [
        m[0].plus(even_a).plus(even_b),
        add(times(odd_a, A), odd_b, B),
        add(times(even_a, AA), even_b, BB),
        add(add(m[5], odd_a, A * AA), odd_b, B * BB),
    ]
}
