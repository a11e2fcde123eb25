//! [`Attachments`]: what backends have made of a plan. It is kept with the plan and dropped with it, so
//! that no backend needs a table of plans whose bounds could differ from the planner's.

use std::any::Any;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_tensor::Result;

/// Who has made something: one device of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u64);

impl Owner {
    /// One that is no other.
    #[expect(clippy::new_without_default, reason = "each call gives another owner")]
    pub fn new() -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Owner(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What backends have made of a plan: compiled kernels, where it runs.
#[derive(Default)]
pub struct Attachments {
    list: Mutex<Vec<(Owner, Arc<dyn Any + Send + Sync>)>>,
    /// Apart from the list, which is locked while something is made.
    bytes: AtomicUsize,
}

impl Attachments {
    /// What `owner` has made of the plan, or makes now: a value, and about how many bytes of the host it
    /// takes.
    ///
    /// # Errors
    /// What `make` reports.
    pub fn get_or_make<T: Any + Send + Sync>(
        &self,
        owner: Owner,
        make: impl FnOnce() -> Result<(T, usize)>,
    ) -> Result<Arc<T>> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let own = list.iter().find(|(other, _)| *other == owner);
        if let Some(found) = own.and_then(|(_, made)| Arc::clone(made).downcast().ok()) {
            return Ok(found);
        }
        let (made, bytes) = make()?;
        let made = Arc::new(made);
        list.push((owner, made.clone()));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(made)
    }

    /// Forgets what `owner` has made, so that it is made anew. Its bytes count until the plan goes.
    pub fn forget(&self, owner: Owner) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(other, _)| *other != owner);
    }

    /// Bytes of all that was made.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Clone for Attachments {
    /// None: what was made of a plan is of that plan.
    fn clone(&self) -> Self {
        Attachments::default()
    }
}

impl PartialEq for Attachments {
    /// Always: they are no part of what a plan does.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Attachments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Attachments({} bytes)", self.bytes())
    }
}
