//! Annotations of COCO and VOC: there and back, and files that are damaged, cut off or do not fit together.

use gradloom_vision::annotations::{
    CocoAnnotation, CocoAnnotations, CocoCategory, CocoImage, CocoSegmentation, VocAnnotation,
    VocObject,
};
use proptest::prelude::*;

fn coco() -> CocoAnnotations {
    let image = |id, file_name: &str| CocoImage {
        id,
        file_name: file_name.to_owned(),
        width: 100,
        height: 50,
    };
    let category = |id, name: &str| CocoCategory { id, name: name.to_owned(), supercategory: None };
    let object = |id, image_id, category_id, bbox, segmentation| CocoAnnotation {
        id,
        image_id,
        category_id,
        bbox,
        area: Some(12.5),
        iscrowd: 0,
        segmentation,
    };
    let polygon = CocoSegmentation::Polygons(vec![vec![1.0, 2.0, 3.5, 4.0, 5.0, 6.0]]);
    let runs = CocoSegmentation::Runs { counts: vec![3, 4, 9], size: [4, 4] };
    let packed = CocoSegmentation::PackedRuns { counts: "abc".to_owned(), size: [4, 4] };
    CocoAnnotations {
        images: vec![image(7, "a \"quoted\" name.jpg"), image(9, "b.png")],
        categories: vec![category(90, "dog"), category(1, "cat")],
        annotations: vec![
            object(1, 7, 1, [90.0, 40.0, 30.0, 5.0], Some(polygon)),
            object(2, 7, 90, [200.0, 0.0, 3.0, 3.0], Some(runs)),
            object(3, 7, 90, [5.0, 5.0, 0.0, 3.0], Some(packed)),
            object(4, 9, 90, [-5.0, 5.0, 10.0, 3.0], None),
        ],
    }
}

#[test]
fn coco_goes_there_and_back() {
    let annotations = coco();
    let json = annotations.to_json().unwrap();
    assert_eq!(CocoAnnotations::from_json(json.as_bytes()).unwrap(), annotations);
    // Cut at the edges; what is outside or empty is left out.
    assert_eq!(annotations.boxes_of(7), [([90.0, 40.0, 100.0, 45.0], 1)]);
    assert_eq!(annotations.boxes_of(9), [([0.0, 5.0, 5.0, 8.0], 0)]);
    assert!(annotations.boxes_of(8).is_empty());
}

#[test]
fn coco_says_what_does_not_fit_together() {
    let wrong = |change: fn(&mut CocoAnnotations), part: &str| {
        let mut annotations = coco();
        change(&mut annotations);
        let error = annotations.to_json().unwrap_err();
        assert!(error.is_malformed() && error.to_string().contains(part), "{error}");
    };
    wrong(|a| a.annotations[2].image_id = 8, "annotation 3 is of image 8, which is not there");
    wrong(|a| a.annotations[0].category_id = 8, "category 8, which is not there");
    wrong(|a| a.images[0].id = 9, "image 9 is there twice");
    wrong(|a| a.annotations[0].bbox[2] = -1.0, "annotation 1 has the box");
    wrong(|a| a.annotations[0].bbox[0] = f64::NAN, "annotation 1 has the box");
    let error = CocoAnnotations::from_json(b"{\"images\": [").unwrap_err();
    assert!(error.is_malformed());
    let deep = "[".repeat(100_000);
    assert!(CocoAnnotations::from_json(deep.as_bytes()).is_err());
    let deep = format!("{{\"images\":[],\"categories\":[],\"annotations\":[],\"info\":{deep}");
    assert!(CocoAnnotations::from_json(deep.as_bytes()).is_err());
}

fn voc() -> VocAnnotation {
    let object = |name: &str, bounds, difficult| VocObject {
        name: name.to_owned(),
        bounds,
        difficult,
        truncated: !difficult,
    };
    VocAnnotation {
        file_name: "a & <b>.jpg".to_owned(),
        size: [48, 64, 3],
        objects: vec![
            object("cat", [10.0, 20.0, 40.5, 30.0], false),
            object("\"dog\"", [0.0, 0.0, 1.0, 1.0], true),
        ],
    }
}

#[test]
fn voc_goes_there_and_back() {
    let xml = voc().to_xml();
    assert_eq!(VocAnnotation::from_xml(xml.as_bytes()).unwrap(), voc(), "{xml}");
    let with_more =
        xml.replace("<annotation>", "<?xml version='1.0'?><!-- > --><annotation a='>'>");
    let with_more = with_more.replace("<object>", "<pose/>\n<object>");
    assert_eq!(VocAnnotation::from_xml(with_more.as_bytes()).unwrap(), voc());
}

#[test]
fn voc_says_what_is_wrong() {
    let xml = voc().to_xml();
    let wrong = |source: String, part: &str| {
        let error = VocAnnotation::from_xml(source.as_bytes()).unwrap_err();
        assert!(error.is_malformed() && error.to_string().contains(part), "{error}");
    };
    wrong(xml.replace("<width>64</width>", ""), "size has no width");
    wrong(xml.replace("<width>64", "<width>many"), "width is \"many\"");
    wrong(xml.replace("<xmax>40.5", "<xmax>nan"), "xmax of a cat is \"nan\"");
    wrong(xml.replace("<xmax>40.5", "<xmax>3"), "which is empty");
    wrong(xml.replace("&amp;", "&nbsp;"), "entity");
    wrong(xml.replace("</name>", "</nam>"), "</nam> closes nothing");
    wrong(xml.replace("annotation>", "note>"), "no annotation");
    wrong(format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{xml}"), "document type");
    wrong("<a>".repeat(100_000), "too deep");
    wrong(String::new(), "not one element");
    wrong("</a>".to_owned(), "closes nothing");
    wrong(format!("{xml}{xml}"), "not one element");
}

proptest! {
    /// No bytes make a parser panic: parts of real files, cut, repeated and changed.
    #[test]
    fn damaged_files_are_errors_or_read(
        cut in 0usize..700,
        place in 0usize..700,
        bytes in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        for whole in [voc().to_xml().into_bytes(), coco().to_json().unwrap().into_bytes()] {
            let mut damaged = whole[..cut.min(whole.len())].to_vec();
            let place = place.min(damaged.len());
            damaged.splice(place..place, bytes.iter().copied());
            let _ = VocAnnotation::from_xml(&damaged);
            let _ = CocoAnnotations::from_json(&damaged);
        }
    }
}
