//! [`LayerTag`]: which layer of a model a node belongs to, noted while somebody profiles and never else.

use std::cell::Cell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A layer that has run: a number for what the process knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerTag(NonZeroU32);

/// Until it goes, nodes that this thread makes belong to a layer.
#[derive(Debug)]
pub struct LayerScope {
    outer: Option<LayerTag>,
    /// A scope ends on the thread it began on.
    here: PhantomData<*const ()>,
}

/// Layers by number, and the names of parameters.
#[derive(Default)]
struct Registry {
    layers: Vec<Known>,
    numbers: HashMap<(&'static str, u64), LayerTag>,
    names: HashMap<u64, String>,
}

struct Known {
    kind: &'static str,
    /// Identity of the layer's first parameter, and its name within the layer.
    parameter: u64,
    own: String,
}

/// Not looked at yet, off, on.
static NOTING: AtomicU8 = AtomicU8::new(0);
static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

thread_local! {
    static CURRENT: Cell<Option<LayerTag>> = const { Cell::new(None) };
}

impl LayerTag {
    /// Whether layers are noted from now on.
    pub fn note(on: bool) {
        NOTING.store(if on { 2 } else { 1 }, Ordering::Relaxed);
    }

    /// True if layers are noted: from the start if the environment asks for a profile.
    #[inline]
    pub fn noting() -> bool {
        match NOTING.load(Ordering::Relaxed) {
            0 => LayerTag::look(),
            state => state == 2,
        }
    }

    #[cold]
    fn look() -> bool {
        let asked = std::env::var_os("GRADLOOM_PROFILE");
        let on = asked.is_some_and(|value| !value.is_empty() && value != "0");
        LayerTag::note(on);
        on
    }

    /// The layer whose nodes this thread makes now.
    #[inline]
    pub(crate) fn current() -> Option<LayerTag> {
        CURRENT.get()
    }

    /// Enters a layer of a kind, known by its first parameter: identity, and name within the layer.
    pub fn enter(kind: &'static str, parameter: u64, own: &str) -> LayerScope {
        let tag = Registry::with(|registry| registry.tag(kind, parameter, own));
        LayerScope { outer: CURRENT.replace(Some(tag)), here: PhantomData }
    }

    /// Says what a parameter is called in its model, so that its layer has a name.
    pub fn name_parameter(identity: u64, name: &str) {
        Registry::with(|registry| registry.names.insert(identity, name.to_owned()));
    }

    /// `encoder.layer.0.query (Linear)`; the kind alone for a layer of a model that nobody named.
    pub fn label(self) -> String {
        Registry::with(|registry| {
            let Some(layer) = registry.layers.get(self.0.get() as usize - 1) else {
                return String::new();
            };
            let full = registry.names.get(&layer.parameter);
            let place = full.and_then(|full| full.strip_suffix(layer.own.as_str()));
            match place.map(|place| place.trim_end_matches('.')) {
                Some(place) if !place.is_empty() => format!("{place} ({})", layer.kind),
                _ => layer.kind.to_owned(),
            }
        })
    }
}

impl Drop for LayerScope {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

impl Registry {
    fn with<T>(function: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry: MutexGuard<'_, Option<Registry>> =
            REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
        function(registry.get_or_insert_default())
    }

    fn tag(&mut self, kind: &'static str, parameter: u64, own: &str) -> LayerTag {
        if let Some(&tag) = self.numbers.get(&(kind, parameter)) {
            return tag;
        }
        self.layers.push(Known { kind, parameter, own: own.to_owned() });
        let count = u32::try_from(self.layers.len()).unwrap_or(u32::MAX);
        let tag = LayerTag(NonZeroU32::new(count).unwrap_or(NonZeroU32::MAX));
        self.numbers.insert((kind, parameter), tag);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::LayerTag;

    #[test]
    fn layers_nest_and_have_the_names_of_their_parameters() {
        let id = u64::MAX - 7;
        assert_eq!(LayerTag::current(), None);
        let outer = LayerTag::enter("Outer", id, "weight");
        let first = LayerTag::current();
        {
            let _inner = LayerTag::enter("Inner", id, "inner.weight");
            assert_ne!(LayerTag::current(), first);
        }
        assert_eq!(LayerTag::current(), first);
        drop(outer);
        assert_eq!(LayerTag::current(), None);
        let tag = first.expect("a layer was entered");
        assert_eq!(tag.label(), "Outer");
        LayerTag::name_parameter(id, "model.3.weight");
        assert_eq!(tag.label(), "model.3 (Outer)");
    }
}
