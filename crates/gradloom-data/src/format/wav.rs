//! WAV: sound as numbers, of 8, 16, 24 and 32 bits or floats, any number of channels.
//!
//! Chunks are read in order and never asked for memory by what they claim. Compressed WAV (ADPCM, A-law)
//! and other containers are absent on purpose; the error names them.

use crate::source::Input;
use crate::{Result, Source, error};

/// Sound: samples of every channel between -1 and 1, `[C, N]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// All samples, one channel after another.
    pub samples: Vec<f32>,
    /// Number of channels.
    pub channels: usize,
    /// Samples of a channel in a second.
    pub sample_rate: u32,
}

impl Audio {
    /// Samples of each channel.
    pub fn len(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Seconds.
    pub fn duration(&self) -> f64 {
        self.len() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The samples of one channel.
    pub fn channel(&self, index: usize) -> Option<&[f32]> {
        if index >= self.channels {
            return None;
        }
        self.samples.get(index * self.len()..(index + 1) * self.len())
    }

    /// The mean of all channels, as speech models read it.
    #[must_use]
    pub fn mono(&self) -> Audio {
        let len = self.len();
        let mean = |at: usize| {
            let sum: f32 = (0..self.channels).map(|channel| self.samples[channel * len + at]).sum();
            sum / self.channels as f32
        };
        let samples = (0..len).map(mean).collect();
        Audio { samples, channels: 1, sample_rate: self.sample_rate }
    }
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Encoding::U8 => 1,
            Encoding::I16 => 2,
            Encoding::I24 => 3,
            Encoding::I32 | Encoding::F32 => 4,
            Encoding::F64 => 8,
        }
    }

    /// A sample of these bytes, which are as many as there should be. Integers are divided by one more
    /// than the largest of them, as in torchaudio and soundfile.
    fn sample(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Encoding::U8, &[byte]) => (f32::from(byte) - 128.0) / 128.0,
            (Encoding::I16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Encoding::I24, &[a, b, c]) => {
                (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0
            }
            (Encoding::I32, &[a, b, c, d]) => {
                (f64::from(i32::from_le_bytes([a, b, c, d])) / 2_147_483_648.0) as f32
            }
            (Encoding::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Encoding::F64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => 0.0,
        }
    }
}

struct Format {
    encoding: Encoding,
    channels: usize,
    sample_rate: u32,
}

/// Reads a WAV file, plain or gzipped. torchaudio: `load(path)`; soundfile: `read(path)`.
///
/// A recording that was never finished has no length in its header; all that is there is read. A sample of
/// floats that is no number is an error.
///
/// # Errors
/// If it is no WAV, is compressed, is damaged, ends too early, or is larger than the source's limit.
pub fn read_wav<'a>(source: impl Into<Source<'a>>) -> Result<Audio> {
    let mut input = source.into().open()?;
    let head = input.up_to(12)?;
    let file = input.name().to_owned();
    match &head[..] {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => {}
        [b'R', b'I', b'F', b'X', ..] | [b'R', b'F', b'6', b'4', ..] => {
            return Err(error::malformed(
                &file,
                0,
                "RIFX and RF64 are not read; convert it to WAV",
            ));
        }
        _ if head.len() < 12 && b"RIFF".starts_with(&head[..head.len().min(4)]) => {
            return Err(error::truncated(
                &file,
                head.len() as u64,
                "a WAV file begins with 12 bytes",
            ));
        }
        _ => return Err(error::malformed(&file, 0, "not a WAV file; convert it")),
    }
    let mut format = None;
    loop {
        let position = input.position();
        let header = input.up_to(8)?;
        let Ok([a, b, c, d, size @ ..]) = <[u8; 8]>::try_from(&header[..]) else {
            let missing = "a chunk of samples is expected";
            return Err(error::truncated(&file, position + header.len() as u64, missing));
        };
        let size = u32::from_le_bytes(size);
        match (&[a, b, c, d], &format) {
            (b"fmt ", _) => format = Some(read_format(&mut input, size)?),
            (b"data", Some(format)) => return read_samples(&mut input, size, format),
            (b"data", None) => {
                return Err(error::malformed(&file, position, "samples before their format"));
            }
            _ => skip(&mut input, u64::from(size) + u64::from(size % 2))?,
        }
    }
}

fn skip(input: &mut Input<'_>, bytes: u64) -> Result<()> {
    let mut left = bytes;
    while left > 0 {
        let piece = input.piece(left.min(1 << 16))?.len() as u64;
        if piece == 0 {
            let missing = format!("a chunk of {bytes} bytes is not whole");
            return Err(error::truncated(input.name(), input.position(), missing));
        }
        left -= piece;
    }
    Ok(())
}

fn read_format(input: &mut Input<'_>, size: u32) -> Result<Format> {
    let position = input.position();
    let file = input.name().to_owned();
    if !(16..=4096).contains(&size) {
        return Err(error::malformed(&file, position, format!("a format of {size} bytes")));
    }
    let whole = u64::from(size) + u64::from(size % 2);
    let bytes = input.exactly(whole, &|| format!("its format has {size} bytes"))?;
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let sample_rate = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let (channels, frame, bits) = (short(2), short(12), short(14));
    // The extensible format has the code at the beginning of an identifier.
    let code = if short(0) == 0xfffe && bytes.len() >= 26 { short(24) } else { short(0) };
    let encoding = match (code, bits) {
        (1, 8) => Encoding::U8,
        (1, 16) => Encoding::I16,
        (1, 24) => Encoding::I24,
        (1, 32) => Encoding::I32,
        (3, 32) => Encoding::F32,
        (3, 64) => Encoding::F64,
        _ => {
            let message =
                format!("samples of {bits} bits in format {code}; convert it to 16 bits PCM");
            return Err(error::malformed(&file, position, message));
        }
    };
    let channels = usize::from(channels);
    if channels == 0 || sample_rate == 0 || usize::from(frame) != channels * encoding.bytes() {
        let message = format!(
            "{channels} channels of {bits} bits at {sample_rate} per second in frames of {frame} bytes"
        );
        return Err(error::malformed(&file, position, message));
    }
    Ok(Format { encoding, channels, sample_rate })
}

fn read_samples(input: &mut Input<'_>, size: u32, format: &Format) -> Result<Audio> {
    let start = input.position();
    let unfinished = size == 0 || size == u32::MAX;
    let bytes = if unfinished {
        input.rest()?
    } else {
        input.exactly(size.into(), &|| format!("its samples have {size} bytes"))?
    };
    let (width, channels) = (format.encoding.bytes(), format.channels);
    let count = bytes.len() / (width * channels);
    if !unfinished && count * width * channels != bytes.len() {
        let message = format!("{size} bytes are no frames of {}", width * channels);
        return Err(error::malformed(input.name(), start, message));
    }
    let mut samples = Vec::with_capacity(count * channels);
    for channel in 0..channels {
        for frame in bytes.chunks_exact(width * channels) {
            let sample = format.encoding.sample(&frame[channel * width..][..width]);
            if !sample.is_finite() {
                let at = samples.len() % count;
                let message = format!("sample {at} of channel {channel} is {sample}");
                return Err(error::malformed(input.name(), start, message));
            }
            samples.push(sample);
        }
    }
    Ok(Audio { samples, channels, sample_rate: format.sample_rate })
}
