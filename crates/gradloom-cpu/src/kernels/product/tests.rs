//! Products of every class of sizes, in every layout: against sums in f64, and bit by bit against each other.

use super::*;
use crate::vector::Real;

/// Sizes of every class: small, thin with few and many blocks, panels with whole and partial tiles, more
/// blocks than are added one after another, empty.
const SIZES: [[usize; 3]; 26] = [
    [1, 1, 1],
    [1, 1, 5_000],
    [2, 2, 300],
    [1, 7, 300],
    [3, 5, 700],
    [1, 300, 513],
    [300, 1, 513],
    [3, 300, 1_000],
    [2, 33, 257],
    [33, 2, 256],
    [1, 16, 2_048],
    [1, 64, 4_100],
    [3, 4_000, 40],
    [5, 33, 257],
    [64, 65, 66],
    [13, 100, 700],
    [150, 49, 300],
    [4, 4, 256],
    [4, 4, 257],
    [7, 3, 70_000],
    [1, 2, 140_000],
    [5, 9, 70_000],
    [0, 3, 3],
    [3, 4, 0],
    [5, 0, 3],
    [1, 50, 0],
];

/// A float of either width.
trait Float: Number + Real + From<f32> {
    fn wide(self) -> f64;
}

impl Float for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    fn wide(self) -> f64 {
        self
    }
}

fn numbers<T: Float>(seed: u32, count: usize) -> Vec<T> {
    let numbers = crate::tests::numbers(seed, count);
    // Thirds, so that products are rounded.
    numbers.into_iter().map(|number| T::from(number as f32 / 3.0)).collect()
}

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Columns,
    EverySecond,
    WideRows,
    WideColumns,
    Backwards,
    RowsBackwards,
}

const LAYOUTS: [Layout; 7] = [
    Layout::Rows,
    Layout::Columns,
    Layout::EverySecond,
    Layout::WideRows,
    Layout::WideColumns,
    Layout::Backwards,
    Layout::RowsBackwards,
];

/// A matrix with what it lies in, which is NaN everywhere else.
struct Stored<T> {
    values: Vec<T>,
    offset: isize,
    strides: [isize; 2],
}

impl<T: Float> Stored<T> {
    fn new(values: &[T], [rows, columns]: [usize; 2], layout: Layout) -> Stored<T> {
        let (height, width) = (rows as isize, columns as isize);
        let last = (height * width - 1).max(0);
        let (offset, strides) = match layout {
            Layout::Rows => (0, [width, 1]),
            Layout::Columns => (0, [1, height]),
            Layout::EverySecond => (1, [2 * width, 2]),
            Layout::WideRows => (5, [width + 3, 1]),
            Layout::WideColumns => (5, [1, height + 3]),
            Layout::Backwards => (last, [-width, -1]),
            Layout::RowsBackwards => ((height - 1).max(0) * width, [-width, 1]),
        };
        let nan = T::from(f32::NAN);
        let mut stored = vec![nan; (2 * rows * columns + 3 * rows.max(columns) + 8).max(1)];
        for row in 0..rows {
            for column in 0..columns {
                let at = offset + row as isize * strides[0] + column as isize * strides[1];
                stored[at as usize] = values[row * columns + column];
            }
        }
        Stored { values: stored, offset, strides }
    }

    fn matrix(&self) -> Matrix<'_, T> {
        Matrix { values: &self.values, offset: self.offset, strides: self.strides }
    }
}

fn multiply<T: Float>(
    level: Level,
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) -> Vec<T> {
    // A gap between rows, which stays as it is.
    let (stride, mark) = (n + 3, T::from(7.0));
    let mut out = vec![mark; m * stride];
    T::multiply(level, &mut out, stride, [m, n, k], lhs, rhs);
    let mut result = Vec::new();
    for row in out.chunks(stride) {
        result.extend_from_slice(&row[..n]);
        assert!(row[n..].iter().all(|&gap| gap == mark), "{m} x {n} x {k} writes beside its rows");
    }
    result
}

fn bits<T: Float>(values: &[T]) -> Vec<u64> {
    values.iter().map(|value| value.wide().to_bits()).collect()
}

/// `unit` is half of what the last bit of one is worth; the sums of the test itself have an error, too.
fn every_layout<T: Float>(unit: f64) {
    for (level, size) in
        Level::available().into_iter().flat_map(|level| SIZES.map(|size| (level, size)))
    {
        let [m, n, k] = size;
        let (left, right) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
        let mut first: Option<Vec<u64>> = None;
        for lhs_layout in LAYOUTS {
            for rhs_layout in LAYOUTS {
                let lhs = Stored::new(&left, [m, k], lhs_layout);
                let rhs = Stored::new(&right, [k, n], rhs_layout);
                let found = multiply(level, size, lhs.matrix(), rhs.matrix());
                let name = level.name();
                let Some(first) = &first else {
                    for (index, value) in found.iter().enumerate() {
                        let (row, column) = (index / n, index % n);
                        let terms = (0..k).map(|inner| {
                            left[row * k + inner].wide() * right[inner * n + column].wide()
                        });
                        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| {
                            (sum + term, size + f64::abs(term))
                        });
                        let error = (value.wide() - sum).abs();
                        let bound = (600.0 * unit + k as f64 * 2f64.powi(-53)) * size;
                        assert!(error <= bound, "{name}, {m} x {n} x {k}: off by {error}");
                    }
                    first = Some(bits(&found));
                    continue;
                };
                assert!(
                    *first == bits(&found),
                    "{name}, {m} x {n} x {k}: bits depend on {lhs_layout:?} and {rhs_layout:?}"
                );
            }
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_layout() {
    every_layout::<f32>(2f64.powi(-24));
}

#[test]
fn f64_has_the_same_bits_in_every_layout() {
    every_layout::<f64>(2f64.powi(-53));
}

#[test]
fn rows_and_columns_have_the_same_bits_alone_and_among_others() {
    for level in Level::available() {
        for [m, n, k] in [[40, 50, 700], [3, 64, 300], [9, 9, 9], [4, 30, 1_025], [130, 70, 256]] {
            let (left, right) = (numbers::<f32>(1, m * k), numbers::<f32>(2, k * n));
            let lhs = Stored::new(&left, [m, k], Layout::Rows);
            let rhs = Stored::new(&right, [k, n], Layout::Rows);
            let all = multiply(level, [m, n, k], lhs.matrix(), rhs.matrix());
            for row in [0, m / 2, m - 1] {
                let one = multiply(level, [1, n, k], lhs.matrix().from(row, 0), rhs.matrix());
                assert_eq!(bits(&one), bits(&all[row * n..(row + 1) * n]), "row {row} of {m}");
            }
            for column in [0, n - 1] {
                let one = multiply(level, [m, 1, k], lhs.matrix(), rhs.matrix().from(0, column));
                let own: Vec<f32> = all.iter().skip(column).step_by(n).copied().collect();
                assert_eq!(bits(&one), bits(&own), "column {column} of {n}");
            }
        }
    }
}

#[test]
fn expanded_matrices_are_those_that_are_stored() {
    for level in Level::available() {
        for [m, n, k] in [[1, 40, 300], [40, 1, 300], [3, 70, 520], [20, 30, 40], [2, 2, 3_000]] {
            let values = numbers::<f32>(3, m.max(n).max(k));
            let values = values.as_slice();
            for [left, right] in [[[0, 1], [0, 1]], [[1, 0], [1, 0]], [[0, 0], [0, 0]]] {
                let lhs = Matrix { values, offset: 0, strides: left };
                let rhs = Matrix { values, offset: 0, strides: right };
                let found = multiply(level, [m, n, k], lhs, rhs);
                let stored = |matrix: Matrix<'_, f32>, [rows, columns]: [usize; 2]| {
                    let mut out = vec![0.0; rows * columns];
                    for index in 0..rows * columns {
                        let at = matrix.from(index / columns, index % columns).offset;
                        out[index] = values[at as usize];
                    }
                    Stored::new(&out, [rows, columns], Layout::Rows)
                };
                let (lhs, rhs) = (stored(lhs, [m, k]), stored(rhs, [k, n]));
                let expected = multiply(level, [m, n, k], lhs.matrix(), rhs.matrix());
                assert_eq!(bits(&found), bits(&expected), "{m} x {n} x {k}, {left:?}, {right:?}");
            }
        }
    }
}

/// What fills vectors up is zero, and zero times infinity is NaN.
#[test]
fn what_is_not_finite_stays_in_its_row_and_column() {
    fn check<T: Float>(level: Level, [m, n, k]: [usize; 3], layout: Layout) {
        for bad in [f32::INFINITY, f32::NAN] {
            let (mut left, mut right) = (vec![T::from(0.5); m * k], vec![T::from(0.25); k * n]);
            left[(m - 1) * k + k / 2] = T::from(bad);
            right[(k - 1) * n + n - 1] = T::from(-bad);
            let lhs = Stored::new(&left, [m, k], layout);
            let rhs = Stored::new(&right, [k, n], layout);
            let found = multiply(level, [m, n, k], lhs.matrix(), rhs.matrix());
            for (index, value) in found.iter().enumerate() {
                let (row, column) = (index / n == m - 1, index % n == n - 1);
                let good = match (row, column) {
                    (false, false) => value.wide() == 0.125 * k as f64,
                    _ if bad.is_nan() => value.wide().is_nan(),
                    (true, true) => !value.wide().is_finite(),
                    (true, false) => value.wide() == f64::INFINITY,
                    (false, true) => value.wide() == f64::NEG_INFINITY,
                };
                assert!(good, "{}, {m} x {n} x {k}, {layout:?}: {}", level.name(), value.wide());
            }
        }
    }
    for level in Level::available() {
        for size in [
            [1, 19, 300],
            [19, 1, 300],
            [3, 21, 260],
            [13, 37, 40],
            [5, 9, 513],
            [2, 2, 2_100],
            [7, 65, 70],
        ] {
            for layout in LAYOUTS {
                check::<f32>(level, size, layout);
                check::<f64>(level, size, layout);
            }
        }
    }
}
