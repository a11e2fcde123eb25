//! [`Picture`]: pixels on their way to a file, as PNG.

use crate::{Error, Result};

/// Rows of pixels of one (grey), three (RGB) or four (RGBA) bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    channels: u8,
    pixels: Vec<u8>,
}

impl Picture {
    /// Of `height` rows of `width` pixels of `channels` bytes each.
    ///
    /// # Errors
    /// If that is not how many bytes there are, or there are other than 1, 3 or 4 channels.
    pub fn new(width: u32, height: u32, channels: u8, pixels: Vec<u8>) -> Result<Self> {
        let wanted = u64::from(width) * u64::from(height) * u64::from(channels);
        if !matches!(channels, 1 | 3 | 4) || wanted != pixels.len() as u64 || wanted == 0 {
            let len = pixels.len();
            return Err(Error::invalid(format!(
                "picture: {len} bytes for {width} x {height} pixels of {channels} channels; there must be \
                 {wanted}, of 1, 3 or 4 channels"
            )));
        }
        Ok(Picture { width, height, channels, pixels })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of a pixel.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Row after row, the channels of a pixel beside each other.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// If the picture is too large for the format.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_color(match self.channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            _ => png::ColorType::Rgba,
        });
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.pixels)?;
            writer.finish()
        });
        written.map_err(|error| Error::other("picture", error))?;
        Ok(file)
    }
}
