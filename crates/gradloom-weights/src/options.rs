//! [`ReadOptions`]: how a tensor is to be other than its file has it.

/// How a tensor is read, for [`Checkpoint::tensor_with`](crate::Checkpoint::tensor_with).
///
/// ```no_run
/// # fn f(device: gradloom_tensor::Device) -> gradloom_weights::Result<()> {
/// use gradloom_weights::{Checkpoint, ReadOptions};
///
/// let checkpoint = Checkpoint::open("model.safetensors")?;
/// let options = ReadOptions::new().rows(&[2, 0]).floats_as_f32();
/// let two_rows = checkpoint.tensor_with("table.weight", &options, &device)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions<'a> {
    pub(crate) rows: Option<&'a [usize]>,
    pub(crate) floats_as_f32: bool,
}

impl<'a> ReadOptions<'a> {
    /// As the file has it.
    pub fn new() -> Self {
        ReadOptions::default()
    }

    /// These rows, along the first axis, in this order. Rows of blocks move whole, and stay in blocks.
    #[must_use]
    pub fn rows(self, rows: &'a [usize]) -> Self {
        ReadOptions { rows: Some(rows), ..self }
    }

    /// `f16`, `bf16` and `f64` become `f32`. Integers and blocks do not.
    #[must_use]
    pub fn floats_as_f32(self) -> Self {
        ReadOptions { floats_as_f32: true, ..self }
    }
}
