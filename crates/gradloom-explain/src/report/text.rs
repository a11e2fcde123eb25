//! [`coloured_text`]: tokens on backgrounds that say what they do.

use std::fmt::Write;

use gradloom_tensor::{Error, Result};
use gradloom_track::html::escaped;

use super::colour::{ColourMap, clip};

/// Tokens one after another, red where they speak for the target and blue where they speak against it, the
/// more the stronger; the number stands in the title of each. Spaces are those of the tokens.
///
/// # Errors
/// If there is not one finite number for each token.
pub fn coloured_text(tokens: &[&str], attributions: &[f64]) -> Result<String> {
    let finite = attributions.iter().all(|number| number.is_finite());
    if tokens.len() != attributions.len() || !finite {
        let (tokens, numbers) = (tokens.len(), attributions.len());
        return Err(Error::invalid(format!(
            "coloured_text: {numbers} attributions for {tokens} tokens; it needs a finite one for each"
        )));
    }
    let largest = clip(attributions, 0.99);
    let mut html = String::from("<div class=\"tokens\">");
    for (token, number) in tokens.iter().zip(attributions) {
        let relative = (number / largest).clamp(-1.0, 1.0);
        let colour = ColourMap::Coolwarm.hex(0.5 + relative / 2.0);
        // Ends of the map are dark.
        let ink = if relative.abs() > 0.8 { "#fff" } else { "#222" };
        // What speaks neither way stays white.
        let background: &str = if relative.abs() < 0.02 { "#fff" } else { &colour };
        let _ = write!(
            html,
            "<span style=\"background:{background};color:{ink}\" title=\"{number:+.4}\">{}</span> ",
            escaped(token)
        );
    }
    html.push_str("</div>");
    Ok(html)
}
