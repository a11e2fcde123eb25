//! [`Orientation`]: how a camera was held, as EXIF data say, and pictures turned upright.

use crate::{Image, Pixel};

/// What must be done to a picture to see it upright; the numbers of EXIF from 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orientation {
    Upright,
    Mirrored,
    UpsideDown,
    MirroredUpsideDown,
    Transposed,
    /// Turned clockwise to be upright.
    Clockwise,
    TransposedOtherwise,
    /// Turned counter-clockwise to be upright.
    CounterClockwise,
}

/// The orientation that EXIF data (TIFF, with or without `Exif\0\0` before it) say; upright if they say
/// nothing that can be understood. Broken EXIF data do not make a picture unreadable.
pub(super) fn of_exif(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    match tag(tiff, 0x0112) {
        Some(2) => Orientation::Mirrored,
        Some(3) => Orientation::UpsideDown,
        Some(4) => Orientation::MirroredUpsideDown,
        Some(5) => Orientation::Transposed,
        Some(6) => Orientation::Clockwise,
        Some(7) => Orientation::TransposedOtherwise,
        Some(8) => Orientation::CounterClockwise,
        _ => Orientation::Upright,
    }
}

/// The short number of a tag in the first directory.
fn tag(tiff: &[u8], wanted: u16) -> Option<u16> {
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| -> Option<u32> {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = long(4)? as usize;
    let entries = short(directory)?;
    // An entry is a tag, a type (3 is a short), a count, and the value.
    let entry = |number: u16| directory.checked_add(2 + 12 * usize::from(number));
    let found = (0..entries).filter_map(entry).find(|&at| short(at) == Some(wanted))?;
    (short(found + 2)? == 3).then(|| short(found + 8))?
}

impl Orientation {
    pub(super) fn upright<T: Pixel>(self, image: Image<T>) -> Image<T> {
        if self == Orientation::Upright {
            return image;
        }
        let [channels, height, width] = image.size();
        let transposed = matches!(
            self,
            Orientation::Transposed
                | Orientation::Clockwise
                | Orientation::TransposedOtherwise
                | Orientation::CounterClockwise
        );
        let (to_height, to_width) = if transposed { (width, height) } else { (height, width) };
        let mut pixels = Vec::with_capacity(image.pixels().len());
        for plane in image.pixels().chunks_exact((height * width).max(1)) {
            for (row, column) in (0..to_height).flat_map(|r| (0..to_width).map(move |c| (r, c))) {
                let (from_row, from_column) = match self {
                    Orientation::Upright => (row, column),
                    Orientation::Mirrored => (row, width - 1 - column),
                    Orientation::UpsideDown => (height - 1 - row, width - 1 - column),
                    Orientation::MirroredUpsideDown => (height - 1 - row, column),
                    Orientation::Transposed => (column, row),
                    Orientation::Clockwise => (height - 1 - column, row),
                    Orientation::TransposedOtherwise => (height - 1 - column, width - 1 - row),
                    Orientation::CounterClockwise => (column, width - 1 - row),
                };
                pixels.push(plane[from_row * width + from_column]);
            }
        }
        // As many pixels as before, in a size of the same product.
        Image::new(pixels, [channels, to_height, to_width]).unwrap_or(image)
    }
}

#[cfg(test)]
mod tests {
    use super::{Orientation, of_exif};
    use crate::Image;

    fn exif(little: bool, orientation: u16) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut bytes = b"Exif\0\0".to_vec();
        bytes.extend(if little { *b"II" } else { *b"MM" });
        bytes.extend(short(42));
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, value) in [(0x0100, 7), (0x0112, orientation)] {
            bytes.extend(short(tag));
            bytes.extend(short(3));
            bytes.extend(long(1));
            bytes.extend(short(value));
            bytes.extend([0, 0]);
        }
        bytes
    }

    #[test]
    fn every_orientation_is_turned_upright() {
        // How the picture 1 2 3 / 4 5 6 lies in a file of each orientation.
        let stored: [(&[u8], [usize; 3]); 8] = [
            (&[1, 2, 3, 4, 5, 6], [1, 2, 3]),
            (&[3, 2, 1, 6, 5, 4], [1, 2, 3]),
            (&[6, 5, 4, 3, 2, 1], [1, 2, 3]),
            (&[4, 5, 6, 1, 2, 3], [1, 2, 3]),
            (&[1, 4, 2, 5, 3, 6], [1, 3, 2]),
            (&[3, 6, 2, 5, 1, 4], [1, 3, 2]),
            (&[6, 3, 5, 2, 4, 1], [1, 3, 2]),
            (&[4, 1, 5, 2, 6, 3], [1, 3, 2]),
        ];
        for (number, (pixels, size)) in (1..).zip(stored) {
            for little in [false, true] {
                let image = Image::new(pixels.to_vec(), size).unwrap();
                let upright = of_exif(&exif(little, number)).upright(image);
                assert_eq!(
                    (upright.pixels(), upright.size()),
                    (&[1, 2, 3, 4, 5, 6][..], [1, 2, 3]),
                    "{number}"
                );
            }
        }
    }

    #[test]
    fn broken_data_say_nothing() {
        let whole = exif(true, 6);
        for len in 0..whole.len() - 4 {
            assert_eq!(of_exif(&whole[..len]), Orientation::Upright, "{len}");
        }
        assert_eq!(of_exif(&exif(true, 9)), Orientation::Upright);
        let mut far = whole;
        far[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of_exif(&far), Orientation::Upright);
    }
}
