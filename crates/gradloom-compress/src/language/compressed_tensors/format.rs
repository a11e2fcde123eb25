//! [`Format`]: how integers are stored.

/// How integers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Packed into words of 32 bits.
    #[default]
    PackQuantized,
    /// 8 bits, symmetric, with one scale for each output, as bytes.
    IntQuantized,
}

impl Format {
    /// As the format is called in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Format::PackQuantized => "pack-quantized",
            Format::IntQuantized => "int-quantized",
        }
    }
}
