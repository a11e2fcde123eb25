//! The kernel that packs narrow elements which others have left as a word for each.

use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::bindings::Bindings;
use super::epilogue::dispatch_elements;
use super::packed::per_word;
use super::unit::Unit;

/// Packs the outputs that the kernel's own dispatches have left in scratch memory.
pub(crate) fn compile(unit: &mut Unit<'_>) -> Result<()> {
    for position in 0..unit.kernel.outputs.len() {
        let Some(wide) = unit.widened(position) else { continue };
        let (output, target) = unit.packed_output(position);
        let mut bindings = Bindings::default();
        bindings.register(wide, output.dtype, false, false)?;
        bindings.register(target, output.dtype, false, true)?;
        let each = per_word(output.dtype);
        let values: Vec<String> = (0..each)
            .map(|lane| bindings.load(wide, output.dtype, &format!("word * {each}u + {lane}u")))
            .collect();
        let store = bindings.store_word(target, output.dtype, "word", &values);
        let options = Options::new().splice("pack", format!("    {store}"));
        let words = output.len.div_ceil(each);
        let label = format!("pack {} {}", output.len, output.dtype);
        dispatch_elements(unit, "pack.wgsl", label, words, options, bindings)?;
    }
    Ok(())
}
