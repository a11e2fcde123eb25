//! The cases of the self-test, by kernel family: shapes that are no multiple of anything, views that turn,
//! flip and pad, NaN and infinities, every dtype that is stored.

mod attention;
mod blocks;
mod elementwise;
mod epilogue;
mod graphs;
mod indexing;
mod products;
mod rows;
mod windows;

use super::case::Case;

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let families = [
        elementwise::cases(),
        rows::cases(),
        products::cases(),
        windows::cases(),
        indexing::cases(),
        blocks::cases(),
        attention::cases(),
        graphs::cases(),
    ];
    families.into_iter().flatten().collect()
}
