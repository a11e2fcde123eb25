//! [`Cache`]: plans by the structure of their graphs, bounded by number and by bytes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::kernel::Plan;

/// Plans kept at most.
const PLANS_MAX: usize = 1024;

/// A plan and the nodes that get its outputs.
pub(crate) type Known = (Arc<Plan>, Arc<[usize]>);

/// Plans by structure.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    plans: FxHashMap<Arc<[u8]>, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    plan: Arc<Plan>,
    outputs: Arc<[usize]>,
    used: u64,
    /// Bytes of the plan and its key, without what backends make of it.
    bytes: usize,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.bytes + self.plan.attachments.bytes()
    }
}

impl Cache {
    pub(crate) fn find(&mut self, key: &[u8]) -> Option<Known> {
        self.clock += 1;
        let clock = self.clock;
        self.plans.get_mut(key).map(|entry| {
            entry.used = clock;
            (entry.plan.clone(), entry.outputs.clone())
        })
    }

    /// Keeps a plan, unless another thread has planned the same meanwhile: that one stays. If plans are
    /// too many or more than `bytes_max`, those used least recently go, down to half of that; they are
    /// given to the caller, who drops them when nobody waits.
    pub(crate) fn insert(
        &mut self,
        key: Vec<u8>,
        plan: Arc<Plan>,
        outputs: Arc<[usize]>,
        bytes_max: usize,
    ) -> (Known, Vec<Arc<Plan>>) {
        if let Some(known) = self.find(&key) {
            return (known, Vec::new());
        }
        let crowded = self.plans.len() >= PLANS_MAX || self.bytes() > bytes_max;
        let dropped = if crowded { self.halve(bytes_max) } else { Vec::new() };
        let bytes = plan.footprint() + key.len() + size_of::<Entry>();
        let entry = Entry { plan: plan.clone(), outputs: outputs.clone(), used: self.clock, bytes };
        self.plans.insert(key.into(), entry);
        ((plan, outputs), dropped)
    }

    /// Forgets the plans used least recently: half of them, and all beyond half of `bytes_max`.
    pub(crate) fn halve(&mut self, bytes_max: usize) -> Vec<Arc<Plan>> {
        let mut uses: Vec<(u64, usize)> =
            self.plans.values().map(|entry| (entry.used, entry.bytes())).collect();
        uses.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        let kept = uses.iter().take(uses.len() / 2).take_while(|(_, own)| {
            bytes += own;
            bytes <= bytes_max / 2
        });
        let oldest = kept.last().map_or(u64::MAX, |&(used, _)| used);
        self.plans.extract_if(|_, entry| entry.used < oldest).map(|(_, entry)| entry.plan).collect()
    }

    /// Bytes of all plans, with what backends have made of them.
    pub(crate) fn bytes(&self) -> usize {
        self.plans.values().map(Entry::bytes).sum()
    }
}
