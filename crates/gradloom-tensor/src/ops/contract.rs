//! Products over any axes: `tensordot`, `einsum`, `inner`, `kron`, distances.

use crate::called::{Called, demand};
use crate::{Shape, Tensor};

impl Tensor {
    /// Sum of products over pairs of axes, which disappear: first the other axes of this tensor, then of the
    /// other. An axis of one element fits any. PyTorch: `tensordot`.
    ///
    /// Panics if axes are out of range or their sizes do not fit.
    #[track_caller]
    #[must_use]
    pub fn tensordot(&self, other: &Tensor, own: &[isize], others: &[isize]) -> Tensor {
        let _called = Called::op("tensordot");
        let op = "tensordot";
        demand!(own.len() == others.len(), "{op}: {} axes and {}", own.len(), others.len());
        let own: Vec<usize> = own.iter().map(|&axis| self.axis(op, axis)).collect();
        let others: Vec<usize> = others.iter().map(|&axis| other.axis(op, axis)).collect();
        let (mut left, mut right) = (self.clone(), other.clone());
        for (&a, &b) in own.iter().zip(&others) {
            match (left.shape()[a], right.shape()[b]) {
                (left, right) if left == right => {}
                (1, _) => right = right.sum_keepdim(b as isize),
                (_, 1) => left = left.sum_keepdim(a as isize),
                (left, right) => {
                    Called::fail(format_args!("{op}: axes of {left} and {right} elements"))
                }
            }
        }
        let free = |x: &Tensor, summed: &[usize]| -> Vec<usize> {
            (0..x.rank()).filter(|axis| !summed.contains(axis)).collect()
        };
        let (kept, kept_others) = (free(&left, &own), free(&right, &others));
        let arrange = |x: &Tensor, first: &[usize], last: &[usize]| {
            let order: Vec<isize> = first.iter().chain(last).map(|&axis| axis as isize).collect();
            let count = |axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).product();
            x.permute(&order).reshape_to(Shape::new(&[count(first), count(last)]))
        };
        let product = arrange(&left, &kept, &own).matmul(&arrange(&right, &others, &kept_others));
        let sizes = kept.iter().map(|&axis| self.shape()[axis]);
        let sizes = sizes.chain(kept_others.iter().map(|&axis| other.shape()[axis]));
        product.reshape_to(sizes.collect::<Shape>())
    }

    /// Sum of products over the last axes; with a tensor of no axes their product. PyTorch: `inner`.
    ///
    /// Panics if the last axes differ.
    #[track_caller]
    #[must_use]
    pub fn inner(&self, other: &Tensor) -> Tensor {
        let _called = Called::op("inner");
        match self.rank() == 0 || other.rank() == 0 {
            true => self.mul(other),
            false => self.tensordot(other, &[-1], &[-1]),
        }
    }

    /// Kronecker product: each element of this tensor times the whole other one. PyTorch: `kron`.
    #[track_caller]
    #[must_use]
    pub fn kron(&self, other: &Tensor) -> Tensor {
        let _called = Called::op("kron");
        let rank = self.rank().max(other.rank());
        let grown = |x: &Tensor| {
            let ones = std::iter::repeat_n(1, rank - x.rank());
            x.reshape_to(ones.chain(x.shape().iter().copied()).collect::<Shape>())
        };
        let (a, b) = (grown(self), grown(other));
        // Axes of both in turns, which then become one by one.
        let spread = |x: &Tensor, own: usize| {
            let sizes =
                x.shape().iter().flat_map(|&size| if own == 0 { [size, 1] } else { [1, size] });
            x.reshape_to(sizes.collect::<Shape>())
        };
        let product = spread(&a, 0).mul(spread(&b, 1));
        let sizes = a.shape().iter().zip(b.shape().iter()).map(|(&a, &b)| a * b);
        product.reshape_to(sizes.collect::<Shape>())
    }

    /// Einstein's sum: products of tensors over the letters that the result lacks, as
    /// `einsum("bij,bjk->bik", ..)`. A letter twice in one operand is its diagonal, `...` are any axes,
    /// which broadcast, and without `->` the result has the letters that occur once, in their order. Operands
    /// are multiplied from the left to the right. PyTorch: `einsum`.
    ///
    /// Panics if the equation does not fit the operands.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// let products = Tensor::einsum("ij,kj->ik", &[x.clone(), x.clone()]);
    /// assert_eq!(products.to_vec::<f32>()?, [14.0, 32.0, 32.0, 77.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn einsum(equation: &str, operands: &[Tensor]) -> Tensor {
        let _called = Called::op("einsum");
        let (lists, result) = parse(equation, operands);
        let mut terms = operands.iter().zip(lists).map(|(x, letters)| diagonals(x, letters));
        let Some(first) = terms.next() else {
            Called::fail(format_args!("einsum: {equation:?} has no operand"))
        };
        let terms: Vec<Term> = terms.collect();
        let mut whole = first;
        for (at, term) in terms.iter().enumerate() {
            let later = terms[at + 1..].iter().flat_map(|term| term.letters.iter());
            let wanted: Vec<char> = later.chain(&result).copied().collect();
            whole = whole.times(term, &wanted);
        }
        whole.arranged(&result)
    }

    /// Distances between all pairs of rows, `[.., P, D]` and `[.., R, D] -> [.., P, R]`: the `power`-th root
    /// of the sum of powers of differences; 0 counts what differs, infinity is the largest difference.
    /// Equal rows have slope 0. PyTorch: `cdist`.
    ///
    /// Panics if shapes do not fit, or `power` is negative.
    #[track_caller]
    #[must_use]
    pub fn cdist(&self, other: &Tensor, power: f64) -> Tensor {
        let _called = Called::op("cdist");
        demand!(power >= 0.0, "cdist: a power of {power}");
        let dtype = self.dtype();
        let difference = self.wide().unsqueeze(-2).sub(other.wide().unsqueeze(-3));
        difference.length(power).cast(dtype)
    }

    /// Distances between all pairs of different rows, `[P, D] -> [P (P - 1) / 2]`: row 0 and 1, 0 and 2, ..,
    /// 1 and 2, .. Distances are those of [`Tensor::cdist`]. PyTorch: `F.pdist`.
    ///
    /// Panics unless it is a matrix of floats, or if `power` is negative.
    #[track_caller]
    #[must_use]
    pub fn pdist(&self, power: f64) -> Tensor {
        self.require_float("pdist");
        demand!(self.rank() == 2, "pdist: needs rows [P, D], got shape {}", self.shape());
        demand!(power >= 0.0, "pdist: a power of {power}");
        let rows = self.shape()[0] as i32;
        let pairs = (0..rows).flat_map(|row| (row + 1..rows).map(move |other| (row, other)));
        let (first, second): (Vec<i32>, Vec<i32>) = pairs.unzip();
        let x = self.wide();
        let difference = x.taken_at("pdist", 0, first).sub(x.taken_at("pdist", 0, second));
        difference.length(power).cast(self.dtype())
    }

    /// The `power`-th root of the sum of powers along the last axis, with slope 0 where it is 0; wide.
    #[track_caller]
    pub(super) fn length(&self, power: f64) -> Tensor {
        let size = self.abs();
        if power == 0.0 {
            let zero = size.constant_like(0.0);
            return size.ne(zero).cast(size.dtype()).sum(-1);
        }
        if power == 1.0 {
            return size.sum(-1);
        }
        if power == f64::INFINITY {
            return if size.size(-1) == 0 { size.sum(-1) } else { size.max(-1) };
        }
        if power == f64::NEG_INFINITY {
            return size.min(-1);
        }
        let powers = if power == 2.0 { self.square() } else { size.root_free_power(power) };
        let sum = powers.sum(-1);
        // The root has no slope at zero; one in its place does not matter there.
        let zero = sum.constant_like(0.0);
        let equal = sum.eq(&zero);
        let safe = equal.select(sum.constant_like(1.0), &sum);
        equal.select(&zero, safe.powf(1.0 / power))
    }

    /// A power of a magnitude, 0 with slope 0 where it is 0.
    #[track_caller]
    fn root_free_power(&self, power: f64) -> Tensor {
        let zero = self.constant_like(0.0);
        let nothing = self.eq(&zero);
        nothing.select(&zero, nothing.select(self.constant_like(1.0), self).powf(power))
    }
}

/// An operand with a letter for each axis.
struct Term {
    x: Tensor,
    letters: Vec<char>,
}

/// The letters of each operand and of the result; the axes of `...` are letters of their own.
#[track_caller]
fn parse(equation: &str, operands: &[Tensor]) -> (Vec<Vec<char>>, Vec<char>) {
    let text: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (inputs, result) = match text.split_once("->") {
        Some((inputs, result)) => (inputs.to_owned(), Some(result.to_owned())),
        None => (text, None),
    };
    let lists: Vec<&str> = inputs.split(',').collect();
    demand!(
        lists.len() == operands.len(),
        "einsum: {equation:?} has {} operands, given are {}",
        lists.len(),
        operands.len()
    );
    let named = |list: &str| {
        let rest = list.replacen("...", "", 1);
        demand!(
            rest.chars().all(|letter| letter.is_ascii_alphabetic()),
            "einsum: {list:?} in {equation:?} is neither letters nor `...`"
        );
        rest.chars().count()
    };
    let more = |(list, x): (&&str, &Tensor)| {
        let count = named(list);
        let any = list.contains("...");
        let fits = if any { x.rank() >= count } else { x.rank() == count };
        demand!(fits, "einsum: {list:?} in {equation:?} does not fit {}", x.shape());
        x.rank() - count
    };
    let widest = lists.iter().zip(operands).map(more).max().unwrap_or(0);
    // Letters that nobody writes, the last of them for the last axis.
    let hidden = |count: usize| (widest - count..widest).map(|at| char::from(at as u8 + 1));
    let spread = |list: &str, count: usize| -> Vec<char> {
        match list.split_once("...") {
            Some((before, after)) => {
                before.chars().chain(hidden(count)).chain(after.chars()).collect()
            }
            None => list.chars().collect(),
        }
    };
    let letters: Vec<Vec<char>> =
        lists.iter().zip(operands).map(|(list, x)| spread(list, x.rank() - named(list))).collect();
    let all: Vec<char> = letters.iter().flatten().copied().collect();
    let result = match result {
        Some(list) => spread(&list, if list.contains("...") { widest } else { 0 }),
        None => {
            let mut once: Vec<char> = all.clone();
            once.retain(|letter| {
                letter.is_ascii_alphabetic()
                    && all.iter().filter(|&other| other == letter).count() == 1
            });
            once.sort_unstable();
            hidden(widest).chain(once).collect()
        }
    };
    for (at, letter) in result.iter().enumerate() {
        demand!(all.contains(letter), "einsum: {letter:?} of {equation:?} is in no operand");
        demand!(!result[..at].contains(letter), "einsum: {letter:?} is twice in {equation:?}");
    }
    (letters, result)
}

/// Axes of one letter become their diagonal.
#[track_caller]
fn diagonals(x: &Tensor, letters: Vec<char>) -> Term {
    let mut term = Term { x: x.clone(), letters };
    while let Some((first, second)) = twice(&term.letters) {
        let (a, b) = (term.x.shape()[first], term.x.shape()[second]);
        demand!(a == b, "einsum: {:?} is an axis of {a} and of {b}", term.letters[first]);
        term.x = term.x.diagonal(0, first as isize, second as isize);
        let letter = term.letters[first];
        term.letters.remove(second);
        term.letters.remove(first);
        term.letters.push(letter);
    }
    term
}

/// Two places of one letter.
fn twice(letters: &[char]) -> Option<(usize, usize)> {
    letters.iter().enumerate().find_map(|(second, letter)| {
        letters[..second].iter().position(|other| other == letter).map(|first| (first, second))
    })
}

impl Term {
    fn size(&self, letter: char) -> Option<usize> {
        self.letters.iter().position(|&own| own == letter).map(|axis| self.x.shape()[axis])
    }

    /// The axes in an order, after a sum over letters that are not in it.
    #[track_caller]
    fn arranged(&self, order: &[char]) -> Tensor {
        let summed = self.summed(order);
        let place = |letter: &char| summed.letters.iter().position(|own| own == letter);
        let places: Vec<isize> =
            order.iter().filter_map(place).map(|place| place as isize).collect();
        summed.x.permute(&places)
    }

    /// Without the letters that nobody wants.
    #[track_caller]
    fn summed(&self, wanted: &[char]) -> Term {
        let (mut axes, mut letters) = (Vec::new(), Vec::new());
        for (axis, &letter) in self.letters.iter().enumerate() {
            match wanted.contains(&letter) {
                true => letters.push(letter),
                false => axes.push(axis as isize),
            }
        }
        let x = if axes.is_empty() { self.x.clone() } else { self.x.sum(&axes[..]) };
        Term { x, letters }
    }

    /// The product as one product of matrices: letters of both that are wanted are its batch, letters of
    /// both that are not are summed.
    #[track_caller]
    fn times(&self, other: &Term, wanted: &[char]) -> Term {
        let needed = |term: &Term, partner: &Term| {
            let letters: Vec<char> = wanted.iter().chain(&partner.letters).copied().collect();
            term.summed(&letters)
        };
        let (left, right) = (needed(self, other), needed(other, self));
        // A size of one broadcasts: it is no axis of the product.
        let (left, right) = (left.squeezed(&right), right.squeezed(&left));
        let of_both = |letter: &&char| right.letters.contains(letter);
        let shared: Vec<char> = left.letters.iter().filter(of_both).copied().collect();
        let (batch, summed): (Vec<char>, Vec<char>) =
            shared.iter().partition(|letter| wanted.contains(letter));
        for &letter in &shared {
            let (a, b) = (left.size(letter), right.size(letter));
            demand!(a == b, "einsum: {letter:?} is an axis of {a:?} and of {b:?}");
        }
        let own = |term: &Term| -> Vec<char> {
            term.letters.iter().filter(|letter| !shared.contains(letter)).copied().collect()
        };
        let (rows, columns) = (own(&left), own(&right));
        let sizes = |term: &Term, letters: &[char]| -> Vec<usize> {
            letters.iter().filter_map(|&letter| term.size(letter)).collect()
        };
        let matrix = |term: &Term, first: &[char], second: &[char]| {
            let order = [&batch[..], first, second].concat();
            let count = |letters: &[char]| sizes(term, letters).iter().product();
            let shape = Shape::new(&[count(&batch), count(first), count(second)]);
            term.arranged(&order).reshape_to(shape)
        };
        let product = matrix(&left, &rows, &summed).matmul(&matrix(&right, &summed, &columns));
        let shape = [sizes(&left, &batch), sizes(&left, &rows), sizes(&right, &columns)].concat();
        let letters = [batch, rows, columns].concat();
        Term { x: product.reshape_to(Shape::new(&shape)), letters }
    }

    /// Without axes of one element that are longer in the other operand.
    #[track_caller]
    fn squeezed(&self, other: &Term) -> Term {
        let mut term = Term { x: self.x.clone(), letters: self.letters.clone() };
        for axis in (0..term.letters.len()).rev() {
            let longer = other.size(term.letters[axis]).is_some_and(|size| size != 1);
            if term.x.shape()[axis] == 1 && longer {
                term.x = term.x.squeeze(axis as isize);
                term.letters.remove(axis);
            }
        }
        term
    }
}
