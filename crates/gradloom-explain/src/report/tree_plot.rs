//! [`tree_plot`]: a decision tree as SVG.

use std::fmt::Write;

use gradloom_track::html::escaped;

use crate::{DecisionTree, TreeSplit};

/// A tree, the root on the left: conditions at inner nodes, of which the upper branch is where they hold;
/// classes at leaves, as wide as the share of the rows. Columns and classes without a name are numbered.
pub fn tree_plot(tree: &DecisionTree, columns: &[&str], classes: &[&str]) -> String {
    const ROW: f64 = 44.0;
    const LETTER: f64 = 6.6;
    // Places of nodes: leaves one below another, parents half way between their children.
    let mut places = vec![(0.0, 0.0); tree.nodes.len()];
    let (mut leaves, mut deepest) = (0.0, 0.0_f64);
    let mut order = Vec::new();
    let mut open = vec![(0, 0.0)];
    while let Some((at, depth)) = open.pop() {
        places[at].0 = depth;
        deepest = deepest.max(depth);
        order.push(at);
        match tree.nodes[at].split {
            Some(split) => open.extend([(split.right, depth + 1.0), (split.left, depth + 1.0)]),
            None => {
                places[at].1 = leaves;
                leaves += 1.0;
            }
        }
    }
    for &at in order.iter().rev() {
        if let Some(split) = tree.nodes[at].split {
            places[at].1 = (places[split.left].1 + places[split.right].1) / 2.0;
        }
    }
    let name = |names: &[&str], kind: &str, at: usize| match names.get(at) {
        Some(name) => escaped(name),
        None => format!("{kind} {at}"),
    };
    let condition = |split: &TreeSplit| {
        format!("{} &lt;= {:.2}", name(columns, "column", split.column), split.threshold)
    };
    // The next level begins where the longest condition has ended.
    let splits = tree.nodes.iter().filter_map(|node| node.split.as_ref());
    let longest = splits.map(|split| condition(split).chars().count()).max().unwrap_or(0);
    let level = (LETTER * longest as f64 + 34.0).max(190.0);
    let point = |at: usize| (20.0 + level * places[at].0, 30.0 + ROW * places[at].1);
    let (width, height) = (level * (deepest + 1.0) + 40.0, ROW * leaves + 30.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"tree\" \
         style=\"max-width:{width:.0}px\" xmlns=\"http://www.w3.org/2000/svg\">\n"
    );
    let total = tree.nodes[0].rows().max(1) as f64;
    for (at, node) in tree.nodes.iter().enumerate() {
        let (x, y) = point(at);
        let Some(split) = node.split else {
            let share = 120.0 * node.rows() as f64 / total;
            let class = name(classes, "class", node.class());
            let purity = 100.0 * node.counts[node.class()] as f64 / node.rows().max(1) as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"5\" fill=\"#0072b2\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\">{class}: {} rows, {purity:.0} %</text>",
                y + 6.0,
                share.max(2.0),
                y,
                node.rows()
            );
            continue;
        };
        for child in [split.left, split.right] {
            let (to_x, to_y) = point(child);
            let bend = to_x - 26.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {:.1}H{bend:.1}V{to_y:.1}H{:.1}\" fill=\"none\" stroke=\"#999\"/>",
                y + 6.0,
                to_x - 4.0
            );
        }
        let condition = condition(&split);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{condition}</text>");
    }
    svg.push_str("</svg>\n");
    svg
}
