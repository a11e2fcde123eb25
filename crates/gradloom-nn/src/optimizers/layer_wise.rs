//! [`layer_wise_rates`]: smaller steps for the layers nearer to the input.

use std::collections::BTreeMap;

use crate::{Module, ModuleExt};

/// Factors of the learning rate by depth, for [`rate_factor`](crate::Optimizer::rate_factor): 1 for what
/// comes after the numbered layers of a model, `decay` for the last of these, `decay^2` for the one before
/// it, and so on down to what comes before them, the embeddings.
///
/// What a published model has learnt first is the most general, and should change least. Howard, Ruder,
/// "Universal language model fine-tuning for text classification", 2018; Clark et al., "ELECTRA", 2020.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::optimizers::layer_wise_rates;
/// use gradloom_nn::{AdamW, Optimizer, Init, Module};
/// use gradloom_tensor::Key;
///
/// #[derive(Module)]
/// struct Model {
///     embeddings: Linear,
///     layer: Vec<Linear>,
///     classifier: Linear,
/// }
///
/// # let device = gradloom_testkit::reference::device();
/// # let init = &mut Init::new(Key::new(0), &device);
/// # let mut linear = || Linear::new(2, 2, init);
/// # let model =
/// #     Model { embeddings: linear(), layer: vec![linear(), linear()], classifier: linear() };
/// let rates = layer_wise_rates(&model, 0.5);
/// assert_eq!(rates("classifier.bias"), 1.0);
/// assert_eq!(rates("layer.1.weight"), 0.5);
/// assert_eq!(rates("layer.0.weight"), 0.25);
/// assert_eq!(rates("embeddings.weight"), 0.125);
/// let optimizer = AdamW::new(1e-4).rate_factor(rates);
/// # let _ = optimizer;
/// ```
///
/// A weight that the model does not have gets 1.
pub fn layer_wise_rates(
    model: &(impl Module + ?Sized),
    decay: f64,
) -> impl Fn(&str) -> f64 + Send + Sync + 'static {
    let mut depths = BTreeMap::<String, Option<usize>>::new();
    let mut began = false;
    for (name, _) in model.parameters() {
        let number = name.split('.').find_map(|part| part.parse::<usize>().ok());
        began |= number.is_some();
        let depth = match number {
            Some(number) => Some(number + 1),
            None => (!began).then_some(0),
        };
        depths.insert(name, depth);
    }
    let top = depths.values().flatten().max().map_or(0, |deepest| deepest + 1);
    let factor = move |depth: usize| decay.powi((top - depth) as i32);
    let factors: BTreeMap<String, f64> =
        depths.into_iter().map(|(name, depth)| (name, depth.map_or(1.0, factor))).collect();
    move |name| factors.get(name).copied().unwrap_or(1.0)
}
