//! Any bytes as annotations of COCO and VOC; what is read is written and read again.

#![no_main]

use gradloom_vision::annotations::{CocoAnnotations, VocAnnotation};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(annotations) = CocoAnnotations::from_json(bytes) {
        let json = annotations.to_json().expect("what was read can be written");
        assert_eq!(CocoAnnotations::from_json(json.as_bytes()).as_ref().ok(), Some(&annotations));
        for image in &annotations.images {
            let _ = annotations.boxes_of(image.id);
        }
    }
    if let Ok(annotation) = VocAnnotation::from_xml(bytes) {
        VocAnnotation::from_xml(annotation.to_xml().as_bytes()).expect("what was written can be read");
    }
});
