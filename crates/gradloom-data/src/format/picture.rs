//! PNG and JPEG to [`Image`], upright; and images to PNG.
//!
//! Files are not trusted: a header that claims more pixels than its file can hold is refused before
//! memory is asked for, and a file that ends too early is an error and not a grey rest. The bytes of a JPEG
//! may differ by a few levels from those of libjpeg-turbo, as decoders' do. Colour profiles, and frames of
//! animations beyond the first, are absent on purpose.

use std::io::{Cursor, Write};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::orientation::{Orientation, of_exif};
use crate::{Error, Image, Result, Source, error};

/// Bytes beyond which a picture's file is not read unless [`Source::limit`] says otherwise.
const FILE_BYTES_MAX: u64 = 1 << 28;

/// How to read a picture.
///
/// Pillow: `ImageOps.exif_transpose(Image.open(path)).convert("RGB")`.
///
/// ```no_run
/// use gradloom_data::format::picture::PictureReader;
///
/// let image = PictureReader::new().read("photo.jpg")?;
/// assert_eq!(image.channels(), 3);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PictureReader {
    grey: bool,
    pixels_max: u64,
}

impl Default for PictureReader {
    fn default() -> Self {
        PictureReader::new()
    }
}

impl PictureReader {
    /// Three channels, `[3, H, W]`, of pictures up to 100 million pixels. Transparency is left out, and of
    /// 16 bits the upper eight are kept.
    pub fn new() -> Self {
        PictureReader { grey: false, pixels_max: 100_000_000 }
    }

    /// One channel of grey, as Pillow's `convert("L")`.
    #[must_use]
    pub fn grey(mut self) -> Self {
        self.grey = true;
        self
    }

    /// Refuses larger pictures.
    #[must_use]
    pub fn pixels_max(mut self, pixels: u64) -> Self {
        self.pixels_max = pixels;
        self
    }

    /// Reads a PNG or a JPEG, told by its first bytes, and turns it as its EXIF data say.
    ///
    /// # Errors
    /// If the file is neither, is damaged or ends too early, or is larger than a limit.
    pub fn read<'a>(&self, source: impl Into<Source<'a>>) -> Result<Image> {
        let mut input = source.into().open()?;
        let limit = FILE_BYTES_MAX.min(input.limit());
        let bytes = input.piece(limit + 1)?;
        let file = input.name();
        if bytes.len() as u64 > limit {
            return Err(error::too_large(file, format!("a picture of more than {limit} bytes")));
        }
        // Decoders of hostile files are held not to take a program down with them.
        let decoded = std::panic::catch_unwind(|| match &bytes[..] {
            [0x89, b'P', b'N', b'G', ..] => self.png(file, &bytes),
            [0xff, 0xd8, ..] => self.jpeg(file, &bytes),
            [] => Err(error::truncated(file, 0, "a picture is expected")),
            _ => Err(error::malformed(file, 0, "neither a PNG nor a JPEG; convert it")),
        });
        decoded.unwrap_or_else(|_| Err(error::malformed(file, 0, "the picture is damaged")))
    }

    /// Refuses sizes that the file cannot have or that are beyond the limit. A byte of a picture's file
    /// stands for so many pixels at most.
    fn check(&self, file: &str, size: (u64, u64), bytes: usize, per_byte: u64) -> Result<()> {
        let (width, height) = size;
        let pixels = width.saturating_mul(height);
        if pixels == 0 {
            return Err(error::malformed(file, 0, format!("{width} x {height} pixels")));
        }
        if pixels > self.pixels_max {
            let limit = self.pixels_max;
            let message = format!("{width} x {height} pixels, more than the limit of {limit}");
            return Err(error::too_large(
                file,
                format!("{message}; raise PictureReader::pixels_max"),
            ));
        }
        if pixels / per_byte > bytes as u64 {
            let message = format!("{width} x {height} pixels cannot be in {bytes} bytes");
            return Err(error::malformed(file, 0, message));
        }
        Ok(())
    }

    fn png(&self, file: &str, bytes: &[u8]) -> Result<Image> {
        let fault = |fault: png::DecodingError| match fault {
            png::DecodingError::IoError(fault)
                if fault.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                error::truncated(file, bytes.len() as u64, "the PNG goes on")
            }
            fault => error::malformed(file, 0, format!("a damaged PNG: {fault}")),
        };
        let limits = png::Limits { bytes: 1 << 26 };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(fault)?;
        let (width, height) = (reader.info().width, reader.info().height);
        // Deflate makes at most 1032 bytes of one.
        let bits = reader.info().bits_per_pixel().max(1) as u64;
        self.check(file, (width.into(), height.into()), bytes.len(), 1032 * 8 / bits)?;
        let orientation =
            reader.info().exif_metadata.as_deref().map_or(Orientation::Upright, of_exif);
        let too_large = || error::too_large(file, "more pixels than can be addressed");
        let mut pixels = vec![0; reader.output_buffer_size().ok_or_else(too_large)?];
        let frame = reader.next_frame(&mut pixels).map_err(fault)?;
        let samples = frame.color_type.samples();
        let colours = if samples < 3 { 1 } else { 3 };
        self.image(&pixels, (width as usize, height as usize), samples, colours, orientation)
    }

    fn jpeg(&self, file: &str, bytes: &[u8]) -> Result<Image> {
        let fault = |fault| error::malformed(file, 0, format!("a damaged JPEG: {fault:?}"));
        let options = DecoderOptions::default().set_max_width(65_535).set_max_height(65_535);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(fault)?;
        let Some((width, height)) = decoder.dimensions() else {
            return Err(error::malformed(file, 0, "a JPEG without a size"));
        };
        // A block of 64 pixels takes a bit at least, for its mean.
        self.check(file, (width as u64, height as u64), bytes.len(), 8 * 64)?;
        if !ends(bytes) {
            return Err(error::truncated(file, bytes.len() as u64, "the JPEG goes on"));
        }
        let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
        let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
        let colours = if grey { 1 } else { 3 };
        decoder.set_options(options.jpeg_set_out_colorspace(wanted));
        let pixels = decoder.decode().map_err(fault)?;
        if pixels.len() != width * height * colours {
            return Err(error::malformed(file, 0, "a JPEG of colours that are not read"));
        }
        let orientation = decoder.exif().map_or(Orientation::Upright, |exif| of_exif(exif));
        self.image(&pixels, (width, height), colours, colours, orientation)
    }

    /// Pixels side by side to planes, upright; the first `colours` of `samples` are colours.
    fn image(
        &self,
        pixels: &[u8],
        (width, height): (usize, usize),
        samples: usize,
        colours: usize,
        orientation: Orientation,
    ) -> Result<Image> {
        let channels = if self.grey { 1 } else { 3 };
        let mut planes = Vec::with_capacity(channels * width * height);
        for channel in 0..channels {
            planes.extend(pixels.chunks_exact(samples).take(width * height).map(|pixel| {
                match (colours, self.grey) {
                    (1, _) => pixel[0],
                    (_, false) => pixel[channel],
                    (_, true) => grey(pixel),
                }
            }));
        }
        Ok(orientation.upright(Image::new(planes, [channels, height, width])?))
    }
}

/// Grey in 16 bits after the point, as Pillow has it.
fn grey(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
}

/// True if the end of the picture is marked after the data of its first scan begin.
fn ends(bytes: &[u8]) -> bool {
    let mut place = 2;
    // Segments before the data have lengths, and may hold a thumbnail with an end of its own.
    while let Some(&[0xff, marker, high, low]) = bytes.get(place..place + 4) {
        if marker == 0xff {
            place += 1;
            continue;
        }
        place += 2 + usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xda {
            break;
        }
    }
    bytes.get(place..).is_some_and(|data| data.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Writes an image of one or three channels as PNG.
///
/// # Errors
/// If it has other channels or no pixels, or writing fails.
pub fn write_png(image: &Image, writer: impl Write) -> Result<()> {
    let [channels, height, width] = image.size();
    let colours = match channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => {
            return Err(Error::invalid(format!(
                "write png: {channels} channels; 1 or 3 are written"
            )));
        }
    };
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Error::invalid(format!("write png: {height} x {width} pixels")));
    };
    let plane = height * width;
    let pixels: Vec<u8> = (0..plane)
        .flat_map(|at| (0..channels).map(move |c| image.pixels()[c * plane + at]))
        .collect();
    let mut encoder = png::Encoder::new(writer, columns, rows);
    encoder.set_color(colours);
    let mut writer = encoder.write_header().map_err(|fault| Error::other("write png", fault))?;
    writer.write_image_data(&pixels).map_err(|fault| Error::other("write png", fault))?;
    writer.finish().map_err(|fault| Error::other("write png", fault))
}
