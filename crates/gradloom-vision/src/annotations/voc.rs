//! [`VocAnnotation`]: the objects of one picture as Pascal VOC's XML files have them.

use crate::annotations::xml::{Element, escaped};
use crate::{Error, Result};
use gradloom_tensor::ErrorKind;

/// A picture and its objects.
///
/// ```
/// use gradloom_vision::annotations::VocAnnotation;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let file = "<annotation><filename>a.jpg</filename>
///     <size><width>64</width><height>48</height><depth>3</depth></size>
///     <object><name>cat</name><difficult>0</difficult>
///         <bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>30</ymax></bndbox>
///     </object></annotation>";
/// let annotation = VocAnnotation::from_xml(file.as_bytes())?;
/// assert_eq!(annotation.objects[0].bounds, [10.0, 20.0, 40.0, 30.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VocAnnotation {
    /// Its file.
    pub file_name: String,
    /// Height, width and channels.
    pub size: [usize; 3],
    /// What is to be seen.
    pub objects: Vec<VocObject>,
}

/// An object of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VocObject {
    /// Its class.
    pub name: String,
    /// `[left, top, right, bottom]` from the edges of pixels. The files count pixels from one and have the last
    /// inside, so their left and top are one more.
    pub bounds: [f64; 4],
    /// Left out of evaluations.
    pub difficult: bool,
    /// Partly outside the picture.
    pub truncated: bool,
}

impl VocAnnotation {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If they are no such XML, a part is missing, a number is none, or a box has no positive size.
    pub fn from_xml(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Error::caused(ErrorKind::Malformed, "voc: not UTF-8", error))?;
        let root = Element::parse(text)?;
        if root.name != "annotation" {
            return Err(malformed(format!("the document is a {:?}, no annotation", root.name)));
        }
        let size = child(&root, "size")?;
        let number = |name| whole(size, name);
        let size = [number("height")?, number("width")?, number("depth")?];
        let objects = root.children.iter().filter(|child| child.name == "object");
        let objects = objects.map(object).collect::<Result<Vec<VocObject>>>()?;
        Ok(VocAnnotation { file_name: child(&root, "filename")?.text.clone(), size, objects })
    }

    /// As XML that [`from_xml`](Self::from_xml) reads.
    pub fn to_xml(&self) -> String {
        let [height, width, depth] = self.size;
        let mut text = format!(
            "<annotation>\n  <filename>{}</filename>\n  <size><width>{width}</width><height>{height}</height>\
             <depth>{depth}</depth></size>\n",
            escaped(&self.file_name)
        );
        for VocObject { name, bounds: [left, top, right, bottom], difficult, truncated } in
            &self.objects
        {
            text += &format!(
                "  <object>\n    <name>{}</name>\n    <truncated>{}</truncated>\n    \
                 <difficult>{}</difficult>\n    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{right}</xmax>\
                 <ymax>{bottom}</ymax></bndbox>\n  </object>\n",
                escaped(name),
                u8::from(*truncated),
                u8::from(*difficult),
                left + 1.0,
                top + 1.0
            );
        }
        text + "</annotation>\n"
    }
}

fn object(element: &Element) -> Result<VocObject> {
    let name = child(element, "name")?.text.clone();
    let bounds = child(element, "bndbox")?;
    let side = |side| {
        let text = &child(bounds, side)?.text;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| malformed(format!("{side} of a {name} is {text:?}")))
    };
    let [left, top] = [side("xmin")? - 1.0, side("ymin")? - 1.0];
    let bounds = [left, top, side("xmax")?, side("ymax")?];
    if bounds[0] >= bounds[2] || bounds[1] >= bounds[3] {
        return Err(malformed(format!("a {name} has the box {bounds:?}, which is empty")));
    }
    let flag = |name| element.child(name).is_some_and(|flag| flag.text == "1");
    let (difficult, truncated) = (flag("difficult"), flag("truncated"));
    Ok(VocObject { name, bounds, difficult, truncated })
}

fn child<'a>(element: &'a Element, name: &str) -> Result<&'a Element> {
    element.child(name).ok_or_else(|| malformed(format!("{} has no {name}", element.name)))
}

fn whole(element: &Element, name: &str) -> Result<usize> {
    let text = &child(element, name)?.text;
    text.parse().map_err(|_| malformed(format!("{name} is {text:?}")))
}

fn malformed(message: String) -> Error {
    Error::new(ErrorKind::Malformed, format!("voc: {message}"))
}
