//! [`AnchorGenerator`]: the reference boxes of every place of feature maps.

use crate::{Error, Result};

/// Boxes of several sizes and shapes around each place of each feature map.
///
/// torchvision: `AnchorGenerator`. Ren et al., "Faster R-CNN", 2015.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorGenerator {
    /// Around the origin, of each feature map.
    cells: Vec<Vec<[f32; 4]>>,
}

impl AnchorGenerator {
    /// Sizes in pixels and ratios of height to width for each feature map.
    ///
    /// # Errors
    /// If a size or a ratio is not above zero, or there are not as many lists of ratios as of sizes.
    pub fn new(sizes: &[Vec<f32>], ratios: &[Vec<f32>]) -> Result<Self> {
        const OP: &str = "anchors";
        if sizes.len() != ratios.len() {
            let (sizes, ratios) = (sizes.len(), ratios.len());
            let message = format!("{OP}: sizes for {sizes} feature maps, ratios for {ratios}");
            return Err(Error::invalid(message));
        }
        let all = sizes.iter().chain(ratios).flatten();
        if let Some(value) = all.into_iter().find(|value| !(value.is_finite() && **value > 0.0)) {
            return Err(Error::invalid(format!("{OP}: a size or ratio is {value}")));
        }
        let cells = sizes.iter().zip(ratios).map(|(sizes, ratios)| {
            let boxes = ratios.iter().flat_map(|ratio| {
                let height = ratio.sqrt();
                sizes.iter().map(move |size| {
                    let (width, height) = (1.0 / height * size, height * size);
                    [-width, -height, width, height].map(|side| (side / 2.0).round_ties_even())
                })
            });
            boxes.collect::<Vec<[f32; 4]>>()
        });
        Ok(AnchorGenerator { cells: cells.collect() })
    }

    /// Boxes at each place of each feature map.
    pub fn per_place(&self) -> Vec<usize> {
        self.cells.iter().map(Vec::len).collect()
    }

    /// The boxes of all places, feature map by feature map, row by row, for a picture of this height and width and
    /// feature maps of these.
    ///
    /// # Errors
    /// If there are not as many feature maps as the generator was made for, or one has no places.
    pub fn boxes(&self, picture: [usize; 2], maps: &[[usize; 2]]) -> Result<Vec<[f32; 4]>> {
        if maps.len() != self.cells.len() || maps.iter().any(|map| map.contains(&0)) {
            let expected = self.cells.len();
            return Err(Error::invalid(format!("anchors: feature maps {maps:?} for {expected}")));
        }
        let mut boxes = Vec::new();
        for (cells, &[height, width]) in self.cells.iter().zip(maps) {
            let stride = [picture[0] / height, picture[1] / width];
            for row in 0..height {
                for column in 0..width {
                    let (x, y) = ((column * stride[1]) as f32, (row * stride[0]) as f32);
                    boxes.extend(cells.iter().map(|[left, top, right, bottom]| {
                        [x + left, y + top, x + right, y + bottom]
                    }));
                }
            }
        }
        Ok(boxes)
    }
}
