//! Detection: where objects are in a picture, and of which class.

pub mod yolo;
