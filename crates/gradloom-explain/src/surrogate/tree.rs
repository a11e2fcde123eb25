//! [`DecisionTree`]: a classification tree of another model's answers.

use gradloom_tensor::{Error, Result};

use crate::{Forward, Inputs, rows};

/// How far a tree may grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeOptions {
    /// Splits from the root to a leaf, at most.
    pub depth_max: usize,
    /// Rows of a leaf, at least.
    pub leaf_min: usize,
    /// What a leaf costs, in shares of wrong rows: subtrees that save less for each of their leaves are cut
    /// away (minimal cost-complexity pruning, `ccp_alpha` of scikit-learn, with Gini impurities).
    pub leaf_cost: f64,
}

impl Default for TreeOptions {
    fn default() -> Self {
        TreeOptions { depth_max: 5, leaf_min: 1, leaf_cost: 0.0 }
    }
}

/// Rows whose number in a column is at most a threshold go left, the others right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeSplit {
    /// The column.
    pub column: usize,
    /// Half way between two numbers of rows.
    pub threshold: f64,
    /// The node of rows at or below it.
    pub left: usize,
    /// The node of rows above it.
    pub right: usize,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeNode {
    /// How many rows of each class reached it.
    pub counts: Vec<usize>,
    /// None for a leaf.
    pub split: Option<TreeSplit>,
}

impl TreeNode {
    /// The class of most rows, the first of equal ones.
    pub fn class(&self) -> usize {
        let most = self.counts.iter().max().copied().unwrap_or(0);
        self.counts.iter().position(|&count| count == most).unwrap_or(0)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.counts.iter().sum()
    }
}

/// CART: each split is the one after which Gini impurity is least. Breiman et al., "Classification and
/// regression trees", 1984. As `sklearn.tree.DecisionTreeClassifier`, where the first of equal splits is taken.
///
/// ```
/// use gradloom_explain::{DecisionTree, TreeOptions};
///
/// let rows = [[1.0, 5.0], [2.0, 5.0], [3.0, 1.0], [4.0, 1.0]].map(Vec::from);
/// let tree = DecisionTree::fit(&rows, &[0, 0, 1, 1], 2, &TreeOptions::default())?;
/// assert_eq!(tree.predict(&[2.4, 0.0])?, 0);
/// assert_eq!(tree.text(&["age", "height"]), "\
/// |--- age <= 2.50
/// |   |--- class: 0 (2 rows)
/// |--- age > 2.50
/// |   |--- class: 1 (2 rows)
/// ");
/// # Ok::<(), gradloom_tensor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionTree {
    /// The root first.
    pub nodes: Vec<TreeNode>,
    columns: usize,
}

impl DecisionTree {
    /// A tree for rows of numbers and their classes.
    ///
    /// # Errors
    /// If there is not a class below `classes` for each row, rows have no or other columns, a number is not
    /// finite, or the options allow no leaf.
    pub fn fit(
        rows: &[Vec<f64>],
        labels: &[usize],
        classes: usize,
        options: &TreeOptions,
    ) -> Result<Self> {
        let columns = rows.first().map_or(0, Vec::len);
        let fits = columns > 0
            && labels.len() == rows.len()
            && labels.iter().all(|&label| label < classes)
            && rows.iter().all(|row| row.len() == columns && row.iter().all(|x| x.is_finite()));
        if !fits || options.leaf_min == 0 || options.leaf_cost.is_nan() || options.leaf_cost < 0.0 {
            return Err(Error::invalid(format!(
                "tree: {} rows of {columns} columns, {} labels of {classes} classes, {options:?}; it needs \
                 finite rows of one length, a label below the number of classes for each, and leaves of at \
                 least one row",
                rows.len(),
                labels.len()
            )));
        }
        let mut tree = DecisionTree { nodes: Vec::new(), columns };
        let growing = Growing { rows, labels, classes, options };
        let all: Vec<usize> = (0..rows.len()).collect();
        tree.nodes.push(growing.leaf(&all));
        let mut open = vec![(0, all, 0)];
        while let Some((node, members, depth)) = open.pop() {
            if depth == options.depth_max {
                continue;
            }
            let Some((column, threshold)) = growing.best(&members) else { continue };
            let (left, right): (Vec<usize>, Vec<usize>) =
                members.into_iter().partition(|&row| rows[row][column] <= threshold);
            let first = tree.nodes.len();
            tree.nodes.extend([growing.leaf(&left), growing.leaf(&right)]);
            let split = TreeSplit { column, threshold, left: first, right: first + 1 };
            tree.nodes[node].split = Some(split);
            open.extend([(first + 1, right, depth + 1), (first, left, depth + 1)]);
        }
        tree.prune(options.leaf_cost);
        Ok(tree)
    }

    /// A tree of the classes that a model gives to rows `[N, D]`, and its fidelity to them.
    ///
    /// # Errors
    /// As [`fit`](DecisionTree::fit), or if the inputs are not one tensor `[N, D]` or the output not `[N, C]`.
    pub fn surrogate(
        forward: &Forward,
        inputs: &Inputs,
        options: &TreeOptions,
    ) -> Result<(Self, f64)> {
        inputs.check("tree")?;
        let (table, answers, classes) = answers(forward, inputs)?;
        let tree = DecisionTree::fit(&table, &answers, classes, options)?;
        let fidelity = tree.agreement(&table, &answers)?;
        Ok((tree, fidelity))
    }

    /// The share of rows that a tree and a model give the same class, also rows that it was not fitted to.
    ///
    /// # Errors
    /// As [`surrogate`](DecisionTree::surrogate).
    pub fn fidelity(&self, forward: &Forward, inputs: &Inputs) -> Result<f64> {
        inputs.check("tree")?;
        let (table, answers, _) = answers(forward, inputs)?;
        self.agreement(&table, &answers)
    }

    fn agreement(&self, rows: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
        let mut same = 0;
        for (row, &label) in rows.iter().zip(labels) {
            same += usize::from(self.predict(row)? == label);
        }
        Ok(same as f64 / rows.len().max(1) as f64)
    }

    /// The class of a row.
    ///
    /// # Errors
    /// If it has another number of columns.
    pub fn predict(&self, row: &[f64]) -> Result<usize> {
        if row.len() != self.columns {
            let (got, columns) = (row.len(), self.columns);
            return Err(Error::invalid(format!("tree: a row of {got} columns, not {columns}")));
        }
        let mut node = &self.nodes[0];
        while let Some(split) = node.split {
            let left = row[split.column] <= split.threshold;
            node = &self.nodes[if left { split.left } else { split.right }];
        }
        Ok(node.class())
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.nodes.iter().filter(|node| node.split.is_none()).count()
    }

    /// Cuts away subtrees whose leaves save less than they cost, the weakest first.
    fn prune(&mut self, leaf_cost: f64) {
        if leaf_cost > 0.0 {
            while let Some((node, saved)) = self.weakest()
                && saved <= leaf_cost
            {
                self.nodes[node].split = None;
            }
        }
        self.keep_reachable();
    }

    /// The inner node whose subtree saves least impurity for each leaf beyond the first.
    fn weakest(&self) -> Option<(usize, f64)> {
        let total = self.nodes[0].rows() as f64;
        let cost = |node: &TreeNode| gini(&node.counts) * node.rows() as f64 / total;
        // Children come after their parents.
        let mut below = vec![(0.0, 0.0); self.nodes.len()];
        let mut weakest: Option<(usize, f64)> = None;
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let Some(split) = node.split else {
                below[at] = (cost(node), 1.0);
                continue;
            };
            let (left, right) = (below[split.left], below[split.right]);
            below[at] = (left.0 + right.0, left.1 + right.1);
            let saved = (cost(node) - below[at].0) / (below[at].1 - 1.0);
            if self.reaches(at) && weakest.is_none_or(|(_, least)| saved < least) {
                weakest = Some((at, saved));
            }
        }
        weakest
    }

    /// Whether a node still hangs on the root.
    fn reaches(&self, mut node: usize) -> bool {
        while node != 0 {
            let parent = self.nodes.iter().position(|other| {
                other.split.is_some_and(|split| split.left == node || split.right == node)
            });
            let Some(parent) = parent else { return false };
            node = parent;
        }
        true
    }

    fn keep_reachable(&mut self) {
        let mut kept = Vec::with_capacity(self.nodes.len());
        let mut open = vec![(0, None)];
        while let Some((at, parent)) = open.pop() {
            let place = kept.len();
            let node: TreeNode = self.nodes[at].clone();
            if let Some((parent, is_left)) = parent {
                let parent: &mut TreeNode = &mut kept[parent];
                let split = parent.split.as_mut().expect("a parent has a split");
                *(if is_left { &mut split.left } else { &mut split.right }) = place;
            }
            if let Some(split) = node.split {
                open.push((split.right, Some((place, false))));
                open.push((split.left, Some((place, true))));
            }
            kept.push(node);
        }
        self.nodes = kept;
    }
}

/// A table, the classes that a model gives its rows, and how many classes there are.
type Answers = (Vec<Vec<f64>>, Vec<usize>, usize);

fn answers(forward: &Forward, inputs: &Inputs) -> Result<Answers> {
    let [x] = &inputs.features[..] else {
        let count = inputs.features.len();
        return Err(Error::invalid(format!("tree: {count} tensors of features; it needs one")));
    };
    let output = forward.run(&inputs.all())?;
    if x.rank() != 2 || output.rank() != 2 || x.shape()[1] == 0 || output.shape()[1] == 0 {
        let (x, output) = (x.shape(), output.shape());
        return Err(Error::shape(format!(
            "tree: features of shape {x} and an output of shape {output}; it needs [N, D] and [N, C]"
        )));
    }
    let labels = output.argmax(1).to_vec::<i32>()?;
    let labels = labels.into_iter().map(|label| label as usize).collect();
    let table = rows::numbers(x)?.chunks(x.shape()[1]).map(<[f64]>::to_vec).collect();
    Ok((table, labels, output.shape()[1]))
}

fn gini(counts: &[usize]) -> f64 {
    let total: usize = counts.iter().sum();
    let square = |count: &usize| (*count as f64 / total.max(1) as f64).powi(2);
    1.0 - counts.iter().map(square).sum::<f64>()
}

struct Growing<'g> {
    rows: &'g [Vec<f64>],
    labels: &'g [usize],
    classes: usize,
    options: &'g TreeOptions,
}

impl Growing<'_> {
    fn leaf(&self, members: &[usize]) -> TreeNode {
        let mut counts = vec![0; self.classes];
        members.iter().for_each(|&row| counts[self.labels[row]] += 1);
        TreeNode { counts, split: None }
    }

    /// The column and threshold after which impurity is least, if a split makes it less.
    fn best(&self, members: &[usize]) -> Option<(usize, f64)> {
        let whole = self.leaf(members).counts;
        let mut best: Option<(f64, usize, f64)> = None;
        let limit = gini(&whole) * members.len() as f64 - 1e-9;
        for column in 0..self.rows[0].len() {
            let mut order = members.to_vec();
            order.sort_by(|&a, &b| self.rows[a][column].total_cmp(&self.rows[b][column]));
            let (mut left, mut right) = (vec![0; self.classes], whole.clone());
            for (at, pair) in order.windows(2).enumerate() {
                let label = self.labels[pair[0]];
                (left[label], right[label]) = (left[label] + 1, right[label] - 1);
                let (low, high) = (self.rows[pair[0]][column], self.rows[pair[1]][column]);
                let sizes = [at + 1, order.len() - at - 1];
                if low == high || sizes.iter().any(|&size| size < self.options.leaf_min) {
                    continue;
                }
                let cost = sizes[0] as f64 * gini(&left) + sizes[1] as f64 * gini(&right);
                if cost < best.map_or(limit, |(least, _, _)| least - 1e-9) {
                    // The middle may round up to the higher number, which must not go left.
                    let middle = low + (high - low) / 2.0;
                    best = Some((cost, column, if middle < high { middle } else { low }));
                }
            }
        }
        best.map(|(_, column, threshold)| (column, threshold))
    }
}
