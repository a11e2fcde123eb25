//! The tokens of BLEU: what the script `mteval-v13a` of NIST makes of a line, as `sacrebleu` does.

use super::whitespace::words;

/// Splits punctuation from words, but neither dots and commas within numbers nor apostrophes and hyphens
/// within words.
///
/// ```
/// let tokens = gradloom_metrics::tokenize_13a("It's 3.5 (well-known), no?");
/// assert_eq!(tokens, ["It's", "3.5", "(", "well-known", ")", ",", "no", "?"]);
/// ```
pub fn tokenize_13a(line: &str) -> Vec<String> {
    let mut line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")]
        {
            line = line.replace(entity, character);
        }
    }
    let mut spaced = String::from(" ");
    for character in line.chars() {
        if stands_alone(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced.push(' ');
    let spaced = pairs(&spaced, |a, b| !a.is_ascii_digit() && point(b), |a, b| [a, ' ', b, ' ']);
    let spaced = pairs(&spaced, |a, b| point(a) && !b.is_ascii_digit(), |a, b| [' ', a, ' ', b]);
    let spaced = pairs(&spaced, |a, b| a.is_ascii_digit() && b == '-', |a, b| [a, ' ', b, ' ']);
    words(&spaced).map(str::to_owned).collect()
}

fn point(character: char) -> bool {
    character == '.' || character == ','
}

fn stands_alone(character: char) -> bool {
    matches!(character, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

/// Replaces pairs of characters from left to right, none of which overlap.
fn pairs(text: &str, found: fn(char, char) -> bool, put: fn(char, char) -> [char; 4]) -> String {
    let mut result = String::with_capacity(text.len() * 2);
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        match characters.peek().copied() {
            Some(second) if found(first, second) => {
                result.extend(put(first, second));
                characters.next();
            }
            _ => result.push(first),
        }
    }
    result
}
