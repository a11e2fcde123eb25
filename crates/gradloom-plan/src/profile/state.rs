//! [`State`]: all that a profile knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gradloom_tensor::Origin;

use super::described::Described;
use super::run::Ceilings;
use super::timeline::Timeline;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) timeline: Option<Timeline>,
    pub(super) kernels: HashMap<Key, Entry>,
    pub(super) others: HashMap<(String, &'static str), Totals>,
    pub(super) ceilings: HashMap<String, Ceilings>,
}

/// A kernel of a plan that was run for a line and a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) device: String,
    pub(super) plan: u64,
    pub(super) index: usize,
    pub(super) origin: Option<Origin>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) described: Arc<Described>,
    pub(super) totals: Totals,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) runs: u64,
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

impl Totals {
    pub(super) fn add(&mut self, time: Duration, bytes: u64) {
        self.runs += 1;
        self.time += time;
        self.bytes += bytes;
    }
}
