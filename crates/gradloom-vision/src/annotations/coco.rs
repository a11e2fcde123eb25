//! [`CocoAnnotations`]: objects of pictures as COCO's `instances_*.json` has them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Result};
use gradloom_tensor::ErrorKind;
use serde::{Deserialize, Serialize};

/// Pictures, categories, and the objects that they have. Other parts of a file are left out.
///
/// ```
/// use gradloom_vision::annotations::CocoAnnotations;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let file = r#"{
///     "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
///     "categories": [{"id": 3, "name": "cat"}],
///     "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 10], "iscrowd": 0}]
/// }"#;
/// let annotations = CocoAnnotations::from_json(file.as_bytes())?;
/// assert_eq!(annotations.boxes_of(7), [([10.0, 20.0, 40.0, 30.0], 0)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CocoAnnotations {
    /// The pictures.
    pub images: Vec<CocoImage>,
    /// The categories; their order is that of classes.
    pub categories: Vec<CocoCategory>,
    /// The objects.
    pub annotations: Vec<CocoAnnotation>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoImage {
    /// What annotations name.
    pub id: u64,
    /// Its file.
    pub file_name: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoCategory {
    /// What annotations name.
    pub id: u64,
    /// Such as `cat`.
    pub name: String,
    /// Such as `animal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supercategory: Option<String>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoAnnotation {
    /// Its number.
    pub id: u64,
    /// The picture's number.
    pub image_id: u64,
    /// The category's number.
    pub category_id: u64,
    /// Left, top, width, height.
    pub bbox: [f64; 4],
    /// Pixels inside, which evaluation sorts objects by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<f64>,
    /// One if it is many objects that are not told apart.
    #[serde(default)]
    pub iscrowd: u8,
    /// Its outline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<CocoSegmentation>,
}

/// The outline of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoSegmentation {
    /// Corners `x, y, x, y, ..` of one polygon or several.
    Polygons(Vec<Vec<f64>>),
    /// Lengths of runs that are outside and inside in turn, down the columns.
    Runs {
        /// The lengths.
        counts: Vec<u32>,
        /// Height and width.
        size: [u32; 2],
    },
    /// The same, packed into text.
    PackedRuns {
        /// The text.
        counts: String,
        /// Height and width.
        size: [u32; 2],
    },
}

impl CocoAnnotations {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If they are no such JSON; if a number is there twice; if an object names a picture or a category that is not
    /// there; if a box is not finite or has a negative size.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let parsed: CocoAnnotations = serde_json::from_slice(bytes)
            .map_err(|error| Error::caused(ErrorKind::Malformed, "coco", error))?;
        parsed.check()?;
        Ok(parsed)
    }

    /// As JSON that [`from_json`](Self::from_json) reads.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json): nothing is written that could not be read.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        serde_json::to_string(self).map_err(|error| Error::other("coco", error))
    }

    fn check(&self) -> Result<()> {
        let failed =
            |message: String| Err(Error::new(ErrorKind::Malformed, format!("coco: {message}")));
        let twice = |what: &str, mut ids: &mut dyn Iterator<Item = u64>| {
            let mut seen = BTreeSet::new();
            let twice = Iterator::find(&mut ids, |&id| !seen.insert(id));
            (seen, twice.map(|id| format!("{what} {id} is there twice")))
        };
        let (images, fault) = twice("image", &mut self.images.iter().map(|image| image.id));
        let (categories, other) =
            twice("category", &mut self.categories.iter().map(|category| category.id));
        let (_, third) = twice("annotation", &mut self.annotations.iter().map(|object| object.id));
        if let Some(message) = fault.or(other).or(third) {
            return failed(message);
        }
        for object in &self.annotations {
            let CocoAnnotation { id, image_id, category_id, bbox, .. } = object;
            if !images.contains(image_id) {
                return failed(format!(
                    "annotation {id} is of image {image_id}, which is not there"
                ));
            }
            if !categories.contains(category_id) {
                let message = format!("annotation {id} is of category {category_id}");
                return failed(format!("{message}, which is not there"));
            }
            let finite = bbox.iter().all(|value| value.is_finite());
            if !finite || bbox[2] < 0.0 || bbox[3] < 0.0 {
                return failed(format!("annotation {id} has the box {bbox:?}"));
            }
        }
        Ok(())
    }

    /// Boxes `[left, top, right, bottom]` of a picture's objects, cut at its edges, and their classes: places in the
    /// list of categories. Crowds, and boxes with nothing in the picture, are left out.
    pub fn boxes_of(&self, image: u64) -> Vec<([f32; 4], usize)> {
        let Some(picture) = self.images.iter().find(|other| other.id == image) else {
            return Vec::new();
        };
        let places = self.categories.iter().enumerate();
        let classes: BTreeMap<u64, usize> =
            places.map(|(class, category)| (category.id, class)).collect();
        let (width, height) = (f64::from(picture.width), f64::from(picture.height));
        let objects = self.annotations.iter();
        let objects = objects.filter(|object| object.image_id == image && object.iscrowd == 0);
        let boxes = objects.filter_map(|object| {
            let [left, top, across, down] = object.bbox;
            let (right, bottom) = ((left + across).min(width), (top + down).min(height));
            let (left, top) = (left.max(0.0), top.max(0.0));
            let class = *classes.get(&object.category_id)?;
            let bounds = [left, top, right, bottom].map(|side| side as f32);
            (left < right && top < bottom).then_some((bounds, class))
        });
        boxes.collect()
    }
}
