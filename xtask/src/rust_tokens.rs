//! Rust source as words and signs, for checks that need no types: [`tokens`].
//!
//! Comments, texts, numbers and lifetimes are left out, and so is what only tests compile.
//! Absent on purpose: a parser. `rustc` has accepted the files, so it is enough to know words, `::` and
//! brackets.

/// The words and signs of a file outside its tests: identifiers, `::`, and other signs one by one.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    without_tests(&all_tokens(text))
}

fn all_tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = quoted(rest) {
            length
        } else if character == '\'' {
            character_or_lifetime(rest)
        } else if is_word(character) {
            let length = rest.find(|other| !is_word(other)).unwrap_or(rest.len());
            if rest.starts_with("r#") {
                // The word of a raw identifier is the next token.
                2
            } else {
                if !character.is_ascii_digit() {
                    found.push(&rest[..length]);
                }
                length
            }
        } else if rest.starts_with("::") {
            found.push(&rest[..2]);
            2
        } else {
            if !character.is_whitespace() {
                found.push(&rest[..character.len_utf8()]);
            }
            character.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Whether a token is an identifier or keyword.
pub(crate) fn is_name(token: &str) -> bool {
    token.chars().next().is_some_and(is_word)
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of the string literal that the text starts with, of any kind.
fn quoted(text: &str) -> Option<usize> {
    let marks = text.find(|character| !matches!(character, 'b' | 'c' | 'r'))?;
    let raw = text[..marks].ends_with('r');
    if marks > 2 {
        return None;
    }
    let rest = &text[marks..];
    if raw {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let inner = rest[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
        return Some(marks + hashes + 1 + length);
    }
    let inner = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(marks + 1 + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Length of `'x'`, `'\n'` or `'lifetime`.
fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            characters.next();
            text[3..].find('\'').map_or(text.len(), |at| 3 + at + 1)
        }
        Some((at, character)) => {
            let after = at + character.len_utf8();
            if text[after..].starts_with('\'') {
                return after + 1;
            }
            1 + text[1..].find(|other| !is_word(other)).unwrap_or(text.len() - 1)
        }
        None => text.len(),
    }
}

fn without_tests<'t>(all: &[&'t str]) -> Vec<&'t str> {
    let mut kept = Vec::with_capacity(all.len());
    let mut at = 0;
    while at < all.len() {
        if all[at] != "#" {
            kept.push(all[at]);
            at += 1;
            continue;
        }
        let inner = all.get(at + 1) == Some(&"!");
        let end = attribute_end(all, at);
        if !is_test(&all[at..end]) {
            at = end;
        } else if inner {
            return Vec::new();
        } else {
            at = item_end(all, end);
        }
    }
    kept
}

fn attribute_end(all: &[&str], start: usize) -> usize {
    let mut depth = 0;
    for (at, &token) in all.iter().enumerate().skip(start + 1) {
        match token {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ if depth == 0 && token != "!" => return at,
            _ => {}
        }
        if depth == 0 && token == "]" {
            return at + 1;
        }
    }
    all.len()
}

fn is_test(attribute: &[&str]) -> bool {
    let inside: Vec<&str> =
        attribute.iter().copied().filter(|token| !matches!(*token, "#" | "!" | "[")).collect();
    matches!(inside[..], ["cfg", "(", "test", ")", ..] | ["cfg", "(", "all", "(", "test", ..])
        || matches!(inside[..], ["test", "]"])
}

/// Where the item that starts here ends, further attributes of it included.
fn item_end(all: &[&str], start: usize) -> usize {
    let mut depth = 0;
    for (at, &token) in all.iter().enumerate().skip(start) {
        match token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        if depth < 0 {
            return at;
        }
        if depth == 0 && token == "}" {
            return if all.get(at + 1) == Some(&";") { at + 2 } else { at + 1 };
        }
    }
    all.len()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn comments_texts_numbers_and_lifetimes_are_left_out() {
        let text = r###"/* a /* b */ c */ fn f<'a>(x: &'a str) { // d::e
            g("h \" i", r#"j " k"#, b"l", 'm', '\'', '\u{6e}', 0xff, r#type) }"###;
        let expected = "fn f < > ( x : & str ) { g ( , , , , , , , type ) }";
        assert_eq!(tokens(text).join(" "), expected);
    }

    #[test]
    fn what_only_tests_compile_is_left_out() {
        let text =
            "#[derive(A)] struct B; #[cfg(test)] use c::{d, e}; #[cfg(test)] #[f(g)] mod h { i }
            #[test] fn j() { k } #[cfg(feature = \"l\")] use m;";
        assert_eq!(tokens(text).join(" "), "struct B ; use m ;");
        assert!(tokens("#![cfg(test)] use a::b;").is_empty());
    }
}
