//! Elements named by several indices at once, as NumPy's and PyTorch's `x[i, j]` with tensors; and writing
//! there.
//!
//! The named axes become one, whose places are counted on the device, so that one gather or one scatter does
//! it. Masks are no indices here: how many they keep is not known before they are evaluated
//! ([`Tensor::masked_scatter`] and [`Tensor::select`] do without that).

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Shape, Tensor, shape_rules};

impl Tensor {
    /// The elements at the indices, which count along the axes from the first on; `None` leaves an axis whole.
    /// Indices are integers that broadcast, negative ones count from the end. Their axes stand in the result
    /// where the first index is, or in front if an axis that is whole comes between two indices.
    ///
    /// Panics if there are more indices than axes or they do not broadcast; an index out of range fails the
    /// evaluation. PyTorch: `x[i, :, j]` with integer tensors, NumPy's advanced indexing.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn example(device: &gradloom_tensor::Device) -> gradloom_tensor::Result<()> {
    /// let x = Tensor::arange(6, device).reshape([2, 3]);
    /// let (i, j) = (Tensor::arange(2, device), Tensor::from_vec(vec![2i32, -3], [2], device)?);
    /// assert_eq!(x.index_by(&[Some(&i), Some(&j)]).to_vec::<i32>()?, [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn index_by(&self, indices: &[Option<&Tensor>]) -> Tensor {
        const OP: &str = "index_by";
        let _called = Called::op(OP);
        let Some(named) = Named::new(OP, self, indices) else { return self.clone() };
        named.restored(&named.rows(self).gather_rows(&named.flat()))
    }

    /// This tensor with `values` in place of the elements that [`Tensor::index_by`] would give, or with
    /// `accumulate` added to them. The values broadcast to those; the last of several at one place stays.
    ///
    /// Panics as it does, or if the values do not fit. PyTorch: `torch.index_put`.
    #[track_caller]
    #[must_use]
    pub fn index_put(
        &self,
        indices: &[Option<&Tensor>],
        values: &Tensor,
        accumulate: bool,
    ) -> Tensor {
        const OP: &str = "index_put";
        let _called = Called::op(OP);
        shape_rules::same_dtype(OP, self.dtype(), values.dtype()).or_fail();
        let Some(named) = Named::new(OP, self, indices) else {
            let values = values.broadcast_to(*self.shape());
            return if accumulate { self.add(values) } else { values };
        };
        let result = named.result();
        shape_rules::broadcast_to(OP, values.shape(), &result).or_fail();
        let values = named.flattened(&values.expand_to(result));
        let (index, rows) = (named.flat(), named.rows(self));
        let written = match accumulate {
            true => rows.index_add(0, &index, &values, 1.0),
            false => rows.index_copy(0, &index, &values),
        };
        named.unrolled(&written)
    }

    /// This tensor with the elements of `source` at the places that an index of as many elements names in
    /// row-major order, or with `accumulate` added there; the last of several at one place stays. Negative
    /// indices count from the end. PyTorch: `torch.Tensor.put`.
    ///
    /// Panics if index and source differ in number; an index out of range fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn put(&self, index: &Tensor, source: &Tensor, accumulate: bool) -> Tensor {
        let _called = Called::op("put");
        let (count, given) = (index.count(), source.count());
        demand!(count == given, "put: {count} indices for {given} elements");
        let line = |x: &Tensor| x.reshape_to(Shape::new(&[x.count()]));
        let written = line(self).index_put(&[Some(&line(index))], &line(source), accumulate);
        written.reshape_to(*self.shape())
    }

    /// This tensor with the elements of `source`, one after another, where `mask` is true; tensor and mask
    /// broadcast. PyTorch: `torch.masked_scatter`.
    ///
    /// Panics if shapes or dtypes do not fit. If the mask keeps more elements than the source has, the
    /// evaluation fails.
    #[track_caller]
    #[must_use]
    pub fn masked_scatter(&self, mask: &Tensor, source: &Tensor) -> Tensor {
        const OP: &str = "masked_scatter";
        shape_rules::boolean(OP, mask.dtype()).or_fail();
        shape_rules::same_dtype(OP, self.dtype(), source.dtype()).or_fail();
        let shape = shape_rules::broadcast(OP, self.shape(), mask.shape()).or_fail();
        let (own, mask) = (self.expand_to(shape), mask.expand_to(shape));
        let (count, given) = (shape.count(), source.count());
        demand!(
            i32::try_from(count).is_ok(),
            "{OP}: a mask of {shape} has more elements than i32 counts"
        );
        if count == 0 {
            return own;
        }
        let line = mask.reshape_to(Shape::new(&[count]));
        let number = line.cast(DType::I32).cumsum(0);
        let place = line.select(number.sub(1), number.constant_like(0));
        let source = match given {
            // Nothing can be taken, and the index says so if something is asked for.
            0 => {
                let place = line.select(&number, number.constant_like(0)).checked_index(1, OP);
                let nothing = Tensor::zeros([1], self.dtype(), self.device());
                nothing.gather_checked(0, &place)
            }
            _ => {
                let source = source.reshape_to(Shape::new(&[given]));
                source.gather_checked(0, &place.checked_index(given, OP))
            }
        };
        mask.select(source.reshape_to(shape), own)
    }

    /// An index of integers whose negative ones count from the end of an axis as what they mean; those that are
    /// out of range stay so.
    #[track_caller]
    pub(super) fn counted_from_end(&self, size: usize) -> Tensor {
        match self.dtype() {
            DType::U8 | DType::U32 => self.clone(),
            DType::I64 => self.lt(0).select(self.add(size as i64), self),
            _ => {
                let index = self.cast(DType::I32);
                index.lt(0).select(index.add(size as i64), &index)
            }
        }
    }

    /// Rows `[P, R]` at a checked index `[M]`.
    #[track_caller]
    fn gather_rows(&self, index: &Tensor) -> Tensor {
        let rows = Shape::new(&[index.count(), self.shape()[1]]);
        self.gather_checked(0, &index.unsqueeze(1).expand_to(rows))
    }
}

/// Axes that are named by indices.
struct Named {
    op: &'static str,
    shape: Shape,
    /// Each named axis and its index, broadcast.
    indices: Vec<(usize, Tensor)>,
    /// The named axes, then the others.
    order: Vec<isize>,
    /// What the indices broadcast to.
    common: Shape,
}

impl Named {
    #[track_caller]
    fn new(op: &'static str, x: &Tensor, indices: &[Option<&Tensor>]) -> Option<Named> {
        let shape = *x.shape();
        demand!(
            indices.len() <= shape.rank(),
            "{op}: {} indices for a tensor of shape {shape}",
            indices.len()
        );
        let given: Vec<(usize, &Tensor)> = indices
            .iter()
            .enumerate()
            .filter_map(|(axis, index)| index.map(|index| (axis, index)))
            .collect();
        let mut common = *given.first()?.1.shape();
        for (_, index) in &given {
            shape_rules::int(op, index.dtype()).or_fail();
            common = shape_rules::broadcast(op, &common, index.shape()).or_fail();
        }
        let mut order: Vec<isize> = given.iter().map(|&(axis, _)| axis as isize).collect();
        let others: Vec<isize> =
            (0..shape.rank() as isize).filter(|axis| !order.contains(axis)).collect();
        order.extend(others);
        let places: usize = given.iter().map(|&(axis, _)| shape[axis]).product();
        demand!(
            i32::try_from(places).is_ok(),
            "{op}: the axes that are named have {places} places, more than i32 counts"
        );
        let indices =
            given.into_iter().map(|(axis, index)| (axis, index.expand_to(common))).collect();
        Some(Named { op, shape, indices, order, common })
    }

    /// Sizes of the axes that are whole.
    fn whole(&self) -> Vec<usize> {
        self.order[self.indices.len()..].iter().map(|&axis| self.shape[axis as usize]).collect()
    }

    /// The tensor with the named axes as one, and the others as another.
    #[track_caller]
    fn rows(&self, x: &Tensor) -> Tensor {
        let places = self.indices.iter().map(|&(axis, _)| self.shape[axis]).product();
        let rest = self.whole().iter().product();
        x.permute(&self.order).reshape_to(Shape::new(&[places, rest]))
    }

    /// The reverse of [`Named::rows`].
    #[track_caller]
    fn unrolled(&self, rows: &Tensor) -> Tensor {
        let sizes: Vec<usize> = self.order.iter().map(|&axis| self.shape[axis as usize]).collect();
        let mut back = vec![0; self.order.len()];
        for (place, &axis) in self.order.iter().enumerate() {
            back[axis as usize] = place as isize;
        }
        rows.reshape_to(Shape::new(&sizes)).permute(&back)
    }

    /// The row of each named element, checked, as one axis.
    #[track_caller]
    fn flat(&self) -> Tensor {
        let count = self.common.count();
        let mut flat: Option<Tensor> = None;
        for (axis, index) in &self.indices {
            let size = self.shape[*axis];
            let place = index.counted_from_end(size).checked_index(size, self.op);
            flat = Some(match flat {
                None => place,
                Some(before) => before.mul(before.constant_like(size as i64)).add(place),
            });
        }
        let Some(flat) = flat else { unreachable!("one axis is named at least") };
        flat.reshape_to(Shape::new(&[count]))
    }

    /// Where the axes of the indices stand among those that are whole.
    fn place(&self) -> usize {
        let axes: Vec<usize> = self.indices.iter().map(|&(axis, _)| axis).collect();
        let adjacent = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if adjacent { axes[0] } else { 0 }
    }

    /// The shape of what is named.
    fn result(&self) -> Shape {
        let (whole, place) = (self.whole(), self.place());
        let sizes: Vec<usize> = [&whole[..place], &self.common[..], &whole[place..]].concat();
        Shape::new(&sizes)
    }

    /// Rows of what is named `[M, R]` as [`Named::result`].
    #[track_caller]
    fn restored(&self, rows: &Tensor) -> Tensor {
        let (whole, place) = (self.whole(), self.place());
        let sizes = [&self.common[..], &whole[..]].concat();
        let rows = rows.reshape_to(Shape::new(&sizes));
        let (own, before) = (self.common.rank() as isize, place as isize);
        let rank = sizes.len() as isize;
        let order: Vec<isize> =
            (own..own + before).chain(0..own).chain(own + before..rank).collect();
        rows.permute(&order)
    }

    /// The reverse of [`Named::restored`].
    #[track_caller]
    fn flattened(&self, values: &Tensor) -> Tensor {
        let (own, before) = (self.common.rank() as isize, self.place() as isize);
        let rank = values.rank() as isize;
        let order: Vec<isize> =
            (before..before + own).chain(0..before).chain(before + own..rank).collect();
        let rows = [self.common.count(), self.whole().iter().product()];
        values.permute(&order).reshape_to(Shape::new(&rows))
    }
}
