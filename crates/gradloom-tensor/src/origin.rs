//! [`Origin`]: which line of a program a node belongs to, for messages.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;

use crate::layer_tag::LayerTag;

/// Where a node was made: at the caller's line, or, if a derivative rule has made it, for the op of that
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The line.
    pub location: &'static Location<'static>,
    /// The op of that line in whose gradient the node is, if it is in one.
    pub gradient_of: Option<&'static str>,
    /// The layer that it is of, if layers are noted: see [`LayerTag`].
    pub layer: Option<LayerTag>,
}

thread_local! {
    /// The origin of all nodes that this thread makes; `None` while each has its caller's.
    static SCOPE: Cell<Option<Origin>> = const { Cell::new(None) };
}

impl Origin {
    /// The origin of a node that is made now.
    #[track_caller]
    #[inline]
    pub(crate) fn of_caller() -> Origin {
        let location = Location::caller();
        SCOPE.get().unwrap_or_else(|| Origin {
            location,
            gradient_of: None,
            layer: LayerTag::current(),
        })
    }

    /// Runs a function whose nodes are all of this origin; `None` gives each its caller's line. What held
    /// before holds again afterwards, also after a panic.
    pub fn scope<T>(origin: Option<Origin>, function: impl FnOnce() -> T) -> T {
        struct Restore(Option<Origin>);

        impl Drop for Restore {
            fn drop(&mut self) {
                SCOPE.set(self.0);
            }
        }

        let _restore = Restore(SCOPE.replace(origin));
        function()
    }
}

impl From<&'static Location<'static>> for Origin {
    fn from(location: &'static Location<'static>) -> Self {
        Origin { location, gradient_of: None, layer: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.location)?;
        match self.gradient_of {
            Some(op) => write!(formatter, ", in the gradient of its {op}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::Origin;

    #[test]
    fn scopes_nest_and_end_with_a_panic() {
        let outer = Origin { gradient_of: Some("log"), ..Origin::of_caller() };
        let line = line!() + 1;
        let plain = || Origin::of_caller();
        assert_eq!((plain().location.line(), plain().gradient_of), (line, None));
        Origin::scope(Some(outer), || {
            assert_eq!(plain(), outer);
            Origin::scope(None, || assert_eq!(plain().location.line(), line));
            assert_eq!(plain(), outer);
            let panics = || Origin::scope(None, || panic!("a rule"));
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            assert_eq!(plain(), outer);
        });
        assert_eq!(plain().gradient_of, None);
        assert!(outer.to_string().ends_with(", in the gradient of its log"));
    }
}
