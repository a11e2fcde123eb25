//! [`Scenario`]: how the values of a graph are asked for.

use gradloom_autodiff::{Randomness, grad, jvp, vmap};
use gradloom_tensor::{DType, Device, Error, Op, Result, Tensor, commit, eval};

use super::graph::Graph;
use crate::batched::looped;

/// How the values of a graph are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// All roots in one evaluation.
    Together,
    /// Every node, also those inside of a call, by itself, operands first.
    Alone,
    /// These nodes first, one by one, then the roots.
    After(Vec<usize>),
    /// The roots, again and again with other numbers in operators.
    Replay {
        /// How often.
        times: usize,
    },
    /// Gradients of a scalar of the roots, with the roots.
    Gradients {
        /// Nodes to which they are taken.
        of: Vec<usize>,
        /// 2 adds the gradients of the first gradients' squares.
        order: usize,
    },
    /// These nodes first, one by one, as descendants of tracked leaves, so that their evaluations keep
    /// what a gradient needs; then the gradients to those leaves, with the roots.
    Later {
        /// The nodes that are evaluated before.
        first: Vec<usize>,
        /// The tracked leaves.
        of: Vec<usize>,
    },
    /// The roots, and their derivatives when nodes move along their own values.
    Forward {
        /// The nodes that move.
        along: Vec<usize>,
    },
    /// Leaves become other nodes of their shape in each of several commits, so that memory is reused.
    Carry {
        /// A leaf and what it becomes.
        updates: Vec<(usize, usize)>,
        /// How many commits.
        steps: usize,
    },
    /// Leaves step down their gradients in each of several commits.
    Train {
        /// The leaves.
        weights: Vec<usize>,
        /// How many commits.
        steps: usize,
    },
    /// Several threads evaluate roots of the same nodes in different orders.
    Threads {
        /// How many.
        count: usize,
    },
    /// The graph for several examples under `vmap`, against a loop over them, with the gradient of each
    /// example and gradients through `vmap`.
    Vmap {
        /// Leaves that each example has its own of, and along which axis these lie.
        leaves: Vec<(usize, usize)>,
        /// How many examples.
        size: usize,
        /// Leaves to which the gradient of each example is taken.
        of: Vec<usize>,
    },
}

/// A function that builds a graph and gives the numbers of its roots.
pub type Build<'a> = &'a dyn Fn(&mut Graph) -> Vec<usize>;

/// Values that are to be compared, and what each is.
pub type Results = Vec<(String, Tensor)>;

impl Scenario {
    /// The first of the results of a `vmap` by its definition, a loop over the examples.
    ///
    /// # Errors
    /// What evaluations report.
    pub fn by_loop(&self, build: Build<'_>, device: &Device) -> Result<Option<Results>> {
        let Scenario::Vmap { leaves, size, of } = self else { return Ok(None) };
        let loops = |function: Function<'_>, x: &[Tensor], axes: &[Option<isize>]| {
            looped(function, x, axes, *size)
        };
        let mut results = batched(leaves, *size, of, build, device, &loops)?;
        // The uses of a node add up in an order that the two graphs need not share, and a sum of halves
        // is rounded at each step.
        let is_half = |node: &Tensor| matches!(node.dtype(), DType::F16 | DType::BF16);
        let mut graph = Graph::new(device, 0.0, Vec::new());
        build(&mut graph);
        if graph.nodes().iter().any(is_half) {
            results.retain(|(name, _)| !name.starts_with(THROUGH));
        }
        Ok(Some(results))
    }

    /// The values that a graph has on a device.
    ///
    /// # Errors
    /// What evaluations report.
    pub fn run(&self, build: Build<'_>, device: &Device) -> Result<Results> {
        let mut graph = Graph::new(device, 0.0, Vec::new());
        match self {
            Scenario::Together => {
                let roots = named(&build(&mut graph), &graph);
                evaluated(roots)
            }
            Scenario::Alone => {
                build(&mut graph);
                alone(graph.nodes())?;
                Ok(named(&Vec::from_iter(0..graph.nodes().len()), &graph))
            }
            Scenario::After(first) => {
                let roots = build(&mut graph);
                for &node in first {
                    graph[node].eval()?;
                }
                evaluated(named(&roots, &graph))
            }
            Scenario::Replay { times } => replay(*times, build, device),
            Scenario::Gradients { of, order } => {
                let roots = build(&mut graph);
                evaluated(gradients(&graph, &roots, of, *order))
            }
            Scenario::Later { first, of } => {
                let given = tracked(of, build, device);
                let mut graph = Graph::new(device, 0.0, given);
                let roots = build(&mut graph);
                for &node in first {
                    graph[node].eval()?;
                }
                evaluated(gradients(&graph, &roots, of, 1))
            }
            Scenario::Forward { along } => {
                let roots = build(&mut graph);
                evaluated(forward(&graph, &roots, along))
            }
            Scenario::Carry { updates, steps } => carry(updates, *steps, build, device),
            Scenario::Train { weights, steps } => train(weights, *steps, build, device),
            Scenario::Threads { count } => {
                let roots = named(&build(&mut graph), &graph);
                threads(*count, &roots)?;
                Ok(roots)
            }
            Scenario::Vmap { leaves, size, of } => {
                batched(leaves, *size, of, build, device, &|function, x, axes| {
                    vmap(function, axes, 0).randomness(Randomness::Same).call(x)
                })
            }
        }
    }
}

fn named(numbers: &[usize], graph: &Graph) -> Results {
    numbers.iter().map(|&number| (format!("t[{number}]"), graph[number].clone())).collect()
}

/// Evaluates the nodes and all that they are made from one by one.
fn alone(nodes: &[Tensor]) -> Result<()> {
    let mut stack: Vec<(Tensor, bool)> =
        nodes.iter().rev().map(|node| (node.clone(), false)).collect();
    while let Some((node, ready)) = stack.pop() {
        if ready {
            node.eval()?;
        } else if node.value().is_none() {
            let operands: Vec<Tensor> = match node.op() {
                Op::Detach(source) => source.source().into_iter().collect(),
                _ => node.inputs().to_vec(),
            };
            stack.push((node, true));
            stack.extend(operands.into_iter().map(|operand| (operand, false)));
        }
    }
    Ok(())
}

fn evaluated(results: Results) -> Result<Results> {
    eval(results.iter().map(|(_, tensor)| tensor))?;
    Ok(results)
}

fn replay(times: usize, build: Build<'_>, device: &Device) -> Result<Results> {
    let mut all = Results::new();
    for time in 0..times {
        let mut graph = Graph::new(device, time as f64 * 0.25, Vec::new());
        let roots = named(&build(&mut graph), &graph);
        drop(graph);
        let named = |(name, tensor)| (format!("{name} of time {time}"), tensor);
        all.extend(evaluated(roots)?.into_iter().map(named));
    }
    Ok(all)
}

/// A scalar that depends on every float root, in f32.
fn scalar(roots: &[Tensor]) -> Option<Tensor> {
    let mut total: Option<Tensor> = None;
    for (number, root) in roots.iter().filter(|root| root.dtype().is_float()).enumerate() {
        let root = if root.dtype() == DType::F64 { root.clone() } else { root.cast(DType::F32) };
        let part = match number % 3 {
            0 => root.sum(..),
            1 => root.mul(&root).sum(..),
            _ => root.sin().sum(..),
        };
        total = Some(match total {
            Some(total) => &total + &part.cast(total.dtype()),
            None => part,
        });
    }
    total
}

fn gradients(graph: &Graph, roots: &[usize], of: &[usize], order: usize) -> Results {
    let mut results = named(roots, graph);
    let tensors: Vec<Tensor> = roots.iter().map(|&root| graph[root].clone()).collect();
    let inputs: Vec<&Tensor> = of.iter().map(|&node| &graph[node]).collect();
    let Some(loss) = scalar(&tensors) else { return results };
    let first = grad(&loss, &inputs);
    let label = |prefix: &str, list: &[Tensor]| -> Results {
        let pair =
            |(&node, tensor): (&usize, &Tensor)| (format!("{prefix} t[{node}]"), tensor.clone());
        of.iter().zip(list).map(pair).collect()
    };
    results.extend(label("the gradient of", &first));
    if order > 1 {
        let squares: Vec<Tensor> = first.iter().map(|gradient| gradient.mul(gradient)).collect();
        if let Some(loss) = scalar(&squares) {
            results.extend(label("the second gradient of", &grad(&loss, &inputs)));
        }
    }
    results
}

/// Leaves of a graph as tracked ones, to be given to it.
fn tracked(leaves: &[usize], build: Build<'_>, device: &Device) -> Vec<(usize, Tensor)> {
    let mut graph = Graph::new(device, 0.0, Vec::new());
    build(&mut graph);
    leaves.iter().map(|&leaf| (leaf, graph[leaf].tracked())).collect()
}

fn forward(graph: &Graph, roots: &[usize], along: &[usize]) -> Results {
    let mut results = named(roots, graph);
    let inputs: Vec<&Tensor> = along.iter().map(|&node| &graph[node]).collect();
    for &root in roots.iter().filter(|&&root| graph[root].dtype().is_float()) {
        let moved = jvp(&graph[root], &inputs, &inputs);
        results.push((format!("the derivative of t[{root}]"), moved));
    }
    results
}

fn carry(
    updates: &[(usize, usize)],
    steps: usize,
    build: Build<'_>,
    device: &Device,
) -> Result<Results> {
    let mut given: Vec<(usize, Tensor)> = Vec::new();
    let mut all = Results::new();
    for step in 0..steps {
        let mut graph = Graph::new(device, step as f64 * 0.25, std::mem::take(&mut given));
        let roots = build(&mut graph);
        let mut next: Vec<Tensor> = updates.iter().map(|&(_, node)| graph[node].clone()).collect();
        let mut kept: Vec<Tensor> = roots.iter().map(|&root| graph[root].clone()).collect();
        drop(graph);
        commit((&mut next, &mut kept))?;
        let name = |root: &usize| format!("t[{root}] of step {step}");
        all.extend(roots.iter().map(name).zip(kept));
        given = updates.iter().map(|&(leaf, _)| leaf).zip(next).collect();
    }
    all.extend(given.into_iter().map(|(leaf, tensor)| (format!("the last t[{leaf}]"), tensor)));
    Ok(all)
}

fn train(weights: &[usize], steps: usize, build: Build<'_>, device: &Device) -> Result<Results> {
    let mut given = tracked(weights, build, device);
    let mut all = Results::new();
    for step in 0..steps {
        let mut graph = Graph::new(device, 0.0, std::mem::take(&mut given));
        let roots = build(&mut graph);
        let tensors: Vec<Tensor> = roots.iter().map(|&root| graph[root].clone()).collect();
        let old: Vec<Tensor> = weights.iter().map(|&weight| graph[weight].clone()).collect();
        drop(graph);
        let Some(mut loss) = scalar(&tensors) else {
            return Err(Error::backend("train: no root is a float"));
        };
        drop(tensors);
        let gradients = grad(&loss, &Vec::from_iter(&old));
        let step_down = |(weight, gradient): (&Tensor, &Tensor)| {
            (weight - &gradient.mul(0.01 / (step + 1) as f64)).tracked()
        };
        let mut next: Vec<Tensor> = old.iter().zip(&gradients).map(step_down).collect();
        drop((old, gradients));
        commit((&mut next, &mut loss))?;
        all.push((format!("the loss of step {step}"), loss));
        given = weights.iter().copied().zip(next).collect();
    }
    all.extend(given.into_iter().map(|(weight, tensor)| (format!("the last t[{weight}]"), tensor)));
    Ok(all)
}

/// How gradients of a whole `vmap` are named.
const THROUGH: &str = "the gradient through vmap";

/// A function of one example, applied to all.
type Function<'a> = &'a dyn Fn(&[Tensor]) -> Vec<Tensor>;
type Apply<'a> = &'a dyn Fn(Function<'_>, &[Tensor], &[Option<isize>]) -> Vec<Tensor>;

fn batched(
    leaves: &[(usize, usize)],
    size: usize,
    of: &[usize],
    build: Build<'_>,
    device: &Device,
    apply: Apply<'_>,
) -> Result<Results> {
    let mut graph = Graph::new(device, 0.0, Vec::new());
    build(&mut graph);
    // The examples have the same elements at other places, so that indices stay in range.
    let examples = |&(leaf, axis): &(usize, usize)| {
        let own = &graph[leaf];
        let turned = |example: usize| match own.rank() {
            0 => own.clone(),
            _ => own.roll(example as isize, -1),
        };
        let all: Vec<Tensor> = (0..size).map(turned).collect();
        Tensor::stack(&all, axis as isize).detach()
    };
    let stacked: Vec<Tensor> = leaves.iter().map(examples).collect();
    eval(&stacked)?;
    let axes: Vec<Option<isize>> = leaves.iter().map(|&(_, axis)| Some(axis as isize)).collect();
    let numbers = || leaves.iter().map(|&(leaf, _)| leaf);
    let function = |x: &[Tensor]| {
        let mut graph = Graph::new(device, 0.0, numbers().zip(x.iter().cloned()).collect());
        let roots = build(&mut graph);
        gradients(&graph, &roots, of, 1).into_iter().map(|(_, tensor)| tensor).collect()
    };
    let results = apply(&function, &stacked, &axes);
    let floats: Vec<&Tensor> = stacked.iter().filter(|leaf| leaf.dtype().is_float()).collect();
    let through = scalar(&results).map(|total| grad(&total, &floats)).unwrap_or_default();
    let label = |prefix: &'static str| {
        move |(number, tensor): (usize, Tensor)| (format!("{prefix} {number}"), tensor)
    };
    let mut all: Results = results.into_iter().enumerate().map(label("result")).collect();
    all.extend(through.into_iter().enumerate().map(label(THROUGH)));
    evaluated(all)
}

/// Each thread begins at another root; all of them share what the roots have in common.
fn threads(count: usize, roots: &Results) -> Result<()> {
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..count)
            .map(|thread| {
                scope.spawn(move || -> Result<()> {
                    for number in 0..roots.len() {
                        roots[(number + thread) % roots.len()].1.eval()?;
                    }
                    Ok(())
                })
            })
            .collect();
        handles.into_iter().try_for_each(|handle| {
            handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
        })
    })
}
