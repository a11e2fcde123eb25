//! The tiny preprocessor: from a template to one WGSL module.
//!
//! Lines that it knows: `#import "file"`, `#ifdef NAME`, `#ifndef NAME`, `#else`, `#endif`,
//! `#unroll i COUNT` .. `#end` (repeats the lines between with `$i` replaced by 0, 1, ..), and splice
//! points `//@name`. At the end names stand for what they were given, a constant or an expression, so a
//! template does not say which of its numbers are part of the shader and which are read from a buffer.
//! Macros with parameters and expressions in conditions are absent on purpose: a template should read as
//! WGSL.

use std::collections::{BTreeMap, BTreeSet};

use crate::library;

/// What a template is expanded with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    defines: BTreeSet<String>,
    counts: BTreeMap<String, u32>,
    splices: BTreeMap<String, String>,
    constants: String,
    expressions: BTreeMap<String, String>,
}

impl Options {
    /// No defines, no splices.
    pub fn new() -> Self {
        Options::default()
    }

    /// Makes `#ifdef name` true.
    #[must_use]
    pub fn define(mut self, name: &str) -> Self {
        self.defines.insert(name.to_owned());
        self
    }

    /// Makes `#ifdef name` true if `condition` is.
    #[must_use]
    pub fn define_if(self, condition: bool, name: &str) -> Self {
        if condition { self.define(name) } else { self }
    }

    /// The names that are defined, in order.
    pub fn defines(&self) -> impl Iterator<Item = &str> {
        self.defines.iter().map(String::as_str)
    }

    /// Adds `const name: u32 = value;` at the splice point `//@constants` and lets `#unroll` use it.
    #[must_use]
    pub fn constant(mut self, name: &str, value: u32) -> Self {
        self.constants.push_str(&format!("const {name}: u32 = {value}u;\n"));
        self.counts.insert(name.to_owned(), value);
        self
    }

    /// Lets `name` stand for an expression, everywhere in the module. An array's length or a `const` must
    /// not mention it, unlike a [`constant`](Options::constant).
    #[must_use]
    pub fn expression(mut self, name: &str, text: impl Into<String>) -> Self {
        self.expressions.insert(name.to_owned(), text.into());
        self
    }

    /// Adds `alias name = wgsl_type;` at the splice point `//@constants`.
    #[must_use]
    pub fn alias(mut self, name: &str, wgsl_type: &str) -> Self {
        self.constants.push_str(&format!("alias {name} = {wgsl_type};\n"));
        self
    }

    /// The text that replaces the line `//@name`.
    #[must_use]
    pub fn splice(mut self, name: &str, text: impl Into<String>) -> Self {
        self.splices.insert(name.to_owned(), text.into());
        self
    }
}

/// A template that cannot be expanded: a mistake in a template or in the code that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandError(String);

impl std::fmt::Display for ExpandError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ExpandError {}

/// The WGSL module of template `name`: conditions decided, splices filled, and of the imported files
/// only what the result refers to.
///
/// # Errors
/// For a template or import that does not exist, a splice point without text, or unbalanced lines.
pub fn expand(name: &str, options: &Options) -> Result<String, ExpandError> {
    let template = crate::source(name)
        .ok_or_else(|| ExpandError(format!("expand: there is no shader file `{name}`")))?;
    let lines: Vec<&str> = template.lines().collect();
    let mut output = Output { text: String::new(), imports: Vec::new() };
    let fail = |message: String| ExpandError(format!("expand: {name}: {message}"));
    expand_lines(&lines, options, &mut output).map_err(fail)?;
    library::append_used(&mut output.text, &output.imports).map_err(fail)?;
    Ok(replace_names(&output.text, &options.expressions))
}

/// The text with each name that stands for an expression replaced by it.
fn replace_names(text: &str, expressions: &BTreeMap<String, String>) -> String {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut replaced = String::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
        replaced.push_str(before);
        replaced.push_str(expressions.get(word).map_or(word, String::as_str));
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

struct Output {
    text: String,
    imports: Vec<String>,
}

fn expand_lines(lines: &[&str], options: &Options, output: &mut Output) -> Result<(), String> {
    // One entry per open condition: whether its lines are kept.
    let mut conditions: Vec<bool> = Vec::new();
    let mut position = 0;
    while position < lines.len() {
        let line = lines[position];
        position += 1;
        let trimmed = line.trim();
        let mut words = trimmed.split_whitespace();
        let (directive, argument) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match directive {
            "#ifdef" => conditions.push(options.defines.contains(argument)),
            "#ifndef" => conditions.push(!options.defines.contains(argument)),
            "#else" => {
                let last = conditions.last_mut().ok_or("`#else` without `#ifdef`")?;
                *last = !*last;
            }
            "#endif" => {
                conditions.pop().ok_or("`#endif` without `#ifdef`")?;
            }
            _ if conditions.contains(&false) => {}
            "#import" => output.imports.push(argument.trim_matches('"').to_owned()),
            "#unroll" => {
                let length = body_length(&lines[position..])?;
                let body = &lines[position..position + length];
                let count = words.next().unwrap_or("");
                unroll(body, argument, count, options, output)?;
                position += length + 1;
            }
            _ if directive.starts_with("//@") => {
                output.text.push_str(&splice(&directive[3..], options)?);
                output.text.push('\n');
            }
            _ if trimmed.starts_with('#') => return Err(format!("unknown line `{trimmed}`")),
            _ if trimmed.starts_with("//") => {}
            _ => {
                output.text.push_str(line);
                output.text.push('\n');
            }
        }
    }
    if conditions.is_empty() { Ok(()) } else { Err("`#ifdef` without `#endif`".to_owned()) }
}

/// Lines up to the `#end` that belongs to an `#unroll` before them.
fn body_length(lines: &[&str]) -> Result<usize, String> {
    let mut depth = 1;
    for (position, line) in lines.iter().enumerate() {
        if line.trim().starts_with("#unroll") {
            depth += 1;
        } else if line.trim() == "#end" {
            depth -= 1;
        }
        if depth == 0 {
            return Ok(position);
        }
    }
    Err("`#unroll` without `#end`".to_owned())
}

fn unroll(
    body: &[&str],
    variable: &str,
    count: &str,
    options: &Options,
    output: &mut Output,
) -> Result<(), String> {
    let repeats = match count.parse() {
        Ok(number) => number,
        Err(_) => *options
            .counts
            .get(count)
            .ok_or_else(|| format!("`#unroll` with the unknown count `{count}`"))?,
    };
    let placeholder = format!("${variable}");
    for index in 0..repeats {
        let index = index.to_string();
        let lines: Vec<String> =
            body.iter().map(|line| line.replace(&placeholder, &index)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        expand_lines(&lines, options, output)?;
    }
    Ok(())
}

fn splice(name: &str, options: &Options) -> Result<String, String> {
    if name == "constants" {
        return Ok(options.constants.clone());
    }
    options.splices.get(name).cloned().ok_or_else(|| format!("nothing to put at `//@{name}`"))
}

#[cfg(test)]
mod tests {
    use super::{Options, Output, expand, expand_lines, replace_names};

    fn expanded(text: &str, options: &Options) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut output = Output { text: String::new(), imports: Vec::new() };
        expand_lines(&lines, options, &mut output)?;
        Ok(output.text)
    }

    #[test]
    fn conditions_nest_and_else_flips() {
        let text = "#ifdef A\n#ifdef B\nboth\n#else\nonly a\n#endif\n#else\nnone\n#endif";
        let a = Options::new().define("A");
        assert_eq!(expanded(text, &a).as_deref(), Ok("only a\n"));
        assert_eq!(expanded(text, &a.define("B")).as_deref(), Ok("both\n"));
        assert_eq!(expanded(text, &Options::new().define("B")).as_deref(), Ok("none\n"));
    }

    #[test]
    fn unroll_repeats_with_the_index() {
        let options = Options::new().constant("COUNT", 2);
        assert_eq!(
            expanded("#unroll i COUNT\nlet x$i = $iu;\n#end", &options).as_deref(),
            Ok("let x0 = 0u;\nlet x1 = 1u;\n")
        );
        assert_eq!(
            expanded("#unroll i 2\n#unroll j 2\nx$iy$j;\n#end\n#end", &options).as_deref(),
            Ok("x0y0;\nx0y1;\nx1y0;\nx1y1;\n")
        );
    }

    #[test]
    fn names_stand_for_expressions_as_words() {
        let expressions = [("ROWS", "numbers.rows"), ("K", "numbers.k")];
        let expressions = expressions.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(
            replace_names("let x = ROWS * TILE_K + K; // ROWS_K", &expressions.into()),
            "let x = numbers.rows * TILE_K + numbers.k; // ROWS_K"
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(expanded("#ifdef A", &Options::new()).is_err());
        assert!(expanded("//@program", &Options::new()).is_err());
        assert!(expanded("#include <math>", &Options::new()).is_err());
        assert!(expand("absent.wgsl", &Options::new()).is_err());
    }
}
