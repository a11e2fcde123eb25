//! Writing at indices that are themselves tensors: what stands at a place afterwards is the last of what
//! comes to it, or its sum, product, mean or extreme.
//!
//! Sums are [`Op::ScatterAdd`](crate::op::Op::ScatterAdd). The others sort the index, so that what comes to one place stands side by
//! side, and combine it in as many rounds as the length has bits; the numbers of the winners go to their
//! places, not the values, so that any dtype and every value is moved as it is.

use std::sync::Arc;

use crate::error::OrFail;
use crate::op::{CustomGrad, Op};
use crate::{DType, Shape, Tensor, shape_rules};

use super::elementwise::Operand;

/// How several values at one place are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScatterReduction {
    /// Their sum.
    Sum,
    /// Their product.
    Prod,
    /// Their sum divided by their number; floats only.
    Mean,
    /// The largest; NaN wins.
    Max,
    /// The smallest; NaN wins.
    Min,
}

impl Tensor {
    /// This tensor with updates in place of the elements at an index along `axis`:
    /// `result[.., index[.., i, ..], ..] = updates[.., i, ..]`. Of several updates of one place the last stays,
    /// and it alone gets a gradient. A number stands for updates that are all alike.
    ///
    /// Index and updates may be shorter than this tensor in the other axes, and the updates longer than the
    /// index; only what it names is written. Any dtype. Panics if shapes or dtypes do not fit; an index out of
    /// range fails the evaluation. PyTorch: `torch.scatter`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn example(device: &gradloom_tensor::Device) -> gradloom_tensor::Result<()> {
    /// let index = Tensor::from_vec(vec![2i32, 0], [2], device)?;
    /// let updates = Tensor::from_vec(vec![5f32, 6.0], [2], device)?;
    /// let x = Tensor::zeros([3], DType::F32, device);
    /// assert_eq!(x.scatter(0, &index, &updates).to_vec::<f32>()?, [6.0, 0.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn scatter(&self, axis: isize, index: &Tensor, updates: impl Into<Operand>) -> Tensor {
        const OP: &str = "scatter";
        if self.rank() == 0 && index.rank() < 2 {
            let updates = match updates.into() {
                Operand::Tensor(updates) => Operand::Tensor(updates.atleast_1d()),
                number => number,
            };
            let line = self.atleast_1d().scatter(axis, &index.atleast_1d(), updates);
            return line.reshape_to(Shape::SCALAR);
        }
        match updates.into() {
            Operand::Scalar(number) => {
                let (places, part) = Places::new(OP, self, axis, index, None);
                places.counts(part).gt(0).select(number, self)
            }
            Operand::Tensor(updates) => {
                shape_rules::same_dtype(OP, self.dtype(), updates.dtype()).or_fail();
                let (places, part) = Places::new(OP, self, axis, index, Some(&updates));
                let updates = updates.beginning(&places.index, None);
                places.sorted(&updates).write_last(self, &places, part)
            }
        }
    }

    /// As [`Tensor::scatter`], with what comes to one place combined, and with what stood there if
    /// `include_self`. Places that nothing comes to stay as they are.
    ///
    /// An extreme gives its gradient to all that attain it, in equal shares. Numbers, means of floats only.
    /// Panics if shapes or dtypes do not fit; an index out of range fails the evaluation. PyTorch:
    /// `torch.scatter_reduce`.
    #[track_caller]
    #[must_use]
    pub fn scatter_reduce(
        &self,
        axis: isize,
        index: &Tensor,
        updates: &Tensor,
        reduction: ScatterReduction,
        include_self: bool,
    ) -> Tensor {
        self.scattered("scatter_reduce", axis, index, updates, reduction, include_self)
    }

    #[track_caller]
    pub(super) fn scattered(
        &self,
        op: &'static str,
        axis: isize,
        index: &Tensor,
        updates: &Tensor,
        reduction: ScatterReduction,
        include_self: bool,
    ) -> Tensor {
        let dtype = shape_rules::same_dtype(op, self.dtype(), updates.dtype()).or_fail();
        shape_rules::number(op, dtype).or_fail();
        if self.rank() == 0 && index.rank() < 2 {
            let (index, updates) = (index.atleast_1d(), updates.atleast_1d());
            let line = self.atleast_1d();
            let line = line.scattered(op, axis, &index, &updates, reduction, include_self);
            return line.reshape_to(Shape::SCALAR);
        }
        let (places, part) = Places::new(op, self, axis, index, Some(updates));
        let updates = updates.beginning(&places.index, None);
        if updates.count() == 0 {
            return self.clone();
        }
        match reduction {
            ScatterReduction::Sum | ScatterReduction::Mean => {
                let sum = places.sums(&updates.wide(), part);
                let counts = places.counts(part);
                let there = counts.gt(0);
                let own = self.wide();
                let total = if include_self { own.add(&sum) } else { sum };
                let combined = match reduction {
                    ScatterReduction::Mean => {
                        shape_rules::float(op, dtype).or_fail();
                        let counts = counts.add(i64::from(include_self)).maximum(1);
                        total.div(counts.cast(total.dtype()))
                    }
                    _ => total,
                };
                there.select(combined, own).cast(dtype)
            }
            ScatterReduction::Prod => {
                let groups = places.sorted(&updates.wide());
                let products = groups.combined(places.axis, |a, b| a.mul(b));
                let own = self.wide();
                let products = products.write_last(&own.ones_like(), &places, part);
                let kept = match include_self {
                    true => own.clone(),
                    false => places.counts(part).gt(0).select(own.ones_like(), &own),
                };
                kept.mul(products).cast(dtype)
            }
            ScatterReduction::Max | ScatterReduction::Min => {
                let of: fn(&Tensor, &Tensor) -> Tensor = match reduction {
                    ScatterReduction::Max => |a, b| a.maximum(b),
                    _ => |a, b| a.minimum(b),
                };
                let own = self.detach();
                let groups = places.sorted(&updates.detach()).combined(places.axis, of);
                let extremes = groups.write_last(&own, &places, part);
                let value = if include_self { of(&own, &extremes) } else { extremes };
                shared(&value, self, &updates, &places, part, include_self)
            }
        }
    }
}

/// An extreme with its gradient: equal shares of it to all that attain it.
#[track_caller]
fn shared(
    value: &Tensor,
    own: &Tensor,
    updates: &Tensor,
    places: &Places,
    part: Shape,
    include_self: bool,
) -> Tensor {
    let places = places.clone();
    let rule = move |operands: &[Tensor], value: &Tensor, gradient: &Tensor| {
        let (own, updates, gradient) = (&operands[0], &operands[1], gradient.wide());
        let counts = places.counts(part);
        let there = counts.gt(0);
        let attains = updates.eq(places.taken(value)).cast(gradient.dtype());
        let own_attains = match include_self {
            true => own.eq(value),
            false => there.logical_not(),
        };
        let own_attains = own_attains.cast(gradient.dtype());
        let total = own_attains.add(places.sums(&attains, part));
        let share = gradient.div(total.maximum(1.0));
        let of_updates = attains.mul(places.taken(&share)).cast(updates.dtype());
        vec![Some(own_attains.mul(&share).cast(own.dtype())), Some(of_updates)]
    };
    let op = Op::Custom(CustomGrad::new(Arc::new(rule)));
    let inputs = vec![value.clone(), own.clone(), updates.clone()];
    Tensor::from_op(op, inputs, *value.shape(), value.dtype(), value.device())
}

/// A checked index along an axis of a tensor.
#[derive(Clone)]
struct Places {
    axis: usize,
    /// i32.
    checked: Tensor,
    /// The shape of the index.
    index: Shape,
    /// What of the tensor no index can name, after each axis.
    rest: Vec<(usize, usize)>,
}

impl Places {
    /// And the part of the tensor that the index can name.
    #[track_caller]
    fn new(
        op: &'static str,
        x: &Tensor,
        axis: isize,
        index: &Tensor,
        updates: Option<&Tensor>,
    ) -> (Places, Shape) {
        let axis = x.axis(op, axis);
        let (shape, of) = (*x.shape(), *index.shape());
        let fits = of.rank() == shape.rank()
            && (0..shape.rank()).all(|other| other == axis || of[other] <= shape[other]);
        assert!(
            fits,
            "{op}: an index {of} for {shape}; it may be longer than that along axis {axis} only"
        );
        if let Some(updates) = updates {
            let given = updates.shape();
            let enough =
                given.rank() == of.rank() && given.iter().zip(&of[..]).all(|(a, b)| a >= b);
            assert!(enough, "{op}: updates {given} are fewer than the index {of} names");
        }
        shape_rules::countable(op, &of, axis).or_fail();
        let mut part = shape;
        let mut rest = vec![(0, 0); shape.rank()];
        for other in (0..shape.rank()).filter(|&other| other != axis) {
            part = part.with(other, of[other]);
            rest[other] = (0, shape[other] - of[other]);
        }
        let checked = index.checked_index(shape[axis], op);
        (Places { axis, checked, index: of, rest }, part)
    }

    /// Sums of the updates of each place.
    #[track_caller]
    fn sums(&self, updates: &Tensor, part: Shape) -> Tensor {
        self.checked.scatter_add_checked(self.axis, updates, part).pad(&self.rest)
    }

    /// How many updates each place has, i32.
    #[track_caller]
    fn counts(&self, part: Shape) -> Tensor {
        self.sums(&Tensor::ones(self.index, DType::I32, self.checked.device()), part)
    }

    /// What stands at the place of each update.
    #[track_caller]
    fn taken(&self, x: &Tensor) -> Tensor {
        x.beginning(&self.index, Some(self.axis)).gather_checked(self.axis, &self.checked)
    }

    /// The updates in the order of their places.
    #[track_caller]
    fn sorted(&self, updates: &Tensor) -> Sorted {
        let order = self.checked.argsort(self.axis as isize, false);
        Sorted {
            places: self.checked.gather_checked(self.axis, &order),
            values: updates.gather_checked(self.axis, &order),
        }
    }
}

/// Updates whose places do not fall along an axis.
struct Sorted {
    places: Tensor,
    values: Tensor,
}

impl Sorted {
    /// Each value combined with all of its place before it.
    #[track_caller]
    fn combined(self, axis: usize, of: fn(&Tensor, &Tensor) -> Tensor) -> Sorted {
        let Sorted { places, mut values } = self;
        let (size, axis) = (values.shape()[axis], axis as isize);
        let mut distance = 1;
        while distance < size {
            let after = |x: &Tensor| x.narrow(axis, distance, size - distance);
            let before = |x: &Tensor| x.narrow(axis, 0, size - distance);
            let one_place = after(&places).eq(before(&places));
            let own = after(&values);
            let both = one_place.select(of(&before(&values), &own), &own);
            values = Tensor::concat(&[values.narrow(axis, 0, distance), both], axis);
            distance *= 2;
        }
        Sorted { places, values }
    }

    /// The last value of each place, and that of `other` where there is none.
    #[track_caller]
    fn write_last(self, other: &Tensor, of: &Places, part: Shape) -> Tensor {
        let Sorted { places, values } = self;
        let (axis, size) = (of.axis, of.index[of.axis]);
        if values.count() == 0 {
            return other.clone();
        }
        let signed = axis as isize;
        let mut end = vec![(0, 0); of.rest.len()];
        end[axis] = (0, 1);
        // No place is -1, so the end counts as a last one.
        let next = places.narrow(signed, 1, size - 1).pad_value(&end, -1);
        let number = Tensor::iota(of.index, signed, places.device());
        let counted = number.add(number.constant_like(1));
        let last = places.ne(next).select(&counted, counted.constant_like(0));
        let winners = places.scatter_add_checked(axis, &last, part);
        let there = winners.gt(0);
        let taken = values.gather_checked(axis, &winners.sub(1).maximum(0));
        there.pad(&of.rest).select(taken.pad(&of.rest), other)
    }
}
