//! A recipe as a Rust test that can be pasted.

use std::fmt::Write;

use super::action::Numbers;
use super::recipe::{Recipe, Step};
use super::scenario::Scenario;

impl Recipe {
    /// The test's text.
    pub fn source(&self, name: &str) -> String {
        // No GPU has types of 64 bits.
        let wide = |step: &Step| match step {
            Step::Leaf { dtype, .. } => dtype.size() == 8,
            Step::Call { numbers, .. } => numbers.d.size() == 8,
        };
        let devices = if self.steps.iter().any(wide) { "cpus" } else { "devices" };
        let mut text = format!(
            "#[test]\nfn {name}() {{\n    agree(&{}, &{devices}(), &|t| {{\n",
            scenario(&self.scenario)
        );
        for step in &self.steps {
            let line = match step {
                Step::Leaf { shape, dtype, pattern, seed } => {
                    format!("t.leaf(&{shape:?}, DType::{dtype:?}, Pattern::{pattern:?}, {seed});")
                }
                Step::Call { action, operands, numbers } => {
                    format!("t.push({});", substituted(action.text, operands, numbers))
                }
            };
            let _ = writeln!(text, "        {line}");
        }
        let _ = writeln!(text, "        vec!{:?}", self.roots);
        text.push_str("    });\n}\n");
        text
    }
}

/// The text of a call with its arguments in place of the fields of `c`.
fn substituted(text: &str, operands: &[usize], numbers: &Numbers) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut result = String::new();
    let mut rest = text.as_str();
    while let Some(start) = place(rest) {
        result.push_str(&rest[..start]);
        let field = rest.as_bytes()[start + 2] as char;
        rest = &rest[start + 3..];
        let index = rest.strip_prefix('[').and_then(|inner| {
            let end = inner.find(']')?;
            Some((inner[..end].parse::<usize>().ok()?, &inner[end + 1..]))
        });
        let whole = index.is_none();
        let at = index.map_or(0, |(index, after)| {
            rest = after;
            index
        });
        match field {
            'x' => {
                let borrow = if rest.starts_with('.') { "" } else { "&" };
                let _ = write!(result, "{borrow}t[{}]", operands[at]);
            }
            'n' if whole && numbers.n.is_empty() => result.push_str("&[0isize; 0]"),
            's' if whole && numbers.s.is_empty() => result.push_str("&[0usize; 0]"),
            'n' if whole => {
                let _ = write!(result, "&{:?}", numbers.n);
            }
            's' if whole => {
                let _ = write!(result, "&{:?}", numbers.s);
            }
            'n' => {
                let _ = write!(result, "{}", numbers.n[at]);
            }
            's' => {
                let _ = write!(result, "{}", numbers.s[at]);
            }
            'f' => {
                let _ = write!(result, "{:?} + t.variation()", numbers.f);
            }
            'd' => {
                let _ = write!(result, "DType::{:?}", numbers.d);
            }
            _ => result.push_str("t.device()"),
        }
    }
    result.push_str(rest);
    result
}

/// Where the next field of `c` is named.
fn place(text: &str) -> Option<usize> {
    text.match_indices("c.").map(|(at, _)| at).find(|&at| {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        let field = text.as_bytes().get(at + 2);
        let after = text.as_bytes().get(at + 3);
        !before.is_some_and(word)
            && field.is_some_and(|field| b"xnsfdt".contains(field))
            && !after.is_some_and(word)
    })
}

/// The scenario as an expression.
fn scenario(scenario: &Scenario) -> String {
    let text = match scenario {
        Scenario::After(nodes) => format!("After(vec!{nodes:?})"),
        Scenario::Gradients { of, order } => {
            format!("Gradients {{ of: vec!{of:?}, order: {order} }}")
        }
        Scenario::Later { first, of } => {
            format!("Later {{ first: vec!{first:?}, of: vec!{of:?} }}")
        }
        Scenario::Forward { along } => format!("Forward {{ along: vec!{along:?} }}"),
        Scenario::Carry { updates, steps } => {
            format!("Carry {{ updates: vec!{updates:?}, steps: {steps} }}")
        }
        Scenario::Train { weights, steps } => {
            format!("Train {{ weights: vec!{weights:?}, steps: {steps} }}")
        }
        Scenario::Vmap { leaves, size, of } => {
            format!("Vmap {{ leaves: vec!{leaves:?}, size: {size}, of: vec!{of:?} }}")
        }
        Scenario::Together
        | Scenario::Alone
        | Scenario::Replay { .. }
        | Scenario::Threads { .. } => format!("{scenario:?}"),
    };
    format!("Scenario::{text}")
}
