//! Penalties on what a model must not say: tokens and sequences that are banned, tokens that it repeats, and whatever
//! a frozen classifier finds harmful.
//!
//! Letters: B batch, T tokens of a text, V tokens of the vocabulary.

use gradloom_tensor::{Called, DType, Device, Result, Tensor, demand};

/// `-log(1 - p)` of every banned token, summed over them; the mean over all places.
///
/// Logits `[.., V]` of floats; `banned` is bool `[.., V]` or what broadcasts to it, as `[V]` of words that are never
/// to be said. Exact and with a gradient also where a banned token has all of the probability. Added to the
/// likelihood of the targets: `logits.cross_entropy(&targets) + unlikelihood(&logits, &banned) * 1.0`.
///
/// ```
/// use gradloom_nn::losses::unlikelihood;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let logits = Tensor::new([[0.0f32, 0.0, 0.0, 0.0]], &device)?;
/// let banned = Tensor::new([true, false, false, false], &device)?;
/// assert!((unlikelihood(&logits, &banned).item()? - (4.0f64 / 3.0).ln()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// fairseq: `unlikelihood`, which holds `1 - p` above 1e-5. Welleck et al., "Neural text generation with unlikelihood
/// training", 2019.
///
/// # Panics
/// If the logits are no floats of at least two tokens, or the mask is no bool or does not broadcast.
#[track_caller]
#[must_use]
pub fn unlikelihood(logits: &Tensor, banned: &Tensor) -> Tensor {
    const OP: &str = "unlikelihood";
    let _called = Called::op(OP);
    demand!(
        logits.rank() > 0 && logits.dtype().is_float() && logits.size(-1) > 1,
        "{OP}: logits {} {}; needs floats [.., V] of at least two tokens",
        logits.dtype(),
        logits.shape()
    );
    demand!(banned.dtype() == DType::Bool, "{OP}: the mask is {}, not bool", banned.dtype());
    let banned = banned.broadcast_to(*logits.shape());
    let x = logits.wide();
    let likeliest = x.argmax(-1).one_hot(x.size(-1)).gt(0.5);
    // 1 - p of the likeliest token is what the others have together; of the others it is at least a half.
    let others = likeliest.select(x.constant_like(f64::NEG_INFINITY), &x);
    let rest = others.logsumexp_keepdim(-1) - x.logsumexp_keepdim(-1);
    let small = likeliest.select(x.zeros_like(), x.log_softmax(-1).exp());
    let unlikely = likeliest.select(rest.broadcast_to(*x.shape()), small.neg().log1p());
    let losses = banned.select(-unlikely, x.zeros_like()).sum(-1);
    losses.mean(..).cast(logits.dtype())
}

/// The tokens that a text has had before and does not need now: bool `[B, T, V]` of targets `[B, T]`, for
/// [`unlikelihood`] against repetitions. These are the candidates of Welleck et al.
///
/// ```
/// use gradloom_nn::losses::repeated_tokens;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let targets = Tensor::new([[2, 0, 2]], &device)?;
/// let banned = repeated_tokens(&targets, 3).to_vec::<bool>()?;
/// assert_eq!(banned[3..6], [false, false, true]); // of 2 and 0, token 0 is the target of the second place
/// assert_eq!(banned[6..9], [true, false, false]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the targets are no integers `[B, T]`. A token outside the vocabulary fails the evaluation.
#[track_caller]
#[must_use]
pub fn repeated_tokens(targets: &Tensor, vocabulary: usize) -> Tensor {
    let _called = Called::op("repeated_tokens");
    demand!(
        targets.rank() == 2 && targets.dtype().is_int(),
        "repeated_tokens: targets {} {}; needs integers [B, T]",
        targets.dtype(),
        targets.shape()
    );
    let now = targets.one_hot(vocabulary);
    now.cumsum(1).gt(0.5).logical_and(now.lt(0.5))
}

/// The tokens that would end a banned sequence: bool `[T, V]`, true where the text so far, up to and with that place,
/// ends with all of a sequence but its last token, which is then not to come next. For [`unlikelihood`] of the logits
/// of that text. A sequence of one token is banned everywhere.
///
/// ```
/// use gradloom_nn::losses::banned_sequences;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let banned = banned_sequences(&[4, 1, 2], &[vec![1, 2, 3], vec![0]], 5, &device)?;
/// let places = banned.to_vec::<bool>()?;
/// assert_eq!(places[..5], [true, false, false, false, false]);
/// assert_eq!(places[10..], [true, false, false, true, false]); // after 1 and 2 no 3
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the device has no memory.
///
/// # Panics
/// If a sequence is empty or has a token outside the vocabulary.
#[track_caller]
pub fn banned_sequences(
    text: &[u32],
    sequences: &[Vec<u32>],
    vocabulary: usize,
    device: &Device,
) -> Result<Tensor> {
    let mut banned = vec![false; text.len() * vocabulary];
    for (number, sequence) in sequences.iter().enumerate() {
        let Some((&last, before)) = sequence.split_last() else {
            panic!("banned_sequences: sequence {number} is empty");
        };
        assert!(
            sequence.iter().all(|&token| (token as usize) < vocabulary),
            "banned_sequences: sequence {number} has a token outside the {vocabulary} of the vocabulary"
        );
        for place in 0..text.len() {
            banned[place * vocabulary + last as usize] |= text[..=place].ends_with(before);
        }
    }
    Tensor::from_slice(&banned, [text.len(), vocabulary], device)
}

/// `-log(1 - p)` of the probabilities `p` by which a judge finds outputs harmful, the mean: a penalty on what a frozen
/// classifier says of a model's outputs. Its logits are of "harmful", of any shape.
///
/// The gradient flows through the judge into what it judges, so its input must have one: probabilities of tokens times
/// its table of embeddings, pictures, hidden states. Freeze the judge ([`ModuleExt::freeze`](crate::ModuleExt::freeze))
/// and run it with `Context::eval()`, and it stays as it is.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::losses::harm;
/// use gradloom_nn::{Context, Init, Layer, ModuleExt, gradients};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// # let init = &mut Init::new(Key::new(0), &device);
/// let (model, mut judge) = (Linear::new(4, 3, init), Linear::new(3, 1, init));
/// judge.freeze();
/// let x = Tensor::ones([8, 4], DType::F32, &device);
/// let y = model.forward(&x, &mut Context::eval());
/// let loss = y.square().mean(..) + harm(&judge.forward(&y, &mut Context::eval())) * 0.1;
/// assert_eq!(gradients(&loss, &model).len(), 2);
/// assert!(gradients(&loss, &judge).is_empty());
/// ```
///
/// # Panics
/// If the logits are no floats.
#[track_caller]
#[must_use]
pub fn harm(judge_logits: &Tensor) -> Tensor {
    let _called = Called::op("harm");
    demand!(judge_logits.dtype().is_float(), "harm: logits of {}", judge_logits.dtype());
    judge_logits.wide().softplus().mean(..).cast(judge_logits.dtype())
}
