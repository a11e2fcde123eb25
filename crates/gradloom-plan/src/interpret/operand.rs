//! [`Operand`]: what a kernel reads, each element with whether it is there.

use gradloom_tensor::{DType, RANK_MAX, Shape};

use super::fault::Fault;
use super::value::cast;
use crate::factors::{FactorCast, Factors};
use crate::kernel::Kernel;
use crate::view::View;

/// An element of memory: `None` until it is written.
pub(super) type Cell = Option<f64>;

/// An input of a kernel while it runs.
pub(super) struct Operand {
    /// Position in the kernel's inputs.
    pub(super) position: usize,
    pub(super) dtype: DType,
    pub(super) cells: Vec<Cell>,
    /// The node that is read, and the one (`None`: a leaf) whose elements are there instead.
    pub(super) stale: Option<(usize, Option<usize>)>,
}

impl Operand {
    /// One element.
    pub(super) fn get(&self, element: isize) -> Result<f64, Fault> {
        let operand = self.position;
        let place = usize::try_from(element).ok().filter(|&place| place < self.cells.len());
        let Some(place) = place else {
            let len = self.cells.len();
            return Err(Fault::Outside { operand, element: element as i64, len });
        };
        if let Some((node, found)) = self.stale {
            return Err(Fault::Stale { operand, element: place, node, found });
        }
        self.cells[place].ok_or(Fault::Unwritten { operand, element: place })
    }

    /// All elements, of which some may be missing.
    pub(super) fn whole_cells(&self) -> Result<&[Cell], Fault> {
        match self.stale {
            Some((node, found)) => {
                Err(Fault::Stale { operand: self.position, element: 0, node, found })
            }
            None => Ok(&self.cells),
        }
    }

    /// The element at a coordinate of a view; zero where the mask excludes it.
    pub(super) fn at(&self, view: &View, coordinate: &[usize]) -> Result<f64, Fault> {
        // What lies before the buffer comes as a number beyond any buffer.
        view.element(coordinate).map_or(Ok(0.0), |element| self.get(element as isize))
    }

    /// All elements of a view, in order.
    pub(super) fn load(&self, view: &View) -> Result<Vec<f64>, Fault> {
        let mut values = Vec::with_capacity(view.shape.count());
        for_each(&view.shape, |coordinate| {
            values.push(self.at(view, coordinate)?);
            Ok(())
        })?;
        Ok(values)
    }

    /// All elements of a view, in order, as what a product or a convolution multiplies.
    pub(super) fn factors(&self, view: &View, factors: &Factors) -> Result<Vec<f64>, Fault> {
        let position = self.position;
        Fault::unless(factors.reads(position, self.dtype), || {
            format!("operand {position} of {} is multiplied in {}", self.dtype, factors.dtype)
        })?;
        let mut values = self.load(view)?;
        if let Some(FactorCast { dtype, .. }) = factors.casts[position] {
            values.iter_mut().for_each(|value| *value = cast(self.dtype, dtype, *value));
        }
        Ok(values)
    }

    /// All elements of a row-major buffer of this shape.
    pub(super) fn whole(&self, shape: Shape) -> Result<Vec<f64>, Fault> {
        self.load(&View::contiguous(shape))
    }
}

/// The operands of a kernel.
pub(super) struct Operands(pub(super) Vec<Operand>);

impl Operands {
    /// The operands of a kernel, all elements there.
    pub(super) fn given(kernel: &Kernel, values: &[Vec<f64>]) -> Operands {
        let pairs = kernel.inputs.iter().zip(values).enumerate();
        let given = pairs.map(|(position, (input, values))| Operand {
            position,
            dtype: input.dtype,
            cells: values.iter().copied().map(Some).collect(),
            stale: None,
        });
        Operands(given.collect())
    }

    pub(super) fn get(&self, position: usize) -> Result<&Operand, Fault> {
        let missing = || Fault::malformed(format!("there is no operand {position}"));
        self.0.get(position).ok_or_else(missing)
    }
}

/// Calls `visit` with every coordinate of a shape in row-major order.
pub(super) fn for_each(
    shape: &Shape,
    mut visit: impl FnMut(&[usize]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut coordinate = [0; RANK_MAX];
    for _ in 0..shape.count() {
        visit(&coordinate[..shape.rank()])?;
        for axis in (0..shape.rank()).rev() {
            coordinate[axis] += 1;
            if coordinate[axis] < shape[axis] {
                break;
            }
            coordinate[axis] = 0;
        }
    }
    Ok(())
}

/// The position of a coordinate in row-major order.
pub(super) fn linear(shape: &[usize], coordinate: &[usize]) -> usize {
    shape.iter().zip(coordinate).fold(0, |position, (&size, &at)| position * size + at)
}

/// For each line along an axis of a shape, in row-major order of the other axes, the positions of its
/// elements.
pub(super) fn lines(shape: &[usize], axis: usize) -> Vec<Vec<usize>> {
    let (size, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let outer: usize = shape[..axis].iter().product();
    let firsts = (0..outer).flat_map(|outer| (0..inner).map(move |at| outer * size * inner + at));
    firsts.map(|first| (0..size).map(|step| first + step * inner).collect()).collect()
}
