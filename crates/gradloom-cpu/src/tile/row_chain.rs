//! [`RowChain`]: a chain on rows of a kernel's result while they are in registers, such as what follows a
//! convolution for each channel. It has the bits of [`chain`](super::chain) and no pass over the result.
#![expect(unsafe_code, reason = "loads by pointer; who calls it checks the bounds once")]

use std::ops::Range;

use super::TILE;
use super::chain::links_on;
use super::frame::{Frame, Registers};
use super::operand::lane_of_word;
use super::step::{Link, LinkOp, Source, Step, Target, TileProgram, Work};
use crate::convert::Lane;
use crate::vector::{Real, Vector, load_first};

/// A link on rows.
#[derive(Clone, Copy)]
enum RowLink<'a, T> {
    /// With values for each row, which begin at these places of [`RowChain::values`].
    Rows(LinkOp, [usize; 2]),
    /// Adds one value for each element, row after row.
    Elements(&'a [T]),
}

/// Values beside those of the rows that a tile may read.
const ROOM: usize = 16;

/// What becomes of rows of results.
pub(crate) struct RowChain<'a, T> {
    links: Vec<RowLink<'a, T>>,
    /// Operands one after another: a value for each row, and room.
    values: Vec<T>,
    rows: usize,
    /// Elements of a row.
    row: usize,
}

impl TileProgram {
    /// True if [`Frame::row_chain`] gives one for rows of so many f32 elements.
    pub(crate) fn is_row_chain(&self, output: usize, row: usize) -> bool {
        self.row_links(output, row).is_some()
    }

    /// The program as links on the elements of an output, if it is nothing else and what they read is the same
    /// for rows of `row` elements, or is added element by element.
    pub(super) fn row_links(&self, output: usize, row: usize) -> Option<Vec<Link>> {
        let (step, value) = match &self.steps[..] {
            [step] => (step, Source::Output(output)),
            // One step alone reads a copy of what it writes over.
            [
                Step {
                    work: Work::LoadOutput { output: own, .. },
                    target: Target::Register(register),
                    ..
                },
                step,
            ] if *own == output => (step, Source::Register(*register)),
            _ => return None,
        };
        let only = self.stores.is_empty() && self.exports.is_empty();
        let of_f32 = self.blocks.iter().all(|(lane, _)| *lane == Lane::F32);
        if !only || !of_f32 || step.lane != Lane::F32 || step.target != Target::Output(output) {
            return None;
        }
        let links = links_on(step, value)?;
        let fits = |link: &Link| {
            link.sources().all(|source| match source {
                Source::Uniform(_) => true,
                Source::Block(_) => self.block == row,
                Source::Input { .. } => link.op == LinkOp::Add,
                Source::Register(_) | Source::External(_) | Source::Output(_) => false,
            })
        };
        links.iter().all(fits).then_some(links)
    }
}

impl Frame<'_> {
    /// The program for some rows of `row` elements of the space, which are made in `output`, if it is a chain on
    /// each of their elements.
    pub(crate) fn row_chain<'s, T: Real>(
        &'s self,
        registers: &'s mut Registers,
        output: usize,
        rows: Range<usize>,
        row: usize,
    ) -> Option<RowChain<'s, T>> {
        if size_of::<T>() != Lane::F32.size() || rows.is_empty() || rows.len() > TILE {
            return None;
        }
        let links = self.program().row_links(output, row)?;
        self.compute_blocks(&mut registers.blocks, &rows);
        let mut chain = RowChain { links: Vec::new(), values: Vec::new(), rows: rows.len(), row };
        for link in &links {
            if let (LinkOp::Add, Source::Input { input, offset }) = (link.op, link.operands[0]) {
                let first = (offset + (rows.start * row) as isize) as usize;
                let values: &[T] = bytemuck::cast_slice(self.input(input));
                chain.links.push(RowLink::Elements(&values[first..first + rows.len() * row]));
                continue;
            }
            let mut places = [0; 2];
            for (place, source) in places.iter_mut().zip(link.sources()) {
                *place = chain.values.len();
                match source {
                    Source::Block(block) => {
                        chain.values.extend(&registers.blocks.lanes[block].get()[..rows.len()]);
                    }
                    source => {
                        let value: T = lane_of_word(self.uniform(source));
                        chain.values.extend(std::iter::repeat_n(value, rows.len()));
                    }
                }
                chain.values.extend([T::zeroed(); ROOM]);
            }
            chain.links.push(RowLink::Rows(link.op, places));
        }
        Some(chain)
    }
}

impl<T: Real> RowChain<'_, T> {
    /// True if it has so many rows of at least `elements` elements from row `first` on.
    pub(crate) fn covers(&self, first: usize, rows: usize, elements: usize) -> bool {
        first + rows <= self.rows && elements <= self.row
    }

    /// Runs it on `count` rows from `row` on, vectors from `element` on, the last of `last` elements; what the
    /// other sums become is of no matter.
    ///
    /// # Safety
    /// The chain [covers](RowChain::covers) these rows and elements, at least one of each.
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(
        &self,
        [row, count]: [usize; 2],
        [element, last]: [usize; 2],
        sums: &mut [[V; COLUMNS]; ROWS],
    ) {
        const { assert!(ROWS <= ROOM) };
        let values = self.values.as_ptr().wrapping_add(row);
        // No closures: they would be compiled without the level's features.
        macro_rules! each {
            ($sum:ident, $($operand:ident of $place:expr),* => $result:expr) => {
                for index in 0..ROWS {
                    // SAFETY: operands have the rows that the chain covers and room for those of a tile.
                    $(let $operand = V::splat(unsafe { *values.add($place + index) });)*
                    for column in 0..COLUMNS {
                        let $sum = sums[index][column];
                        sums[index][column] = $result;
                    }
                }
            };
        }
        for link in &self.links {
            match *link {
                RowLink::Elements(all) => {
                    for index in 0..ROWS {
                        if index < count {
                            // SAFETY: the caller vouches for the rows and elements.
                            unsafe {
                                let first = (row + index) * self.row + element;
                                add_row(all.as_ptr().add(first), last, &mut sums[index]);
                            }
                        }
                    }
                }
                RowLink::Rows(LinkOp::Add, [a, _]) => each!(sum, other of a => sum.plus(other)),
                RowLink::Rows(LinkOp::Subtract, [a, _]) => {
                    each!(sum, other of a => sum.minus(other));
                }
                RowLink::Rows(LinkOp::SubtractFrom, [a, _]) => {
                    each!(sum, other of a => other.minus(sum));
                }
                RowLink::Rows(LinkOp::Multiply, [a, _]) => {
                    each!(sum, other of a => sum.times(other));
                }
                RowLink::Rows(LinkOp::Relu, _) => {
                    let zero = V::splat(T::zeroed());
                    each!(sum, => sum.at_most(zero, zero, sum));
                }
                RowLink::Rows(LinkOp::Clamp, [a, b]) => {
                    each!(sum, low of a, high of b => {
                        sum.at_most(low, low, high.at_most(sum, high, sum))
                    });
                }
            }
        }
    }
}

/// Adds neighbours to vectors, of which the last has `last` elements.
///
/// # Safety
/// The neighbours can be read.
#[inline(always)]
unsafe fn add_row<V: Vector, const COLUMNS: usize>(
    values: *const V::Scalar,
    last: usize,
    sums: &mut [V; COLUMNS],
) {
    for column in 0..COLUMNS {
        // SAFETY: the caller vouches for them.
        let other = unsafe {
            let values = values.add(column * V::LANES);
            match column + 1 == COLUMNS && last < V::LANES {
                true => load_first(values, last),
                false => V::load(values),
            }
        };
        sums[column] = sums[column].plus(other);
    }
}
