//! Models of models that people can read, and what a table's columns do.

mod tree;
mod rules;
mod table;
mod counterfactual;

pub use counterfactual::{Changed, Counterfactual};
pub use rules::Rule;
pub use table::{
    Importance, PartialDependence, partial_dependence, permutation_importance, quantile_grid,
};
pub use tree::{DecisionTree, TreeNode, TreeOptions, TreeSplit};
