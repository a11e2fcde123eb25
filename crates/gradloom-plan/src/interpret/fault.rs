//! [`Fault`]: what can be wrong with a kernel while it is interpreted, and [`Failure`], where it was.

use std::fmt;

/// Why a kernel could not be interpreted. Operands count as
/// [`Kernel::inputs`](crate::Kernel::inputs) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The data's fault: an index that is checked lies outside its axis.
    Index {
        /// The graph node that checks.
        site: usize,
        /// What was found.
        index: i64,
        /// First value out of range.
        size: usize,
    },
    /// An element was read that nothing has written.
    Unwritten {
        /// The operand that was read.
        operand: usize,
        /// The element of its buffer.
        element: usize,
    },
    /// An element was read from a buffer that held the elements of another node.
    Stale {
        /// The operand that was read.
        operand: usize,
        /// The element of its buffer.
        element: usize,
        /// The node whose elements the kernel reads.
        node: usize,
        /// The node whose elements the buffer held; `None` if they are a leaf's.
        found: Option<usize>,
    },
    /// An element was read that its buffer does not have.
    Outside {
        /// The operand that was read.
        operand: usize,
        /// Where its index arithmetic led.
        element: i64,
        /// Elements in its buffer.
        len: usize,
    },
    /// An index out of range came to a kernel that relies on an earlier check.
    Unchecked {
        /// The operand that holds indices.
        operand: usize,
        /// What was found.
        index: i64,
        /// First value out of range.
        size: usize,
    },
    /// An output's memory already held the elements of another node that has to keep them.
    Overwritten {
        /// Position in [`Kernel::outputs`](crate::Kernel::outputs).
        output: usize,
        /// The node whose elements were lost.
        node: usize,
    },
    /// The data's fault, if that is looked for: an op makes a NaN or an infinity of finite numbers.
    NotFinite {
        /// The graph node of the op.
        site: usize,
        /// Which of the two.
        what: &'static str,
    },
    /// The data's fault: what an op from outside cannot do with it.
    Failed(String),
    /// A fault in the body of a loop.
    Step {
        /// The step's number.
        step: usize,
        /// What was found in the plan of its body.
        failure: Box<Failure>,
    },
    /// The kernel or the plan contradicts itself.
    Malformed(String),
}

/// A fault and the kernel where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Position in [`Plan::kernels`](crate::Plan::kernels); `None` for what is wrong with a plan as a
    /// whole.
    pub kernel: Option<usize>,
    /// What was found.
    pub fault: Fault,
}

impl Fault {
    pub(super) fn malformed(message: impl Into<String>) -> Fault {
        Fault::Malformed(message.into())
    }

    /// The fault of a contradiction, unless `holds`.
    pub(super) fn unless(holds: bool, message: impl FnOnce() -> String) -> Result<(), Fault> {
        if holds { Ok(()) } else { Err(Fault::Malformed(message())) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Index { site, index, size } => {
                write!(formatter, "node {site}: index {index} out of range for size {size}")
            }
            Fault::Unwritten { operand, element } => {
                write!(
                    formatter,
                    "operand {operand}: element {element} is read before it is written"
                )
            }
            Fault::Stale { operand, element, node, found } => {
                write!(
                    formatter,
                    "operand {operand}: element {element} of node {node} is read where "
                )?;
                match found {
                    Some(found) => write!(formatter, "node {found} was written"),
                    None => write!(formatter, "there still is a leaf"),
                }
            }
            Fault::Outside { operand, element, len } => {
                write!(formatter, "operand {operand}: element {element} of {len} is read")
            }
            Fault::Unchecked { operand, index, size } => write!(
                formatter,
                "operand {operand}: index {index} out of range for size {size} was not checked before"
            ),
            Fault::Overwritten { output, node } => {
                write!(formatter, "output {output}: node {node} in the same memory is overwritten")
            }
            Fault::NotFinite { site, what } => write!(formatter, "node {site}: it makes {what}"),
            Fault::Step { step, failure } => write!(formatter, "step {step}: {failure}"),
            Fault::Failed(message) | Fault::Malformed(message) => formatter.write_str(message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kernel {
            Some(kernel) => write!(formatter, "kernel {kernel}: {}", self.fault),
            None => write!(formatter, "plan: {}", self.fault),
        }
    }
}

impl std::error::Error for Fault {}

impl std::error::Error for Failure {}
