//! Sizes of an attention, and how it is divided among workgroups: the larger the tiles the better, as
//! far as the device's workgroup memory allows.

use gradloom_plan::View;
use gradloom_shaders::Options;

use super::bindings::Bindings;
use super::unit::Target;

/// Keys of a part at least where the keys are split among workgroups.
const SPLIT_KEYS: usize = 512;
/// Most parts of the keys, unless they would be longer than [`KEYS_MAX`].
const SPLITS_MAX: usize = 32;
/// Keys that a workgroup of few rows goes through at most.
const KEYS_MAX: usize = 1 << 13;
/// Keys from which the values of a tile of keys are added apart.
const KEYS_LONG: usize = 4096;

/// Sizes of an attention.
pub(super) struct Sizes {
    batch: usize,
    heads: usize,
    shared: usize,
    queries: usize,
    keys: usize,
    /// Features of queries and keys.
    pub(super) depth: usize,
    /// Features of values.
    pub(super) features: usize,
}

impl Sizes {
    /// From the views of query, key and value.
    pub(super) fn of(views: &[View]) -> Sizes {
        let (query, key) = (&views[0].shape, &views[1].shape);
        Sizes {
            batch: query[0],
            heads: query[1],
            shared: key[1],
            queries: query[2],
            keys: key[2],
            depth: query[3],
            features: views[2].shape[3],
        }
    }

    /// Rows of a key head.
    pub(super) fn rows(&self) -> usize {
        self.heads / self.shared * self.queries
    }

    /// Batch elements times key heads.
    pub(super) fn pairs(&self) -> usize {
        self.batch * self.shared
    }

    /// True if four neighbours among the features of a result lie side by side.
    pub(super) fn has_quads(&self) -> bool {
        self.features.is_multiple_of(4)
    }

    fn depth_fours(&self) -> usize {
        self.depth.div_ceil(4)
    }

    fn feature_fours(&self) -> usize {
        self.features.div_ceil(4)
    }

    fn width(&self) -> usize {
        self.depth_fours().max(self.feature_fours())
    }

    /// What all templates need. How many features there are decides how they are kept.
    pub(super) fn options(&self, bindings: &mut Bindings) -> Options {
        let sizes = [
            ("ROWS", self.rows()),
            ("PAIRS", self.pairs()),
            ("GROUP", self.heads / self.shared),
            ("QUERIES", self.queries),
            ("HEADS", self.heads),
            ("SHARED", self.shared),
        ];
        bindings
            .named(Options::new(), &sizes)
            .constant("FEATURES", self.features as u32)
            .constant("D4", self.depth_fours() as u32)
            .constant("E4", self.feature_fours() as u32)
            .constant("WIDTH", self.width() as u32)
    }

    /// True if sums over the keys must be made in blocks.
    pub(super) fn is_long(&self) -> bool {
        self.keys > KEYS_LONG
    }

    /// For people and profiles.
    pub(super) fn label(&self) -> String {
        let Sizes { batch, heads, shared, queries, keys, depth, .. } = self;
        format!("attention[{batch}, {heads}/{shared}, {queries}x{keys}, {depth}]")
    }
}

/// Rows and keys of a workgroup's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) keys: usize,
    /// Scores of a thread.
    pub(super) each: [usize; 2],
    /// Rows that a thread adds values for.
    pub(super) out_rows: usize,
}

impl Tile {
    pub(super) const THREADS: usize = 64;

    /// From large to small.
    const ALL: [Tile; 6] = [
        Tile { rows: 32, keys: 32, each: [4, 4], out_rows: 4 },
        Tile { rows: 32, keys: 16, each: [4, 2], out_rows: 4 },
        Tile { rows: 16, keys: 16, each: [2, 2], out_rows: 4 },
        Tile { rows: 16, keys: 8, each: [2, 1], out_rows: 4 },
        Tile { rows: 8, keys: 8, each: [1, 1], out_rows: 2 },
        Tile { rows: 8, keys: 4, each: [1, 1], out_rows: 2 },
    ];

    /// Threads that share the features of a row.
    pub(super) fn out_lanes(&self) -> usize {
        Tile::THREADS * self.out_rows / self.rows
    }

    /// Fours of features that a thread adds for each of its rows.
    pub(super) fn out_fours(&self, sizes: &Sizes) -> usize {
        sizes.feature_fours().div_ceil(self.out_lanes())
    }

    /// Turns of a thread's loops, at most.
    pub(super) fn turns(&self, sizes: &Sizes) -> usize {
        let copies = |fours: usize| (self.keys * fours).div_ceil(Tile::THREADS);
        let lanes = Tile::THREADS / self.rows;
        let weights = 2 * (self.keys.div_ceil(lanes) + lanes);
        let step =
            copies(sizes.depth_fours()) + sizes.depth_fours() + copies(sizes.feature_fours());
        sizes.keys.div_ceil(self.keys) * (step + weights + self.keys + 1)
    }

    fn workgroup_bytes(&self, sizes: &Sizes) -> usize {
        let fours = self.rows * (sizes.depth_fours() + 1) + self.keys * (sizes.width() + 1);
        16 * fours + 4 * (self.rows * (self.keys + 4) + 2 * Tile::THREADS)
    }

    /// The largest that the device holds and whose sums fit a thread's registers.
    pub(super) fn choose(target: &Target, sizes: &Sizes) -> Option<Tile> {
        let fits = |tile: &Tile| {
            tile.workgroup_bytes(sizes) <= target.workgroup_bytes as usize
                && tile.out_rows * tile.out_fours(sizes) <= 16
        };
        let threads = target.workgroup as usize >= Tile::THREADS;
        Tile::ALL.into_iter().find(fits).filter(|_| threads)
    }
}

/// Rows of a workgroup that goes through its keys one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Few {
    pub(super) threads: usize,
    pub(super) rows: usize,
    /// Keys of a step.
    pub(super) keys: usize,
    /// Threads that share a row's scores.
    pub(super) row_lanes: usize,
    /// Threads for the fours of features of values.
    pub(super) out_lanes: usize,
    /// Parts of the keys.
    pub(super) splits: usize,
}

impl Few {
    /// Threads that share a key's features.
    pub(super) const DEPTH_LANES: usize = 8;

    /// Turns of a thread's loops, at most.
    pub(super) fn turns(&self, sizes: &Sizes) -> usize {
        let keys = self.keys.div_ceil(self.threads / Few::DEPTH_LANES);
        let dots = keys * (1 + sizes.depth_fours().div_ceil(Few::DEPTH_LANES));
        let places = self.keys.div_ceil(self.row_lanes);
        let weights = places * (2 + Few::DEPTH_LANES) + 2 * self.row_lanes;
        let values = self.keys.div_ceil((self.threads / self.out_lanes).max(1));
        let steps = sizes.keys.div_ceil(self.splits).div_ceil(self.keys);
        steps * (dots + weights + values + 1)
    }

    /// Rows are divided evenly among powers of two, so that few shaders do for all numbers of them; keys
    /// are split where that keeps more of the device busy.
    pub(super) fn choose(target: &Target, sizes: &Sizes) -> Option<Few> {
        let threads = 128.min(target.workgroup as usize);
        let rows_max = if sizes.width() > 32 { 4 } else { 8 };
        let chunks = sizes.rows().div_ceil(rows_max);
        let rows = sizes.rows().div_ceil(chunks).next_power_of_two();
        let largest_power = |limit: usize| 1usize << limit.max(1).ilog2();
        let keys = largest_power(192 / rows).clamp(16, 128);
        let row_lanes = (threads / rows.next_power_of_two()).min(32);
        let out_lanes = sizes.feature_fours().next_power_of_two().max(8);
        let groups = sizes.pairs() * chunks;
        let wanted = (target.busy_workgroups as usize / 4).div_ceil(groups);
        let wanted = if target.may("attention_few", "SPLIT") { wanted } else { 1 };
        let splits = wanted.min(sizes.keys / SPLIT_KEYS).clamp(1, SPLITS_MAX);
        let splits = splits.max(sizes.keys.div_ceil(KEYS_MAX));
        let bytes = 16 * (rows * sizes.depth_fours() + threads)
            + 4 * rows * ((Few::DEPTH_LANES + 1) * (keys + 4) + 2 * row_lanes + 3);
        let fits =
            bytes <= target.workgroup_bytes as usize && row_lanes > 0 && out_lanes <= threads;
        fits.then_some(Few { threads, rows, keys, row_lanes, out_lanes, splits })
    }
}

#[cfg(test)]
mod tests {
    use super::{Few, Sizes, Tile};
    use crate::codegen::unit::Target;

    #[test]
    fn every_device_has_attention_of_every_width() {
        for depth in 1..=256 {
            for features in [1, 64, depth, 256] {
                for (heads, queries) in [(8, 512), (7, 1), (1, 1), (16, 1)] {
                    let (batch, shared, keys) = (2, 1, 2000);
                    let sizes = Sizes { batch, heads, shared, queries, keys, depth, features };
                    assert!(
                        Tile::choose(&Target::baseline(), &sizes).is_some(),
                        "{}",
                        sizes.label()
                    );
                    assert!(
                        Few::choose(&Target::baseline(), &sizes).is_some(),
                        "{}",
                        sizes.label()
                    );
                }
            }
        }
    }

    #[test]
    fn long_caches_are_divided_where_there_are_few_heads() {
        let sizes = |shared, keys| Sizes {
            batch: 1,
            heads: 32,
            shared,
            queries: 1,
            keys,
            depth: 128,
            features: 128,
        };
        let splits = |shared, keys| {
            Few::choose(&Target::baseline(), &sizes(shared, keys)).map(|few| few.splits)
        };
        assert_eq!(splits(8, 1000), Some(1));
        assert_eq!(splits(8, 4096), Some(8));
        assert_eq!(splits(32, 8192), Some(4));
    }
}
