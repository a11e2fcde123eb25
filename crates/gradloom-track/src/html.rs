//! Text as HTML, bytes as data URIs, and the frame of a page that needs nothing else.

/// Text that stands in HTML, in an element or a quoted attribute, as nothing but itself.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Base 64 of RFC 4648, with padding.
pub fn base_64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A page of HTML with a title, styles and a body, which are in it; scripts are not. The title is escaped
/// here, the body by whoever wrote it.
///
/// ```
/// let page = gradloom_track::html::page("1 < 2", "", "<p>so it is</p>");
/// assert!(page.contains("<h1>1 &lt; 2</h1>") && page.starts_with("<!doctype html>"));
/// ```
pub fn page(title: &str, style: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>\n{STYLE}{style}\n</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// What all pages look like.
const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:1280px;margin:2em auto;padding:0 1em;color:#222}
h1,h2{font-weight:600}table{border-collapse:collapse}td,th{padding:.15em .7em;text-align:left}
tr+tr td{border-top:1px solid #ddd}pre{overflow-x:auto;background:#f6f6f6;padding:1em}
svg text{font-size:12px;fill:#333}.grid{stroke:#e4e4e4}.axis{stroke:#333;fill:none}
figcaption{font-weight:600}
";

#[cfg(test)]
mod tests {
    use super::{base_64, escaped};

    #[test]
    fn encodings_are_those_of_the_standard() {
        let of = |text: &str| base_64(text.as_bytes());
        assert_eq!([of(""), of("f"), of("fo"), of("foo")], ["", "Zg==", "Zm8=", "Zm9v"]);
        assert_eq!(of("foobar"), "Zm9vYmFy");
        assert_eq!(base_64(&[0xff, 0xfe, 0xfb]), "//77");
        assert_eq!(escaped("<a href=\"'&'\">"), "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;");
    }
}
