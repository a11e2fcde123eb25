//! Scan: running sums, long lines in chunks that are summed first.

use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::bindings::Bindings;
use super::epilogue::{self, Extra, operand_bindings, with_epilogue};
use super::literal;
use super::unit::{Unit, template_error};

/// Lines from which one thread for each keeps the device busy enough.
const LINES_MANY: usize = 1 << 14;
/// Elements of a line up to which one thread walks it.
const LENGTH_SHORT: usize = 32;
/// Elements that one thread walks at most, however many lines there are.
const LENGTH_WALKED_MAX: usize = 1 << 14;
/// Elements that one workgroup walks at most, however many lines there are.
const LENGTH_WHOLE_MAX: usize = 1 << 18;
/// Turns of a workgroup over a chunk at least: fewer would mostly wait for one another.
const CHUNK_TURNS_MIN: usize = 16;
/// Chunks of a line at most: each sums what all before it came to.
const CHUNKS_MAX: usize = 1 << 12;

/// Who walks a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    Thread,
    /// Workgroups, each a chunk of so many elements.
    Groups {
        chunk: usize,
    },
}

impl Walk {
    fn choose(length: usize, lines: usize, workgroup: usize, busy: usize) -> Walk {
        let short = length <= LENGTH_SHORT || lines >= LINES_MANY;
        if short && length <= LENGTH_WALKED_MAX {
            return Walk::Thread;
        }
        let least = workgroup * CHUNK_TURNS_MIN;
        let splits = length > LENGTH_WHOLE_MAX || (lines < busy && length >= 2 * least);
        let chunk = if splits {
            least.max(length.div_ceil(CHUNKS_MAX)).next_multiple_of(workgroup)
        } else {
            length
        };
        Walk::Groups { chunk }
    }
}

/// Compiles a scan kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, axis: usize, reverse: bool) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let shape = unit.kernel.space.shape;
    unit.check_len(0, shape.count())?;
    let (length, lines) = (shape[axis], shape.count() / shape[axis]);
    let workgroup = unit.target.workgroup as usize;
    let walk = Walk::choose(length, lines, workgroup, unit.target.busy_workgroups as usize);
    let (chunk, groups) = match walk {
        Walk::Thread => (length, lines.div_ceil(workgroup)),
        Walk::Groups { chunk } => (chunk, lines * length.div_ceil(chunk)),
    };
    let chunks = length.div_ceil(chunk);
    let options = Options::new()
        .define_if(reverse, "REVERSE")
        .define_if(walk != Walk::Thread, "LINE_PER_GROUP")
        .constant("LENGTH", length as u32)
        .constant("INNER", shape[axis + 1..].iter().product::<usize>() as u32)
        .constant("LINES", lines as u32)
        .constant("CHUNK", chunk as u32)
        .constant("CHUNKS", chunks as u32)
        .alias("Value", literal::compute_type(dtype));
    let label = format!("scan{shape:?} axis {axis}");
    if chunks == 1 {
        let (bindings, program) = with_epilogue(unit, &[0], &[], dtype)?;
        let reads = epilogue::read(unit, &bindings, 0);
        return stage(unit, label, groups, options.splice("epilogue", program), reads, bindings);
    }
    let resource = unit.add_scratch(groups);
    // Sums are of the type that is computed in: partial ones are not rounded.
    let partial = Extra { resource, dtype: dtype.compute(), writable: true };
    sum_chunks(unit, &label, groups, options.clone(), partial)?;
    let partial = Extra { writable: false, ..partial };
    let (bindings, program) = with_epilogue(unit, &[0], &[partial], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0)
        + &epilogue::read_extra(&bindings, "read_partial", partial);
    let options = options.define("CHUNKED").splice("epilogue", program);
    stage(unit, format!("{label} by {chunk}"), groups, options, reads, bindings)
}

fn sum_chunks(
    unit: &mut Unit<'_>,
    label: &str,
    groups: usize,
    options: Options,
    partial: Extra,
) -> Result<()> {
    let bindings = operand_bindings(unit, &[0], &[partial])?;
    let reads = epilogue::read(unit, &bindings, 0)
        + &epilogue::write_extra(&bindings, "write_partial", partial);
    let options = options.define("PARTIAL").splice("epilogue", "");
    stage(unit, format!("{label} sums"), groups, options, reads, bindings)
}

fn stage(
    unit: &mut Unit<'_>,
    label: String,
    groups: usize,
    options: Options,
    reads: String,
    bindings: Bindings,
) -> Result<()> {
    let grid = unit.grid(groups)?;
    let options = options
        .constant("WORKGROUP", unit.target.workgroup)
        .constant("GRID_X", grid[0])
        .splice("bindings", bindings.declarations())
        .splice("reads", reads);
    let source = gradloom_shaders::expand("scan.wgsl", &options).map_err(template_error)?;
    unit.dispatch(label, source, bindings, grid)
}

#[cfg(test)]
mod tests {
    use super::Walk;

    #[test]
    fn no_thread_takes_many_turns() {
        for length in [1, 33, 5_000, 100_000, 2_000_000, 33_554_432, 1 << 31] {
            for lines in [1, 100, 1 << 14, 1 << 20] {
                let turns = match Walk::choose(length, lines, 256, 16) {
                    Walk::Thread => length,
                    // Each turn of a workgroup scans in eight steps and ends with one more.
                    Walk::Groups { chunk } => {
                        chunk.div_ceil(256) * 9 + length.div_ceil(chunk) / 256
                    }
                };
                assert!(turns <= 20_000, "{length} elements, {lines} lines: {turns} turns");
            }
        }
    }
}
