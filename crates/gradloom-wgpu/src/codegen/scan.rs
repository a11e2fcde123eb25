//! Scan: running sums, long lines in chunks that are summed first.

use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::bindings::Bindings;
use super::epilogue::{self, Extra, operand_bindings, with_epilogue};
use super::literal;
use super::unit::Unit;

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
    let alone = length <= LENGTH_WALKED_MAX && !unit.target.may("scan", "LINE_PER_GROUP");
    let walk = if alone { Walk::Thread } else { walk };
    let (chunk, groups) = match walk {
        Walk::Thread => (length, lines.div_ceil(workgroup)),
        Walk::Groups { chunk } => (chunk, lines * length.div_ceil(chunk)),
    };
    let chunks = length.div_ceil(chunk);
    let options = Options::new()
        .define_if(reverse, "REVERSE")
        .define_if(walk != Walk::Thread, "LINE_PER_GROUP")
        .alias("Value", literal::compute_type(dtype));
    let inner = shape[axis + 1..].iter().product();
    let sizes = [
        ("LENGTH", length),
        ("INNER", inner),
        ("LINES", lines),
        ("CHUNK", chunk),
        ("CHUNKS", chunks),
    ];
    let stages = Stages { label: format!("scan{shape:?} axis {axis}"), sizes, groups };
    if chunks == 1 {
        let (bindings, program) = with_epilogue(unit, &[0], &[], dtype)?;
        let reads = epilogue::read(unit, &bindings, 0);
        return stages.dispatch(unit, "", options.splice("epilogue", program), reads, bindings);
    }
    let resource = unit.add_scratch(groups);
    // Sums are of the type that is computed in: partial ones are not rounded.
    let partial = Extra { resource, dtype: dtype.compute(), writable: true };
    stages.sum_chunks(unit, options.clone(), partial)?;
    let partial = Extra { writable: false, ..partial };
    let (bindings, program) = with_epilogue(unit, &[0], &[partial], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0)
        + &epilogue::read_extra(&bindings, "read_partial", partial);
    let options = options.define("CHUNKED").splice("epilogue", program);
    stages.dispatch(unit, " in chunks", options, reads, bindings)
}

/// What the dispatches of a scan have in common.
struct Stages {
    label: String,
    sizes: [(&'static str, usize); 5],
    groups: usize,
}

impl Stages {
    fn sum_chunks(&self, unit: &mut Unit<'_>, options: Options, partial: Extra) -> Result<()> {
        let bindings = operand_bindings(unit, &[0], &[partial])?;
        let reads = epilogue::read(unit, &bindings, 0)
            + &epilogue::write_extra(&bindings, "write_partial", partial);
        let options = options.define("PARTIAL").splice("epilogue", "");
        self.dispatch(unit, " sums", options, reads, bindings)
    }

    fn dispatch(
        &self,
        unit: &mut Unit<'_>,
        what: &str,
        options: Options,
        reads: String,
        mut bindings: Bindings,
    ) -> Result<()> {
        let options = bindings
            .named(options, &self.sizes)
            .constant("WORKGROUP", unit.target.workgroup)
            .splice("reads", reads);
        let label = format!("{}{what}", self.label);
        unit.dispatch("scan.wgsl", label, options, bindings, self.groups)
    }
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
