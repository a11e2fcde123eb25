//! [`Page`]: explanations one below the other, as one file of HTML.

use std::fmt::Write;

use gradloom_tensor::Result;
use gradloom_track::html::{base_64, escaped, page};
use gradloom_track::{Curve, Picture};

const STYLE: &str = "\
.row{display:flex;flex-wrap:wrap;gap:1em}.row figure{margin:0}.row img{image-rendering:pixelated;
border:1px solid #ccc;max-width:100%}.row figcaption{font-weight:400;font-size:13px}
.tokens{line-height:2;font-size:16px}.tokens span{padding:.15em .1em;border-radius:3px}
svg{max-width:820px;width:100%;height:auto}pre{white-space:pre-wrap}";

/// What explanations say, on a page without scripts or anything from elsewhere.
///
/// ```
/// use gradloom_explain::report::{Page, coloured_text};
///
/// let mut page = Page::new("Why <this> film");
/// page.heading("Words");
/// page.piece(&coloured_text(&["great", "film"], &[0.8, -0.1])?);
/// let html = page.html();
/// assert!(html.contains("Why &lt;this&gt; film") && html.contains(">great</span>"));
/// assert!(!html.contains("<script"));
/// # Ok::<(), gradloom_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Page { title: title.to_owned(), body: String::new() }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escaped(text));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escaped(text));
    }

    /// Text as it is, such as the rules of a tree.
    pub fn preformatted(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre>{}</pre>", escaped(text));
    }

    /// A piece of HTML that a function of this module made: coloured text, plots.
    pub fn piece(&mut self, html: &str) {
        let _ = writeln!(self.body, "<figure>{html}</figure>");
    }

    /// A chart of lines: removal curves, partial dependence.
    pub fn curve(&mut self, curve: &Curve) {
        let title = escaped(&curve.title);
        let _ =
            writeln!(self.body, "<figure><figcaption>{title}</figcaption>{}</figure>", curve.svg());
    }

    /// Pictures beside each other, with captions.
    ///
    /// # Errors
    /// If one cannot be written as PNG.
    pub fn pictures(&mut self, pictures: &[(String, Picture)]) -> Result<()> {
        self.body.push_str("<div class=\"row\">\n");
        for (caption, picture) in pictures {
            let (data, caption) = (base_64(&picture.png()?), escaped(caption));
            let _ = writeln!(
                self.body,
                "<figure><img alt=\"\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}\
                 </figcaption></figure>"
            );
        }
        self.body.push_str("</div>\n");
        Ok(())
    }

    /// The page.
    pub fn html(&self) -> String {
        page(&self.title, STYLE, &self.body)
    }
}
