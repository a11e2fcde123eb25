//! `Attention`: scores, softmax and the sum of values for a few queries at a time, whose scores stay in
//! the cache. Keys beyond a sequence's length are not touched.
//!
//! Letters: B batch, H query heads, HK key heads, T queries, S keys, D and E features; a group is the
//! query heads that share a key head.

use std::ops::Range;

use gradloom_plan::{Kernel, View};
use gradloom_tensor::op::Attention as Options;
use gradloom_tensor::{DType, Result};

use super::attention_loops::{apply_mask, dots, softmax, weighted};
use super::executable::{Context, Executable, InPlace, TASK_MIN};
use super::matrix::Matrix;
use super::product::Number;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::Level;

/// Queries of a tile.
const TILE_QUERIES: usize = 128;
/// Multiplications below which attention stays on one thread.
const SEQUENTIAL_WORK: usize = 128 * 1024;
/// Rows up to which products read keys and values where they lie.
const FEW_ROWS: usize = 4;

pub(crate) struct Attention {
    options: Options,
    query: View,
    key: View,
    value: View,
    mask: Option<(View, DType)>,
    start: Option<View>,
    epilogue: Epilogue,
}

/// The operands of one run.
struct Operands<'a> {
    level: Level,
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    mask: &'a [u8],
    start: &'a [i32],
}

/// The rows of one tile: query heads of a group times neighbouring queries of one batch element.
struct Rows {
    batch: usize,
    /// Key head.
    shared: usize,
    heads: Range<usize>,
    queries: Range<usize>,
}

impl Rows {
    fn count(&self) -> usize {
        self.heads.len() * self.queries.len()
    }

    /// Head and query of each row.
    fn each(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let queries = self.queries.clone();
        self.heads.clone().flat_map(move |head| queries.clone().map(move |query| (head, query)))
    }
}

impl Attention {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        options: &Options,
        views: &[View],
    ) -> Attention {
        let mask = options.masked.then(|| (views[3], kernel.inputs[3].dtype));
        let start = options.placed.then(|| views[views.len() - 1]);
        Attention {
            options: *options,
            query: views[0],
            key: views[1],
            value: views[2],
            mask,
            start,
            epilogue: Epilogue::new(kernel, in_place, DType::F32),
        }
    }

    fn operands<'a>(&self, level: Level, inputs: &[&'a [u8]]) -> Operands<'a> {
        let start = 3 + usize::from(self.mask.is_some());
        Operands {
            level,
            query: bytemuck::cast_slice(inputs[0]),
            key: bytemuck::cast_slice(inputs[1]),
            value: bytemuck::cast_slice(inputs[2]),
            mask: if self.mask.is_some() { inputs[3] } else { &[] },
            start: self.start.as_ref().map_or(&[], |_| bytemuck::cast_slice(inputs[start])),
        }
    }

    /// Position of the first query of a batch element.
    fn first(&self, operands: &Operands<'_>, batch: usize) -> i64 {
        let (queries, keys) = (self.query.shape[2], self.key.shape[2]);
        match &self.start {
            Some(view) => {
                let at = view.offset + batch as isize * view.strides[0];
                i64::from(operands.start[at as usize])
            }
            None => keys as i64 - queries as i64,
        }
    }

    /// Keys that a query sees, the mask aside.
    fn seen(&self, first: i64, query: usize) -> Range<usize> {
        let keys = self.key.shape[2] as i64;
        let own = first + query as i64;
        let end = match self.options.causal {
            true => own + 1,
            false if self.start.is_some() => first + self.query.shape[2] as i64,
            false => keys,
        };
        let begin = self.options.window.map_or(0, |window| own + 1 - window as i64);
        let end = end.clamp(0, keys);
        begin.clamp(0, end) as usize..end as usize
    }

    /// Results of the units `(batch, query, head)` of a range, `E` numbers each.
    fn units(&self, operands: &Operands<'_>, units: Range<usize>, out: &mut [f32]) {
        let [heads, queries] = [self.query.shape[1], self.query.shape[2]];
        let (features, group) = (self.value.shape[3], heads / self.key.shape[1]);
        let mut at = units.start;
        while at < units.end {
            let batch = at / (queries * heads);
            let (query, head) = (at / heads % queries, at % heads);
            // Some heads of one query, or all heads of several.
            let whole = head == 0 && units.end - at >= heads;
            let (heads_here, queries_here) = match whole {
                true => (0..heads, query..queries.min(query + (units.end - at) / heads)),
                false => (head..heads.min(head + units.end - at), query..query + 1),
            };
            let done = heads_here.len() * queries_here.len();
            let mut first = heads_here.start;
            while first < heads_here.end {
                let shared = first / group;
                let last = heads_here.end.min((shared + 1) * group);
                let rows =
                    Rows { batch, shared, heads: first..last, queries: queries_here.clone() };
                let scratch = self.tile(operands, &rows);
                let results: &[f32] = scratch.get();
                for ((head, query), result) in rows.each().zip(results.chunks_exact(features)) {
                    let unit = (batch * queries + query) * heads + head - units.start;
                    out[unit * features..][..features].copy_from_slice(result);
                }
                first = last;
            }
            at += done;
        }
    }

    /// Key head by key head into memory of its own, then in the order of the result.
    fn run_heads(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        threads: usize,
    ) -> Result<()> {
        let [batch, heads, queries] = [0, 1, 2].map(|axis| self.query.shape[axis]);
        let (shared, features) = (self.key.shape[1], self.value.shape[3]);
        let operands = self.operands(context.level, inputs);
        let group = heads / shared;
        let bytes = group * queries * features * 4;
        let mut by_head = context.pool.temporary(batch * shared * bytes)?;
        let whole = &mut [by_head.get_mut()];
        parallel::split(threads, whole, &[bytes], batch * shared, 1, |range, parts| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(parts[0]);
            for (unit, out) in range.zip(out.chunks_exact_mut(group * queries * features)) {
                for begin in (0..queries).step_by(TILE_QUERIES) {
                    let rows = Rows {
                        batch: unit / shared,
                        shared: unit % shared,
                        heads: unit % shared * group..(unit % shared + 1) * group,
                        queries: begin..queries.min(begin + TILE_QUERIES),
                    };
                    let first = rows.heads.start;
                    let scratch = self.tile(&operands, &rows);
                    let results: &[f32] = scratch.get();
                    for ((head, query), result) in rows.each().zip(results.chunks_exact(features)) {
                        let at = (head - first) * queries + query;
                        out[at * features..][..features].copy_from_slice(result);
                    }
                }
            }
        });
        let by_head: &[f32] = bytemuck::cast_slice(by_head.get());
        let units = batch * queries;
        let per_task = parallel::grain(threads, units, heads * features, TASK_MIN);
        let division = Division { units, unit_elements: heads * features, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            let places = range.flat_map(|unit| (0..heads).map(move |head| (unit, head)));
            for ((unit, head), out) in places.zip(out.chunks_exact_mut(features)) {
                let at = (unit / queries * heads + head) * queries + unit % queries;
                out.copy_from_slice(&by_head[at * features..][..features]);
            }
        });
        Ok(())
    }

    /// The results of a tile's rows.
    fn tile(&self, operands: &Operands<'_>, rows: &Rows) -> Scratch {
        let (count, depth, features) = (rows.count(), self.query.shape[3], self.value.shape[3]);
        let first = self.first(operands, rows.batch);
        let seen = rows.queries.clone().map(|query| self.seen(first, query));
        let keys =
            seen.filter(|seen| !seen.is_empty()).fold(None, |all: Option<Range<usize>>, own| {
                Some(all.map_or(own.clone(), |all| all.start.min(own.start)..all.end.max(own.end)))
            });
        let mut results = Scratch::take::<f32>(count * features);
        let Some(keys) = keys else {
            results.get_mut::<f32>().fill(0.0);
            return results;
        };
        let mut queries = Scratch::take::<f32>(count * depth);
        self.copy_queries(operands, rows, queries.get_mut());
        let mut scores = Scratch::take::<f32>(count * keys.len());
        let scores: &mut [f32] = scores.get_mut();
        let matrix = |view: &View, values, row: usize| Matrix {
            values,
            offset: view.offset
                + rows.batch as isize * view.strides[0]
                + rows.shared as isize * view.strides[1]
                + row as isize * view.strides[2],
            strides: [view.strides[2], view.strides[3]],
        };
        let key = matrix(&self.key, operands.key, keys.start);
        let value = matrix(&self.value, operands.value, keys.start);
        let level = operands.level;
        let query = Matrix { values: queries.get(), offset: 0, strides: [depth as isize, 1] };
        let few = count <= FEW_ROWS && self.key.strides[3] == 1 && self.value.strides[3] == 1;
        if few {
            key.check(keys.len(), depth);
            dots(level, query.values, key, depth, scores, keys.len());
        } else {
            let size = [count, keys.len(), depth];
            f32::multiply(level, scores, keys.len(), size, query, key.transposed());
        }
        for ((head, query), scores) in rows.each().zip(scores.chunks_exact_mut(keys.len())) {
            let own = self.seen(first, query);
            let own = own.start.max(keys.start) - keys.start..own.end.max(keys.start) - keys.start;
            if let Some((view, dtype)) = &self.mask {
                let at = [rows.batch, head, query, keys.start];
                let at =
                    view.offset + (0..4).map(|k| at[k] as isize * view.strides[k]).sum::<isize>();
                apply_mask(operands.mask, *dtype, at, view.strides[3], scores);
            }
            softmax(level, scores, own);
        }
        let weights = Matrix { values: &*scores, offset: 0, strides: [keys.len() as isize, 1] };
        let out: &mut [f32] = results.get_mut();
        if few {
            value.check(keys.len(), features);
            weighted(level, weights.values, value, keys.len(), out, features);
        } else {
            f32::multiply(level, out, features, [count, features, keys.len()], weights, value);
        }
        results
    }

    /// The rows' queries, times the scale.
    fn copy_queries(&self, operands: &Operands<'_>, rows: &Rows, out: &mut [f32]) {
        let (view, depth) = (&self.query, self.query.shape[3]);
        let scale = self.options.scale as f32;
        for ((head, query), out) in rows.each().zip(out.chunks_exact_mut(depth)) {
            let at = [rows.batch, head, query];
            let at = view.offset + (0..3).map(|k| at[k] as isize * view.strides[k]).sum::<isize>();
            for (feature, slot) in out.iter_mut().enumerate() {
                let at = at + feature as isize * view.strides[3];
                *slot = operands.query[at as usize] * scale;
            }
        }
    }
}

impl Executable for Attention {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [batch, heads, queries, depth] = [0, 1, 2, 3].map(|axis| self.query.shape[axis]);
        let (keys, features) = (self.key.shape[2], self.value.shape[3]);
        let operands = self.operands(context.level, inputs);
        let work = batch * heads * queries * keys * (depth + features);
        let threads = if work <= SEQUENTIAL_WORK { 1 } else { context.threads };
        let group = heads / self.key.shape[1];
        let units = batch * queries * heads;
        // Whole heads as tasks share the packing of keys; many batch elements are tasks enough.
        if threads > 1 && queries > 1 && batch < 2 * threads && batch * heads >= threads * group {
            return self.run_heads(context, inputs, outputs, threads);
        }
        let per_task = match (threads, queries) {
            (1, _) => units,
            (_, 1) => heads.div_ceil(threads).next_multiple_of(group),
            _ => TILE_QUERIES.min(queries) * heads,
        };
        let division = Division { units, unit_elements: features, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            self.units(&operands, range, bytemuck::cast_slice_mut(out));
        });
        Ok(())
    }

    /// Keys and values that no query sees: of a cache, what is not filled yet.
    fn bytes_spared(&self, inputs: &[&[u8]]) -> usize {
        if self.start.is_none() {
            return 0;
        }
        let operands = self.operands(Level::best(), inputs);
        let (key, value) = (self.key.shape, self.value.shape);
        let unseen = (0..key[0]).map(|batch| {
            let first = self.first(&operands, batch);
            let seen = (0..self.query.shape[2]).map(|query| self.seen(first, query));
            let end = seen.clone().map(|seen| seen.end).max().unwrap_or(0);
            let begin = seen.map(|seen| seen.start).min().unwrap_or(0).min(end);
            key[2] - (end - begin)
        });
        unseen.sum::<usize>() * key[1] * (key[3] + value[3]) * 4
    }
}
