//! Annotations of pictures in files: COCO's JSON and VOC's XML, read and written.
//!
//! Files are not trusted: what they claim costs no more memory than their bytes, depth is bounded, and what does not
//! fit together is an error that names the place.

mod coco;
mod voc;
mod xml;

pub use coco::{CocoAnnotation, CocoAnnotations, CocoCategory, CocoImage, CocoSegmentation};
pub use voc::{VocAnnotation, VocObject};
