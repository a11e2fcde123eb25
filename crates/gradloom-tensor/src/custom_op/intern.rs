//! One number for all custom ops that are equal, so that the structure of a graph can name them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::op::CustomOp;

#[derive(Default)]
struct Known {
    by_hash: HashMap<u64, Vec<(u64, Weak<dyn CustomOp>)>>,
    next: u64,
    /// Number of hashes from which ops that are gone are looked for.
    crowded: usize,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// The op that stands for all equal ones, and its number. A number is never given to another op; an op that
/// nothing holds any more gets a new one.
pub(crate) fn intern(op: Arc<dyn CustomOp>) -> (u64, Arc<dyn CustomOp>) {
    let hash = (*op).identity_hash();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let bucket = known.by_hash.entry(hash).or_default();
    bucket.retain(|(_, held)| held.strong_count() > 0);
    let mut live = bucket.iter().filter_map(|(id, held)| Some((*id, held.upgrade()?)));
    let same = |held: &Arc<dyn CustomOp>| {
        let held: &dyn Any = &**held;
        (*op).is_same(held)
    };
    if let Some(found) = live.find(|(_, held)| same(held)) {
        return found;
    }
    let id = known.next;
    known.next += 1;
    bucket.push((id, Arc::downgrade(&op)));
    if known.by_hash.len() > known.crowded {
        known.by_hash.retain(|_, bucket| bucket.iter().any(|(_, held)| held.strong_count() > 0));
        known.crowded = 64.max(2 * known.by_hash.len());
    }
    (id, op)
}

#[cfg(test)]
mod tests {
    use std::hash::{Hash, Hasher};

    use super::*;
    use crate::custom_op::{HostOperand, HostResult, TensorType};
    use crate::{DType, Result};

    /// Its hash says nothing of it, as a lawful one may.
    #[derive(Debug, PartialEq, Eq)]
    struct Scaled(u32);

    impl Hash for Scaled {
        fn hash<H: Hasher>(&self, _hasher: &mut H) {}
    }

    impl CustomOp for Scaled {
        fn name(&self) -> &'static str {
            "scaled"
        }

        fn results(&self, _operands: &[TensorType]) -> Result<Vec<TensorType>> {
            Ok(vec![TensorType::new([1], DType::F32)])
        }

        fn run(
            &self,
            _operands: &[HostOperand<'_>],
            _results: &mut [HostResult<'_>],
        ) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn equal_ops_have_one_number_and_others_never_the_same() {
        let (first, held) = intern(Arc::new(Scaled(1)));
        let (second, other) = intern(Arc::new(Scaled(2)));
        assert_eq!(intern(Arc::new(Scaled(1))).0, first);
        assert_ne!(first, second);
        drop(held);
        assert_ne!(intern(Arc::new(Scaled(1))).0, first);
        assert_eq!(intern(Arc::new(Scaled(2))).0, second);
        drop(other);
    }
}
