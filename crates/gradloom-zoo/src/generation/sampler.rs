//! [`Sampler`]: chooses the next token from a model's logits.
//!
//! On the host: a step's logits come to it anyway for the choice, and what follows takes microseconds.
//! Absent: beam search, and methods that need more than one step's logits.

use crate::{Result, error};
use gradloom_tensor::Key;

/// Chooses tokens: the likeliest, or at random by the model's probabilities after some are left out.
///
/// The steps are those of Hugging Face's `transformers` in its order:
///
/// 1. [logit bias](Self::logit_bias),
/// 2. [repetition penalty](Self::repetition_penalty), then the [frequency](Self::frequency_penalty) and
///    [presence](Self::presence_penalty) penalties, which `transformers` lacks,
/// 3. [temperature](Self::temperature),
/// 4. [top-k](Self::top_k), [top-p](Self::top_p), [min-p](Self::min_p), each on what the one before left,
/// 5. a draw by the probabilities of what is left.
///
/// The same seed gives the same tokens for the same logits. After the first call for a vocabulary nothing is
/// allocated.
///
/// ```
/// use gradloom_zoo::generation::Sampler;
///
/// # fn main() -> gradloom_zoo::Result<()> {
/// let mut sampler = Sampler::new(7).temperature(0.8).top_k(2);
/// let token = sampler.sample(&mut [0.1, 2.0, -1.0, 1.5], &[])?;
/// assert!(token == 1 || token == 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    key: Key,
    draws: u32,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    logit_bias: Vec<(u32, f32)>,
    /// How often the history has each token; all zero between calls.
    counts: Vec<u32>,
    candidates: Vec<Candidate>,
}

/// A token that the last choice could have fallen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token's id.
    pub token: u32,
    /// Its probability among the candidates. While they are chosen, its logit.
    pub probability: f32,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::greedy()
    }
}

impl Sampler {
    /// The likeliest token, the first of several.
    pub fn greedy() -> Self {
        Self::new(0).temperature(0.0)
    }

    /// Draws by the model's probabilities.
    pub fn new(seed: u64) -> Self {
        Sampler {
            key: Key::new(seed),
            draws: 0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            counts: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Divides logits: below 1 likely tokens become likelier, at 0 the likeliest is taken.
    ///
    /// # Panics
    /// If it is negative or not a number.
    #[must_use]
    #[track_caller]
    pub fn temperature(mut self, temperature: f32) -> Self {
        assert!(temperature >= 0.0 && temperature.is_finite(), "temperature: {temperature}");
        self.temperature = temperature;
        self
    }

    /// Keeps the `k` likeliest tokens, and those as likely as the last of them; 0 keeps all.
    #[must_use]
    pub fn top_k(mut self, k: usize) -> Self {
        self.top_k = k;
        self
    }

    /// Keeps the fewest tokens whose probabilities reach `p` together; 1 keeps all, and one always stays
    /// ([Holtzman et al., 2020](https://arxiv.org/abs/1904.09751)).
    ///
    /// # Panics
    /// If it is not in `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn top_p(mut self, p: f32) -> Self {
        assert!((0.0..=1.0).contains(&p), "top_p: {p} is not in 0..=1");
        self.top_p = p;
        self
    }

    /// Keeps tokens at least `p` times as likely as the likeliest; 0 keeps all
    /// ([Nguyen et al., 2024](https://arxiv.org/abs/2407.01082)).
    ///
    /// # Panics
    /// If it is not in `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn min_p(mut self, p: f32) -> Self {
        assert!((0.0..=1.0).contains(&p), "min_p: {p} is not in 0..=1");
        self.min_p = p;
        self
    }

    /// For tokens of the history, divides positive logits and multiplies negative ones; 1 does nothing
    /// ([Keskar et al., 2019](https://arxiv.org/abs/1909.05858)).
    ///
    /// # Panics
    /// If it is not positive.
    #[must_use]
    #[track_caller]
    pub fn repetition_penalty(mut self, penalty: f32) -> Self {
        assert!(penalty > 0.0 && penalty.is_finite(), "repetition_penalty: {penalty}");
        self.repetition_penalty = penalty;
        self
    }

    /// Subtracts this for each time that the history has a token.
    ///
    /// # Panics
    /// If it is not finite.
    #[must_use]
    #[track_caller]
    pub fn frequency_penalty(mut self, penalty: f32) -> Self {
        assert!(penalty.is_finite(), "frequency_penalty: {penalty}");
        self.frequency_penalty = penalty;
        self
    }

    /// Subtracts this once for each token of the history.
    ///
    /// # Panics
    /// If it is not finite.
    #[must_use]
    #[track_caller]
    pub fn presence_penalty(mut self, penalty: f32) -> Self {
        assert!(penalty.is_finite(), "presence_penalty: {penalty}");
        self.presence_penalty = penalty;
        self
    }

    /// Adds to the logit of a token; negative infinity forbids it.
    ///
    /// # Panics
    /// If it is positive infinity or not a number.
    #[must_use]
    #[track_caller]
    pub fn logit_bias(mut self, token: u32, bias: f32) -> Self {
        assert!(bias < f32::INFINITY, "logit_bias: {bias} for token {token}");
        self.logit_bias.push((token, bias));
        self
    }

    /// Chooses a token. The logits are changed by biases and penalties; `history` is what the penalties look
    /// at: the prompt and what was written.
    ///
    /// # Errors
    /// A logit is NaN or positive infinity, every token is forbidden, or a bias is for a token that the model
    /// does not have.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> Result<u32> {
        self.bias(logits)?;
        self.penalise(logits, history);
        let (likeliest, highest) = likeliest(logits)?;
        self.candidates.clear();
        if self.temperature == 0.0 {
            self.candidates.push(Candidate { token: likeliest, probability: 1.0 });
            return Ok(likeliest);
        }
        // Relative to the highest, so that no temperature overflows.
        let scale = 1.0 / self.temperature;
        let scaled = logits.iter().zip(0..).map(|(&logit, token)| Candidate {
            token,
            probability: if logit == highest { 0.0 } else { (logit - highest) * scale },
        });
        self.candidates.extend(scaled.filter(|one| one.probability > f32::NEG_INFINITY));
        self.keep_top_k();
        self.keep_top_p();
        self.keep_min_p();
        self.normalise();
        Ok(self.draw())
    }

    /// The tokens that the last choice could have fallen on, in no particular order.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    fn bias(&self, logits: &mut [f32]) -> Result<()> {
        let count = logits.len();
        for &(token, bias) in &self.logit_bias {
            let Some(logit) = logits.get_mut(token as usize) else {
                return Err(error::generation(format!(
                    "a logit bias is for token {token}, but the model has {count}"
                )));
            };
            *logit += bias;
        }
        Ok(())
    }

    fn penalise(&mut self, logits: &mut [f32], history: &[u32]) {
        let (repetition, frequency, presence) =
            (self.repetition_penalty, self.frequency_penalty, self.presence_penalty);
        if repetition == 1.0 && frequency == 0.0 && presence == 0.0 {
            return;
        }
        if self.counts.len() < logits.len() {
            self.counts.resize(logits.len(), 0);
        }
        // A text may have tokens that the model reads but never writes.
        let count = logits.len();
        let tokens = history.iter().map(|&token| token as usize).filter(|&token| token < count);
        for token in tokens.clone() {
            self.counts[token] += 1;
        }
        for token in tokens {
            let count = std::mem::take(&mut self.counts[token]);
            if count == 0 {
                continue;
            }
            let logit = &mut logits[token];
            *logit = if *logit < 0.0 { *logit * repetition } else { *logit / repetition };
            *logit -= count as f32 * frequency + presence;
        }
    }

    fn keep_top_k(&mut self) {
        if self.top_k == 0 || self.top_k >= self.candidates.len() {
            return;
        }
        let (_, last, _) = self.candidates.select_nth_unstable_by(self.top_k - 1, descending);
        let last = last.probability;
        self.candidates.retain(|one| one.probability >= last);
    }

    fn keep_top_p(&mut self) {
        if self.top_p >= 1.0 {
            return;
        }
        let total: f64 = self.candidates.iter().map(weight).sum();
        let wanted = f64::from(self.top_p) * total;
        let (mut kept, mut reached) = (0, 0.0);
        // Few tokens reach it as a rule: sort ever larger parts of the rest until they do.
        let mut part = 64;
        while kept < self.candidates.len() {
            let rest = &mut self.candidates[kept..];
            let sorted = part.min(rest.len());
            if sorted < rest.len() {
                rest.select_nth_unstable_by(sorted - 1, descending);
            }
            rest[..sorted].sort_unstable_by(descending);
            for one in &rest[..sorted] {
                reached += weight(one);
                kept += 1;
                if reached >= wanted {
                    self.candidates.truncate(kept);
                    return;
                }
            }
            part *= 4;
        }
    }

    fn keep_min_p(&mut self) {
        // The likeliest has logit 0 here, so its probability is the unit.
        let lowest = self.min_p.ln();
        self.candidates.retain(|one| one.probability >= lowest);
    }

    fn normalise(&mut self) {
        let total: f64 = self.candidates.iter().map(weight).sum();
        for one in &mut self.candidates {
            one.probability = (weight(one) / total) as f32;
        }
    }

    fn draw(&mut self) -> u32 {
        let [high, low] = self.key.fold(self.draws).words();
        self.draws = self.draws.wrapping_add(1);
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
        let total: f64 = self.candidates.iter().map(|one| f64::from(one.probability)).sum();
        let mut left = bits as f64 / (1u64 << 53) as f64 * total;
        for one in &self.candidates {
            left -= f64::from(one.probability);
            if left < 0.0 {
                return one.token;
            }
        }
        // Rounding may leave a rest: the likeliest takes it.
        let likeliest = self.candidates.iter().min_by(|one, other| descending(one, other));
        likeliest.map_or(0, |one| one.token)
    }
}

/// Higher logits first; of equal ones the token that comes first.
fn descending(one: &Candidate, other: &Candidate) -> std::cmp::Ordering {
    other.probability.total_cmp(&one.probability).then(one.token.cmp(&other.token))
}

/// What a logit weighs, before division by the sum of all.
fn weight(candidate: &Candidate) -> f64 {
    f64::from(candidate.probability).exp()
}

/// The first token with the highest logit.
fn likeliest(logits: &[f32]) -> Result<(u32, f32)> {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(logits) {
        if logit.is_nan() || logit == f32::INFINITY {
            return Err(error::generation(format!("the logit of token {token} is {logit}")));
        }
        if logit > best.1 {
            best = (token, logit);
        }
    }
    if best.1 == f32::NEG_INFINITY {
        let count = logits.len();
        let message = format!("none of {count} tokens is left to choose from: all are forbidden");
        return Err(error::generation(message));
    }
    Ok(best)
}
