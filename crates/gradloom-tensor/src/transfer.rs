//! Values that move from device to device ([`Op::Transfer`]), and graphs on several devices: what each device
//! computes, and in which order.
//!
//! To the device that it moves to, such a node is a leaf. Before an evaluation the values that it needs from
//! elsewhere are computed where they are made and moved, as many at a time as do not wait for others.

use std::collections::{HashMap, HashSet};

use crate::backend::Retention;
use crate::tensor::State;
use crate::{Device, Error, Op, Result, Tensor};

impl Tensor {
    /// This tensor's elements on another device, copied through the host when they are asked for; the same
    /// device gives the same tensor. Gradients go back the same way. PyTorch: `to(device)`.
    ///
    /// One evaluation may need values of several devices: those that do not depend on one another work at
    /// the same time. What a device cannot hold, such as f64 on a GPU, is an error of the evaluation.
    ///
    /// ```
    /// # use gradloom_tensor::{Device, Result, Tensor};
    /// # fn halves(x: &Tensor, first: &Device, second: &Device) -> Result<Vec<f32>> {
    /// let hidden = x.to_device(first).relu();
    /// let result = hidden.to_device(second).square();
    /// result.to_vec::<f32>()
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Tensor {
        if self.device() == device {
            return self.clone();
        }
        if let Some(format) = self.block_format() {
            let words = self.inputs()[0].to_device(device);
            return words.dequantize(format, [self.size(0), self.size(1)]);
        }
        Tensor::from_op(Op::Transfer, vec![self.clone()], *self.shape(), self.dtype(), device)
    }
}

/// What one device computes before anything else can happen there.
pub(crate) struct Work {
    device: Device,
    /// Nodes of the device.
    roots: Vec<Tensor>,
    retention: Retention,
    /// Nodes of other devices that get the value of one of its nodes.
    moved: Vec<Tensor>,
}

/// True if the roots are not the work of one device alone.
pub(crate) fn spans_devices(roots: &[Tensor]) -> bool {
    let mut left = roots.iter().filter(|root| root.value().is_none());
    let Some(first) = left.next() else { return false };
    let moves = |root: &Tensor| root.value().is_none() && root.has_transfers();
    moves(first) || left.any(|root| root.device() != first.device() || moves(root))
}

/// What can be done now for the roots, of which those that it computes are taken out; nothing once all have
/// values.
pub(crate) fn next_work(roots: &mut Vec<Tensor>, retention: Retention) -> Vec<Work> {
    roots.retain(|root| root.value().is_none());
    let survey = Survey::of(roots);
    let mut works: Vec<Work> = Vec::new();
    for transfer in &survey.transfers {
        let source = &transfer.inputs()[0];
        if !survey.waits(source) {
            let work = work_of(&mut works, source.device());
            if source.value().is_none() {
                work.roots.push(source.clone());
            }
            work.moved.push(transfer.clone());
        }
    }
    // A root is computed with the last of what its device has to do for others.
    let waiting = |root: &&Tensor| survey.waits(root);
    let sources = survey.transfers.iter().map(|transfer| &transfer.inputs()[0]);
    let busy: Vec<Device> =
        roots.iter().chain(sources).filter(waiting).map(|tensor| tensor.device().clone()).collect();
    roots.retain(|root| {
        let ready = !survey.waits(root) && !busy.contains(root.device());
        if ready {
            let work = work_of(&mut works, root.device());
            // Whoever holds what is moved may ask for its history.
            let kept = work.moved.iter().any(|transfer| survey.is_held(transfer));
            work.roots.push(root.clone());
            work.retention = if kept { Retention::Keep } else { retention };
        }
        !ready
    });
    works
}

fn work_of<'a>(works: &'a mut Vec<Work>, device: &Device) -> &'a mut Work {
    let known = works.iter().position(|work| work.device == *device);
    let position = known.unwrap_or_else(|| {
        let device = device.clone();
        works.push(Work {
            device,
            roots: Vec::new(),
            retention: Retention::Keep,
            moved: Vec::new(),
        });
        works.len() - 1
    });
    &mut works[position]
}

impl Work {
    /// Does it, and moves what others wait for.
    fn run(&self) -> Result<()> {
        if self.is_left() {
            self.device.backend().evaluate(&self.roots, self.retention)?;
            self.check()?;
        }
        for transfer in &self.moved {
            let Some(value) = transfer.inputs()[0].value() else { continue };
            let moved = self
                .device
                .backend()
                .download(value)
                .and_then(|bytes| transfer.device().backend().upload(transfer.dtype(), &bytes));
            self.finish(transfer, moved)?;
        }
        Ok(())
    }

    /// As [`Work::run`], without blocking.
    pub(crate) async fn run_async(&self) -> Result<()> {
        if self.is_left() {
            self.device.backend().evaluate_async(&self.roots, self.retention).await?;
            self.check()?;
        }
        for transfer in &self.moved {
            let Some(value) = transfer.inputs()[0].value() else { continue };
            let moved = match self.device.backend().download_async(value).await {
                Ok(bytes) => {
                    transfer.device().backend().upload_async(transfer.dtype(), &bytes).await
                }
                Err(error) => Err(error),
            };
            self.finish(transfer, moved)?;
        }
        Ok(())
    }

    fn is_left(&self) -> bool {
        self.roots.iter().any(|root| root.value().is_none())
    }

    fn check(&self) -> Result<()> {
        match self.is_left() {
            true => Err(Error::backend(format!(
                "eval: {} left a root without a value",
                self.device.name()
            ))),
            false => Ok(()),
        }
    }

    fn finish(&self, transfer: &Tensor, moved: Result<crate::Buffer>) -> Result<()> {
        let value = moved.map_err(|error| {
            error.context(format!(
                "to_device of shape {} (made at {}), from {} to {}",
                transfer.shape(),
                transfer.origin(),
                self.device.name(),
                transfer.device().name()
            ))
        })?;
        transfer.set_value(value);
        Ok(())
    }
}

/// Does all works, those of several devices at the same time.
pub(crate) fn run_all(works: &[Work]) -> Result<()> {
    let Some((first, others)) = works.split_first() else { return Ok(()) };
    if others.is_empty() || cfg!(target_family = "wasm") {
        return works.iter().try_for_each(Work::run);
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|work| scope.spawn(|| work.run())).collect();
        let mut result = first.run();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(other);
        }
        result
    })
}

/// Which values have to be moved before others can be computed.
struct Survey {
    /// Transfers without a value, sources before those that need them.
    transfers: Vec<Tensor>,
    /// Whether a node needs one of them.
    waits: HashMap<u64, bool>,
    /// Nodes that somebody holds besides the graph, or what is made of which.
    held: HashSet<u64>,
}

impl Survey {
    fn of(roots: &[Tensor]) -> Survey {
        let mut waits: HashMap<u64, bool> = HashMap::new();
        // Operands before their users.
        let mut nodes: Vec<Tensor> = Vec::new();
        let mut stack: Vec<(Tensor, bool)> =
            roots.iter().map(|root| (root.clone(), false)).collect();
        while let Some((node, ready)) = stack.pop() {
            if !node.has_transfers() || waits.contains_key(&node.id()) {
                continue;
            }
            let operands = operands(&node);
            if !ready {
                stack.push((node, true));
                stack.extend(operands.into_iter().map(|operand| (operand, false)));
                continue;
            }
            let needs = |operand: &Tensor| waits.get(&operand.id()).copied().unwrap_or(false);
            let own = matches!(node.op(), Op::Transfer) || operands.iter().any(needs);
            waits.insert(node.id(), own);
            nodes.push(node);
        }
        let held = held(&nodes, roots);
        let transfers =
            nodes.into_iter().filter(|node| matches!(node.op(), Op::Transfer)).collect();
        Survey { transfers, waits, held }
    }

    fn waits(&self, node: &Tensor) -> bool {
        self.waits.get(&node.id()).copied().unwrap_or(false)
    }

    fn is_held(&self, node: &Tensor) -> bool {
        self.held.contains(&node.id())
    }
}

/// What a node without a value is made of.
fn operands(node: &Tensor) -> Vec<Tensor> {
    match node.state() {
        State::Value(_) => Vec::new(),
        State::Detached(source) => vec![source],
        State::Node => node.inputs().to_vec(),
    }
}

/// Nodes that somebody holds besides these, and what they are made of. A root is held by who asks for its
/// value, and in the list.
fn held(nodes: &[Tensor], roots: &[Tensor]) -> HashSet<u64> {
    let mut references: HashMap<u64, usize> = HashMap::new();
    for node in nodes {
        *references.entry(node.id()).or_default() += 1;
        for operand in operands(node) {
            *references.entry(operand.id()).or_default() += 1;
        }
    }
    for root in roots {
        *references.entry(root.id()).or_default() += 2;
    }
    let mut held: HashSet<u64> = HashSet::new();
    for node in nodes.iter().rev() {
        if held.contains(&node.id()) || node.handles() > references[&node.id()] {
            held.insert(node.id());
            held.extend(operands(node).iter().map(Tensor::id));
        }
    }
    held
}
