//! The table. A composed op is one row here; nothing else is needed to test it on every backend.

mod elementwise;
mod layers;
mod loops;
mod reductions;
mod sequences;
mod structured;
mod indices;
mod resampling;
mod views;
mod windows;

use crate::case::Case;

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(elementwise::cases());
    cases.extend(views::cases());
    cases.extend(reductions::cases());
    cases.extend(structured::cases());
    cases.extend(indices::cases());
    cases.extend(windows::cases());
    cases.extend(resampling::cases());
    cases.extend(layers::cases());
    cases.extend(sequences::cases());
    cases.extend(loops::cases());
    cases
}
