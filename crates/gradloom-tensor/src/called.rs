//! [`Called`]: the op that a program has called, whose name stands in front of messages.
//!
//! A composed op is made of others, and what is wrong with its operands may come out in one of those, of which
//! its caller has never heard. So a composed op says that it was called, and whatever is refused until it is
//! done is refused in its name.

use std::cell::Cell;
use std::fmt::Display;
use std::marker::PhantomData;

thread_local! {
    /// The outermost op that this thread is in.
    static NAME: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Held while a composed op makes its nodes. Of ops within one another the outermost counts.
///
/// For whoever composes ops and wants its users to read its name:
///
/// ```
/// use gradloom_tensor::{Called, Tensor};
///
/// /// Panics with `centred: axis 7 out of range..`, not in the name of `mean`.
/// #[track_caller]
/// fn centred(x: &Tensor, axis: isize) -> Tensor {
///     let _called = Called::op("centred");
///     x - x.mean_keepdim(axis)
/// }
/// ```
#[derive(Debug)]
#[must_use = "the name holds as long as this value lives"]
pub struct Called {
    before: Option<&'static str>,
    /// What is of one thread stays there.
    thread: PhantomData<*const ()>,
}

impl Called {
    /// Says that an op was called, until the value is dropped.
    #[inline]
    pub fn op(name: &'static str) -> Called {
        let before = NAME.get();
        NAME.set(Some(before.unwrap_or(name)));
        Called { before, thread: PhantomData }
    }

    /// Lets ops have their own names again, until the value is dropped: around functions that an op was given.
    #[inline]
    pub fn nobody() -> Called {
        Called { before: NAME.replace(None), thread: PhantomData }
    }

    /// Panics with a message `op: facts` at the line of the caller, in the name of the op that was called.
    #[track_caller]
    #[cold]
    pub fn fail(message: impl Display) -> ! {
        let message = message.to_string();
        match (NAME.get(), message.split_once(": ")) {
            (Some(name), Some((_, facts))) => panic!("{name}: {facts}"),
            (Some(name), None) => panic!("{name}: {message}"),
            (None, _) => panic!("{message}"),
        }
    }

    /// The op that was called, or else this one.
    pub(crate) fn name_or(op: &'static str) -> &'static str {
        NAME.get().unwrap_or(op)
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        NAME.set(self.before);
    }
}

/// Panics as [`Called::fail`] unless something holds: `demand!(holds, "op: facts", ..)`.
#[doc(hidden)]
#[macro_export]
macro_rules! demand {
    ($holds:expr, $($message:tt)+) => {
        let holds: bool = $holds;
        if !holds {
            $crate::Called::fail(format_args!($($message)+))
        }
    };
}

pub(crate) use crate::demand;

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::Called;

    fn message(fails: fn()) -> String {
        catch_unwind(fails).unwrap_err().downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn the_outermost_op_is_named_until_it_is_done() {
        let inner = || Called::fail("inner: facts: all of them");
        assert_eq!(message(inner), "inner: facts: all of them");
        let outer = || {
            let _outer = Called::op("outer");
            let _middle = Called::op("middle");
            Called::fail("inner: facts: all of them")
        };
        assert_eq!(message(outer), "outer: facts: all of them");
        // The panic has ended both.
        assert_eq!(message(inner), "inner: facts: all of them");
        let given = || {
            let _outer = Called::op("outer");
            let _function = Called::nobody();
            Called::fail("given: facts")
        };
        assert_eq!(message(given), "given: facts");
    }
}
