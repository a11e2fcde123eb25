//! Writing at indices that are themselves tensors: what stands at a place afterwards is the last of what
//! comes to it, or its sum, product, mean or extreme.
//!
//! Sums are [`Op::ScatterAdd`]. The others sort the index, so that what comes to one place stands side by side,
//! and combine it in as many rounds as the length has bits; the numbers of the winners go to their places, not
//! the values, so that any dtype and every value is moved as it is.

use std::sync::Arc;

use crate::called::{Called, demand};
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
        let _called = Called::op(OP);
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
                let places = Places::new(OP, self, axis, index, None);
                self.masked_fill(&places.counts().gt(0), number)
            }
            Operand::Tensor(updates) => {
                shape_rules::same_dtype(OP, self.dtype(), updates.dtype()).or_fail();
                let places = Places::new(OP, self, axis, index, Some(&updates));
                let updates = updates.beginning(&places.index, None);
                places.sorted(&updates).write_last(self)
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
        const OP: &str = "scatter_reduce";
        let _called = Called::op(OP);
        if self.rank() == 0 && index.rank() < 2 {
            let (index, updates) = (index.atleast_1d(), updates.atleast_1d());
            let line = self.atleast_1d();
            let line = line.scatter_reduce(axis, &index, &updates, reduction, include_self);
            return line.reshape_to(Shape::SCALAR);
        }
        let places = Places::new(OP, self, axis, index, Some(updates));
        self.scattered(OP, &places, updates, reduction, include_self)
    }

    #[track_caller]
    pub(super) fn scattered(
        &self,
        op: &'static str,
        places: &Places,
        updates: &Tensor,
        reduction: ScatterReduction,
        include_self: bool,
    ) -> Tensor {
        let dtype = shape_rules::same_dtype(op, self.dtype(), updates.dtype()).or_fail();
        shape_rules::number(op, dtype).or_fail();
        let updates = updates.beginning(&places.index, None);
        if updates.count() == 0 {
            return self.clone();
        }
        match reduction {
            ScatterReduction::Sum | ScatterReduction::Mean => {
                let sum = places.sums(&updates.wide());
                let counts = places.counts();
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
                let products = groups.combined(|a, b| a.mul(b));
                let own = self.wide();
                let products = products.write_last(&own.ones_like());
                let kept = match include_self {
                    true => own.clone(),
                    false => places.counts().gt(0).select(own.ones_like(), &own),
                };
                kept.mul(products).cast(dtype)
            }
            ScatterReduction::Max | ScatterReduction::Min => {
                let of: fn(&Tensor, &Tensor) -> Tensor = match reduction {
                    ScatterReduction::Max => |a, b| a.maximum(b),
                    _ => |a, b| a.minimum(b),
                };
                let own = self.detach();
                let groups = places.sorted(&updates.detach()).combined(of);
                let extremes = groups.write_last(&own);
                let value = if include_self { of(&own, &extremes) } else { extremes };
                shared(&value, self, &updates, places, include_self)
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
    include_self: bool,
) -> Tensor {
    let places = places.clone();
    let rule = move |operands: &[Tensor], value: &Tensor, gradient: &Tensor| {
        let (own, updates, gradient) = (&operands[0], &operands[1], gradient.wide());
        let counts = places.counts();
        let there = counts.gt(0);
        let attains = updates.eq(places.taken(value)).cast(gradient.dtype());
        let own_attains = match include_self {
            true => own.eq(value),
            false => there.logical_not(),
        };
        let own_attains = own_attains.cast(gradient.dtype());
        let total = own_attains.add(places.sums(&attains));
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
pub(super) struct Places {
    axis: usize,
    /// i32; one axis where all lines along the axis have one index, so that it is sorted once.
    checked: Tensor,
    /// The shape of the index of each element.
    index: Shape,
    /// The part of the tensor that the index can name.
    part: Shape,
    /// What of the tensor it cannot name, after each axis.
    rest: Vec<(usize, usize)>,
    /// Whether all lines have one index.
    alike: bool,
}

impl Places {
    #[track_caller]
    fn new(
        op: &'static str,
        x: &Tensor,
        axis: isize,
        index: &Tensor,
        updates: Option<&Tensor>,
    ) -> Places {
        let axis = x.axis(op, axis);
        let (shape, of) = (*x.shape(), *index.shape());
        let fits = of.rank() == shape.rank()
            && (0..shape.rank()).all(|other| other == axis || of[other] <= shape[other]);
        demand!(
            fits,
            "{op}: an index {of} for {shape}; it may be longer than that along axis {axis} only"
        );
        if let Some(updates) = updates {
            let given = updates.shape();
            let enough =
                given.rank() == of.rank() && given.iter().zip(&of[..]).all(|(a, b)| a >= b);
            demand!(enough, "{op}: updates {given} are fewer than the index {of} names");
        }
        shape_rules::countable(op, &of, axis).or_fail();
        let mut part = shape;
        let mut rest = vec![(0, 0); shape.rank()];
        for other in (0..shape.rank()).filter(|&other| other != axis) {
            part = part.with(other, of[other]);
            rest[other] = (0, shape[other] - of[other]);
        }
        let checked = index.checked_index(shape[axis], op);
        Places { axis, checked, index: of, part, rest, alike: false }
    }

    /// An index of one axis for all lines of a tensor along an axis, which the caller has checked.
    #[track_caller]
    pub(super) fn of_lines(op: &'static str, x: &Tensor, axis: usize, index: &Tensor) -> Places {
        shape_rules::countable(op, index.shape(), 0).or_fail();
        let part = *x.shape();
        Places {
            axis,
            checked: index.checked_index(part[axis], op),
            index: part.with(axis, index.count()),
            part,
            rest: vec![(0, 0); part.rank()],
            alike: true,
        }
    }

    /// What stands for each place of an axis, or of all lines alike, for each element of a shape.
    #[track_caller]
    fn spread(&self, x: &Tensor, shape: Shape) -> Tensor {
        if !self.alike {
            return x.clone();
        }
        let mut aligned = vec![1; shape.rank()];
        aligned[self.axis] = x.count();
        x.reshape_to(Shape::new(&aligned)).expand_to(shape)
    }

    /// Sums of the updates of each place.
    #[track_caller]
    pub(super) fn sums(&self, updates: &Tensor) -> Tensor {
        let index = self.spread(&self.checked, self.index);
        index.scatter_add_checked(self.axis, updates, self.part).pad(&self.rest)
    }

    /// As [`Places::sums`] of numbers that are spread as the index is.
    #[track_caller]
    fn sums_alike(&self, numbers: &Tensor) -> Tensor {
        let (axis, part) = match self.alike {
            true => (0, Shape::new(&[self.part[self.axis]])),
            false => (self.axis, self.part),
        };
        self.spread(&self.checked.scatter_add_checked(axis, numbers, part), self.part)
    }

    /// How many updates each place has, i32.
    #[track_caller]
    fn counts(&self) -> Tensor {
        let device = self.checked.device();
        self.sums_alike(&Tensor::ones(*self.checked.shape(), DType::I32, device)).pad(&self.rest)
    }

    /// What stands at the place of each update.
    #[track_caller]
    fn taken(&self, x: &Tensor) -> Tensor {
        let index = self.spread(&self.checked, self.index);
        x.beginning(&self.index, Some(self.axis)).gather_checked(self.axis, &index)
    }

    /// The updates in the order of their places.
    #[track_caller]
    pub(super) fn sorted(&self, updates: &Tensor) -> Sorted {
        let axis = if self.alike { 0 } else { self.axis };
        let order = self.checked.argsort(axis as isize, false);
        let places = Places { checked: self.checked.gather_checked(axis, &order), ..self.clone() };
        let order = self.spread(&order, self.index);
        Sorted { values: updates.gather_checked(self.axis, &order), places }
    }
}

/// Updates whose places do not fall along an axis.
pub(super) struct Sorted {
    places: Places,
    values: Tensor,
}

impl Sorted {
    /// Each value combined with all of its place before it.
    #[track_caller]
    fn combined(self, of: fn(&Tensor, &Tensor) -> Tensor) -> Sorted {
        let Sorted { places, mut values } = self;
        let (size, axis) = (values.shape()[places.axis], places.axis as isize);
        let own_axis = if places.alike { 0 } else { axis };
        let mut distance = 1;
        while distance < size {
            let rest = size - distance;
            let part = |x: &Tensor, axis: isize, start: usize| x.narrow(axis, start, rest);
            let checked = &places.checked;
            let one_place = part(checked, own_axis, distance).eq(part(checked, own_axis, 0));
            let own = part(&values, axis, distance);
            let one_place = places.spread(&one_place, *own.shape());
            // What does not count is made finite first, so that no gradient of it is NaN.
            let before = part(&values, axis, 0);
            let before = one_place.select(&before, before.ones_like());
            let both = one_place.select(of(&before, &own), &own);
            values = Tensor::concat(&[values.narrow(axis, 0, distance), both], axis);
            distance *= 2;
        }
        Sorted { places, values }
    }

    /// The last value of each place, and that of `other` where there is none.
    #[track_caller]
    pub(super) fn write_last(self, other: &Tensor) -> Tensor {
        let Sorted { places, values } = self;
        if values.count() == 0 {
            return other.clone();
        }
        let checked = &places.checked;
        let axis = if places.alike { 0 } else { places.axis };
        let (signed, size) = (axis as isize, checked.shape()[axis]);
        let mut end = vec![(0, 0); checked.rank()];
        end[axis] = (0, 1);
        // No place is -1, so the end counts as a last one.
        let next = checked.narrow(signed, 1, size - 1).pad_value(&end, -1);
        let number = Tensor::iota(*checked.shape(), signed, checked.device());
        let counted = number.add(number.constant_like(1));
        let last = checked.ne(next).select(&counted, counted.constant_like(0));
        let winners = places.sums_alike(&last);
        let there = winners.gt(0);
        let taken = values.gather_checked(places.axis, &winners.sub(1).maximum(0));
        there.pad(&places.rest).select(taken.pad(&places.rest), other)
    }
}
