//! Where results live: outputs keep their own memory, temporaries that live at different times share
//! slots.

use std::ops::Range;

use gradloom_tensor::DType;
use rustc_hash::FxHashMap;

use crate::draft::Draft;
use crate::kernel::{BufferRef, Slot};

/// Assigns slots to the temporaries of an ordered list of drafts.
pub(crate) struct Memory {
    pub(crate) place: FxHashMap<usize, BufferRef>,
    pub(crate) slots: Vec<Slot>,
}

impl Memory {
    /// `together` are drafts that may run at the same time, `outputs` says where bases live that outlive
    /// the evaluation, and `size` gives dtype and length.
    pub(crate) fn new(
        drafts: &[Draft],
        together: &[Range<usize>],
        outputs: &FxHashMap<usize, BufferRef>,
        size: impl Fn(usize) -> (DType, usize),
    ) -> Memory {
        let mut steps: Vec<Range<usize>> = Vec::new();
        for position in 0..drafts.len() {
            if steps.last().is_none_or(|last| last.end <= position) {
                let own = together.iter().find(|own| own.start == position);
                steps.push(own.cloned().unwrap_or(position..position + 1));
            }
        }
        let mut last_use: FxHashMap<usize, usize> = FxHashMap::default();
        for (time, step) in steps.iter().enumerate() {
            for draft in &drafts[step.clone()] {
                let outputs = draft.outputs.iter().map(|(node, _)| node);
                for &node in draft.inputs.iter().chain(outputs) {
                    last_use.insert(node, time);
                }
            }
        }
        let mut place = outputs.clone();
        let mut slots: Vec<Slot> = Vec::new();
        let mut free: Vec<usize> = Vec::new();
        for (time, step) in steps.iter().enumerate() {
            let drafts = &drafts[step.clone()];
            for &(node, _) in drafts.iter().flat_map(|draft| &draft.outputs) {
                if place.contains_key(&node) {
                    continue;
                }
                let (dtype, len) = size(node);
                let slot = take(&mut slots, &mut free, len, len * dtype.size());
                place.insert(node, BufferRef::Slot(slot));
            }
            let written = drafts.iter().flat_map(|draft| &draft.outputs).map(|(node, _)| node);
            for node in drafts.iter().flat_map(|draft| &draft.inputs).chain(written) {
                if let Some(BufferRef::Slot(slot)) = place.get(node)
                    && last_use[node] == time
                    && !free.contains(slot)
                {
                    free.push(*slot);
                }
            }
        }
        Memory { place, slots }
    }
}

/// The free slot that fits best, grown if all are too small; or a new one.
fn take(slots: &mut Vec<Slot>, free: &mut Vec<usize>, elements: usize, bytes: usize) -> usize {
    let best = (0..free.len()).min_by_key(|&index| {
        let have = slots[free[index]].bytes;
        // First those that fit, tightest first; then the largest of the others.
        if have >= bytes { (0, have - bytes) } else { (1, bytes - have) }
    });
    let slot = match best {
        Some(index) => free.swap_remove(index),
        None => {
            slots.push(Slot { elements_max: 0, bytes: 0 });
            slots.len() - 1
        }
    };
    slots[slot].elements_max = slots[slot].elements_max.max(elements);
    slots[slot].bytes = slots[slot].bytes.max(bytes);
    slot
}
