//! A warning to programs that forget to commit: weights whose history grows from step to step.
//!
//! Such a program gives right numbers, but keeps every step in memory. Nothing else would tell it.

use std::sync::Once;

use gradloom_tensor::Tensor;

/// Ops in a row behind a weight that no few steps make: a step of a plain network has tens. Weights that
/// are committed have none when gradients are asked for, however deep the network is.
const DEPTH_MAX: u32 = 4096;

static WARNED: Once = Once::new();

/// Warns, once in a process, of a weight whose history spans many steps.
pub(crate) fn warn(name: &str, weight: &Tensor) {
    if let Some(warning) = warning(name, weight.depth()) {
        WARNED.call_once(|| eprintln!("{warning}"));
    }
}

fn warning(name: &str, depth: u32) -> Option<String> {
    (depth > DEPTH_MAX).then(|| {
        format!(
            "gradloom: warning: the weight {name} has {depth} operations of history, the steps since it was \
             last committed; all of them stay in memory. Call commit((&mut model, &mut optimizer)) after \
             each step, or detach weights that need no gradient through earlier steps. This is said once."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Linear;
    use crate::{Context, Init, Layer, ModuleExt, Optimizer, Sgd, gradients};
    use gradloom_tensor::{DType, Key, commit};

    /// The deepest history of a weight at the beginning of each of 200 steps.
    fn depths(commits: bool) -> Vec<u32> {
        let device = gradloom_testkit::reference::device();
        let mut model = Linear::new(2, 1, &mut Init::new(Key::new(0), &device));
        let mut optimizer = Sgd::new(0.01).momentum(0.9);
        let x = Tensor::ones([1, 2], DType::F32, &device);
        let step = |_| {
            let deepest = model.parameters().iter().map(|(_, weight)| weight.depth()).max();
            let loss = model.forward(&x, &mut Context::train(Key::new(0))).square().sum(..);
            let gradients = gradients(&loss, &model);
            optimizer.step(&gradients, &mut model);
            if commits {
                commit((&mut model, &mut optimizer)).unwrap();
            }
            deepest.unwrap_or(0)
        };
        (0..200).map(step).collect()
    }

    #[test]
    fn a_forgotten_commit_is_told_and_a_committed_weight_never() {
        assert!(depths(true)[1..].iter().all(|&depth| depth == 0));
        let forgotten = depths(false);
        assert!(forgotten.is_sorted());
        assert!(forgotten[10] < DEPTH_MAX / 4 && *forgotten.last().unwrap() > DEPTH_MAX / 2);
        assert_eq!(warning("weight", DEPTH_MAX), None);
        let text = warning("layer.0.weight", 5000).unwrap();
        assert!(text.contains("layer.0.weight has 5000 operations"), "{text}");
    }
}
