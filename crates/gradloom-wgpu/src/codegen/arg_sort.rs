//! Arg-sort: stable sorting permutations, also for scatter-add, which sorts its indices.

use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::epilogue::{self, Extra, operand_bindings, with_epilogue};
use super::unit::Unit;

/// Elements that are sorted in workgroup memory: 8 KiB of keys and places.
const BLOCK_MAX: usize = 1024;
/// Length of a block up to which a small workgroup sorts it.
const BLOCK_SMALL: usize = 64;

/// Compiles an arg-sort kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, axis: usize, descending: bool) -> Result<()> {
    let shape = unit.kernel.space.shape;
    unit.check_len(0, shape.count())?;
    let inner: usize = shape[axis + 1..].iter().product();
    let rows = Rows { rows: shape.count() / shape[axis], length: shape[axis], inner };
    let dtype = unit.kernel.inputs[0].dtype;
    let sort_key = |unit: &Unit<'_>, bindings: &mut Bindings| {
        Ok(epilogue::read(unit, bindings, 0) + &key_function(dtype, descending))
    };
    if rows.padded() <= BLOCK_MAX && unit.target.may("arg_sort", "WHOLE") {
        return rows.sort(unit, 0, None, &sort_key);
    }
    let scratch = rows.scratch(unit);
    rows.sort(unit, 0, Some(scratch), &sort_key)?;
    rows.finish(unit, scratch)
}

/// The rows that are sorted: elements `(row / inner * length + place) * inner + row % inner`.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) length: usize,
    pub(crate) inner: usize,
}

/// Scratch memory of keys and places, a padded row after another.
pub(crate) type Scratch = [Extra; 2];

/// Makes the text of `fn sort_key(element: u32) -> u32` and what it reads.
pub(crate) type KeyText<'a> = dyn Fn(&Unit<'_>, &mut Bindings) -> Result<String> + 'a;

/// Length in scratch memory of a row of so many elements.
pub(crate) fn padded(length: usize) -> usize {
    length.next_power_of_two().max(2)
}

impl Rows {
    /// Length of a row in scratch memory.
    fn padded(&self) -> usize {
        padded(self.length)
    }

    /// Scratch memory for all rows.
    pub(crate) fn scratch(&self, unit: &mut Unit<'_>) -> Scratch {
        let mut words = || {
            let resource = unit.add_scratch(self.rows * self.padded());
            Extra { resource, dtype: DType::U32, writable: true }
        };
        [words(), words()]
    }

    /// Sorts keys of operand `operand` into scratch memory; or, without it, rows of one block straight
    /// into the epilogue.
    pub(crate) fn sort(
        &self,
        unit: &mut Unit<'_>,
        operand: usize,
        scratch: Option<Scratch>,
        key: &KeyText<'_>,
    ) -> Result<()> {
        let padded = self.padded();
        let block = padded.min(BLOCK_MAX);
        let (mut bindings, program) = match scratch {
            None => with_epilogue(unit, &[operand], &[], DType::I32)?,
            Some(scratch) => (operand_bindings(unit, &[operand], &scratch)?, String::new()),
        };
        let reads = key(unit, &mut bindings)?;
        let options = Options::new().define("SORT").define_if(scratch.is_none(), "WHOLE");
        let options = options.splice("epilogue", program);
        self.dispatch(unit, "sort", options, reads, bindings, scratch, Grid::Blocks)?;
        let Some(scratch) = scratch else { return Ok(()) };
        let mut length = block * 2;
        while length <= padded {
            let mut distance = length / 2;
            while distance >= block {
                let mut bindings = operand_bindings(unit, &[], &scratch)?;
                let options = Options::new().define("STEP").splice("epilogue", "");
                let options = bindings.named(options, &[("K", length), ("J", distance)]);
                let grid = Grid::Threads(self.rows * padded / 2);
                self.dispatch(unit, "step", options, String::new(), bindings, Some(scratch), grid)?;
                distance /= 2;
            }
            let mut bindings = operand_bindings(unit, &[], &scratch)?;
            let options = Options::new().define("MERGE").splice("epilogue", "");
            let options = bindings.named(options, &[("K", length)]);
            self.dispatch(
                unit,
                "merge",
                options,
                String::new(),
                bindings,
                Some(scratch),
                Grid::Blocks,
            )?;
            length *= 2;
        }
        Ok(())
    }

    /// Runs the epilogue over the places in scratch memory.
    fn finish(&self, unit: &mut Unit<'_>, scratch: Scratch) -> Result<()> {
        let scratch = scratch.map(|extra| Extra { writable: false, ..extra });
        let (bindings, program) = with_epilogue(unit, &[], &scratch, DType::I32)?;
        let options = Options::new().define("FINISH").splice("epilogue", program);
        let count = Grid::Threads(self.rows * self.length);
        self.dispatch(unit, "finish", options, String::new(), bindings, Some(scratch), count)
    }

    #[expect(clippy::too_many_arguments, reason = "the stages differ in just these")]
    fn dispatch(
        &self,
        unit: &mut Unit<'_>,
        stage: &str,
        options: Options,
        mut reads: String,
        mut bindings: Bindings,
        scratch: Option<Scratch>,
        grid: Grid,
    ) -> Result<()> {
        let padded = self.padded();
        let block = padded.min(BLOCK_MAX);
        let in_workgroup = matches!(grid, Grid::Blocks);
        let most = unit.target.workgroup as usize;
        let (capacity, workgroup) = match in_workgroup && block <= BLOCK_SMALL {
            true => (BLOCK_SMALL, most.min(BLOCK_SMALL / 2)),
            false => (BLOCK_MAX, most),
        };
        let groups = match grid {
            Grid::Blocks => self.rows * (padded / block),
            Grid::Threads(count) => count.div_ceil(workgroup),
        };
        if let Some([keys, places]) = scratch {
            reads += &epilogue::read_extra(&bindings, "get_key", keys);
            reads += &epilogue::read_extra(&bindings, "get_place", places);
            if keys.writable {
                reads += &epilogue::write_extra(&bindings, "set_key", keys);
                reads += &epilogue::write_extra(&bindings, "set_place", places);
            }
        }
        let sizes = [
            ("GROUPS", groups),
            ("ROWS", self.rows),
            ("LENGTH", self.length),
            ("INNER", self.inner),
            ("PADDED", padded),
            ("BLOCK", block),
        ];
        let options = bindings
            .named(options, &sizes)
            .define_if(in_workgroup, "IN_WORKGROUP")
            .constant("WORKGROUP", workgroup as u32)
            .constant("CAPACITY", capacity as u32)
            .splice("reads", reads);
        let label = format!("arg_sort {stage} {}x{}", self.rows, self.length);
        unit.dispatch("arg_sort.wgsl", label, options, bindings, groups)
    }
}

#[derive(Clone, Copy)]
enum Grid {
    /// A workgroup per block.
    Blocks,
    /// So many threads.
    Threads(usize),
}

/// `fn sort_key(element)`: an unsigned number in the order of operand 0's elements, NaN last.
fn key_function(dtype: DType, descending: bool) -> String {
    let ascending = match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => {
            "    let value = read0(element);
    var word = bitcast<u32>(value);
    if (value == 0.0) { word = 0u; }
    var key = word ^ select(0x80000000u, 0xffffffffu, word >= 0x80000000u);
    if (gl_is_nan(value)) { key = 0xffffffffu; }\n"
        }
        DType::I32 | DType::I64 | DType::I8 => {
            "    let key = bitcast<u32>(read0(element)) ^ 0x80000000u;\n"
        }
        DType::Bool => "    let key = select(0u, 1u, read0(element));\n",
        DType::U32 | DType::U8 => "    let key = read0(element);\n",
    };
    let result = if descending { "~key" } else { "key" };
    format!("fn sort_key(element: u32) -> u32 {{\n{ascending}    return {result};\n}}\n")
}
