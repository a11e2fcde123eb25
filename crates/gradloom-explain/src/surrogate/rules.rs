//! Trees as text: indented, or as rules.

use std::fmt::Write;

use crate::surrogate::DecisionTree;

/// The way from the root of a tree to a leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Conditions on columns that all hold: the column, the number that it is above, and the one that it is
    /// at most.
    pub conditions: Vec<(usize, f64, f64)>,
    /// The leaf's class.
    pub class: usize,
    /// Number of rows that it was fitted to.
    pub rows: usize,
    /// The share of these that are of the class.
    pub purity: f64,
}

impl Rule {
    /// `age > 30.00 and income <= 2000.00: class 1 (93 % of 120 rows)`; columns without a name are numbered.
    pub fn text(&self, names: &[&str]) -> String {
        let mut parts = Vec::new();
        for &(column, above, most) in &self.conditions {
            let name = name_of(names, column);
            match (above.is_finite(), most.is_finite()) {
                (true, true) => parts.push(format!("{above:.2} < {name} <= {most:.2}")),
                (true, false) => parts.push(format!("{name} > {above:.2}")),
                _ => parts.push(format!("{name} <= {most:.2}")),
            }
        }
        let when = if parts.is_empty() { "always".to_owned() } else { parts.join(" and ") };
        let share = 100.0 * self.purity;
        format!("{when}: class {} ({share:.0} % of {} rows)", self.class, self.rows)
    }
}

fn name_of(names: &[&str], column: usize) -> String {
    names.get(column).map_or_else(|| format!("column {column}"), |name| (*name).to_owned())
}

impl DecisionTree {
    /// The tree, indented, as `sklearn.tree.export_text`; columns without a name are numbered.
    pub fn text(&self, names: &[&str]) -> String {
        let mut text = String::new();
        let mut open = vec![(0, 0, None)];
        while let Some((at, depth, condition)) = open.pop() {
            let node = &self.nodes[at];
            if let Some(condition) = condition {
                let _ = writeln!(text, "{}|--- {condition}", "|   ".repeat(depth - 1));
            }
            match node.split {
                Some(split) => {
                    let name = name_of(names, split.column);
                    let right = format!("{name} > {:.2}", split.threshold);
                    let left = format!("{name} <= {:.2}", split.threshold);
                    open.push((split.right, depth + 1, Some(right)));
                    open.push((split.left, depth + 1, Some(left)));
                }
                None => {
                    let (class, rows) = (node.class(), node.rows());
                    let indent = "|   ".repeat(depth);
                    let _ = writeln!(text, "{indent}|--- class: {class} ({rows} rows)");
                }
            }
        }
        text
    }

    /// One rule for each leaf, those of most rows first.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut open = vec![(0, Vec::<(usize, f64, f64)>::new())];
        while let Some((at, conditions)) = open.pop() {
            let node = &self.nodes[at];
            let Some(split) = node.split else {
                let (class, rows) = (node.class(), node.rows());
                let purity = node.counts[class] as f64 / rows.max(1) as f64;
                rules.push(Rule { conditions, class, rows, purity });
                continue;
            };
            let with = |above: f64, most: f64| {
                let mut conditions = conditions.clone();
                match conditions.iter_mut().find(|(column, ..)| *column == split.column) {
                    Some((_, low, high)) => (*low, *high) = (low.max(above), high.min(most)),
                    None => conditions.push((split.column, above, most)),
                }
                conditions
            };
            open.push((split.right, with(split.threshold, f64::INFINITY)));
            open.push((split.left, with(f64::NEG_INFINITY, split.threshold)));
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.rows));
        rules
    }
}
