//! [`KeyValueCache`]: the keys and values of earlier positions, so that a decoder reads each token once.
//!
//! Letters: B sequences, HK key heads, S capacity, T new tokens, D features per head.

use crate::{Result, error};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Device, Tensor, Tensors, commit};

/// Keys and values `[B, HK, S, D]` of each layer, filled from the front.
///
/// A forward pass begins with [`begin`](Self::begin), calls [`attend`](Self::attend) once for each
/// layer and ends with [`end`](Self::end). [`commit`](gradloom_tensor::commit) then writes the new keys
/// and values into the memory that the cache has; nothing is copied and the plan stays the same from
/// token to token. Drop other tensors of the pass before, or they keep the old cache alive and it is
/// copied.
///
/// ```
/// use gradloom_nn::layers::KeyValueCache;
/// use gradloom_tensor::ops::attention::AttentionOptions;
/// use gradloom_tensor::{DType, Tensor, commit};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = gradloom_testkit::reference::device();
/// let mut cache = KeyValueCache::new(1, 1, 2, 8, 4, &device)?;
/// let token = Tensor::ones([1, 2, 1, 4], DType::F32, &device);
/// let positions = cache.begin(1)?;
/// let options = AttentionOptions::default().causal(true);
/// let mut output = cache.attend(0, &token, &token, &token, &options);
/// cache.end();
/// commit((&mut cache, &mut output))?;
/// assert_eq!(cache.filled(), 1);
/// assert_eq!(output.to_vec::<f32>()?, [1.0; 8]);
/// # assert_eq!(positions.to_vec::<i32>()?, [0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyValueCache {
    layers: Vec<[Tensor; 2]>,
    /// Positions filled of each sequence, `i32 [B]`.
    lengths: Tensor,
    /// `lengths` while a pass runs, checked against the capacity.
    start: Option<Tensor>,
    /// Positions filled of each sequence, as far as the host knows.
    filled: Vec<usize>,
    /// Tokens of the running pass.
    running: usize,
    /// Sequences that take no part in the next pass or the running one.
    resting: Vec<bool>,
    /// How long the longest sequence will be after the passes that are due.
    expected: Option<usize>,
    capacity: usize,
}

impl KeyValueCache {
    /// An empty cache in f32 for `batch` sequences of at most `capacity` tokens.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn new(
        layers: usize,
        batch: usize,
        heads: usize,
        capacity: usize,
        features: usize,
        device: &Device,
    ) -> Result<Self> {
        KeyValueCache::of_layers(&vec![heads; layers], batch, capacity, features, device)
    }

    /// As [`new`](Self::new), of layers that have these numbers of heads: where some were pruned.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn of_layers(
        heads: &[usize],
        batch: usize,
        capacity: usize,
        features: usize,
        device: &Device,
    ) -> Result<Self> {
        let zeros = |heads| Tensor::zeros([batch, heads, capacity, features], DType::F32, device);
        let mut cache = KeyValueCache {
            layers: heads.iter().map(|&heads| [zeros(heads), zeros(heads)]).collect(),
            lengths: Tensor::zeros([batch], DType::I32, device),
            start: None,
            filled: vec![0; batch],
            running: 0,
            resting: vec![false; batch],
            expected: None,
            capacity,
        };
        commit(&mut cache).map_err(|error| error.context("key-value cache: no memory for it"))?;
        Ok(cache)
    }

    /// Most tokens of a sequence.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens of the longest sequence so far.
    pub fn filled(&self) -> usize {
        self.filled.iter().copied().max().unwrap_or(0)
    }

    /// Says how long the longest sequence will be when all passes of a prompt are done, for models whose
    /// positions depend on it; `None` says that each pass stands for itself.
    pub fn expect(&mut self, length: Option<usize>) {
        self.expected = length;
    }

    /// What was said by [`expect`](Self::expect).
    pub fn expected(&self) -> Option<usize> {
        self.expected
    }

    /// Tokens of the longest sequence after a pass of `count`, or what is expected.
    pub fn length_after(&self, count: usize) -> usize {
        self.expected.unwrap_or(self.filled() + count)
    }

    /// Where it is.
    pub fn device(&self) -> &Device {
        self.lengths.device()
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.lengths.size(0)
    }

    /// Says which sequences take no part in the next pass, which then ends by
    /// [`end_with`](Self::end_with) and zeros for them. A full sequence that rests does not keep others from
    /// passes of one token, and loses its last key to them.
    ///
    /// # Panics
    /// If it is not said of each sequence.
    #[track_caller]
    pub fn rest(&mut self, resting: &[bool]) {
        let (given, batch) = (resting.len(), self.batch());
        assert!(given == batch, "key-value cache: rest of {given} of {batch} sequences");
        self.resting.copy_from_slice(resting);
    }

    /// Begins a pass of `count` tokens, and gives their positions `[B, count]`.
    ///
    /// # Errors
    /// If they do not fit any more.
    pub fn begin(&mut self, count: usize) -> Result<Tensor> {
        let is_full = |filled: usize| filled + count > self.capacity;
        let mut sequences = self.filled.iter().copied().zip(self.resting.iter().copied());
        let full = sequences.find(|&(filled, rests)| is_full(filled) && !(rests && count == 1));
        if let Some((filled, _)) = full {
            return Err(error::mismatch(format!(
                "key-value cache: {filled} tokens are there, {count} more do not fit its {}; make it \
                 larger or shorten the text",
                self.capacity
            )));
        }
        let mut start = self.lengths.clone();
        if is_full(self.filled()) {
            start = start.minimum((self.capacity - count) as i32);
        }
        let start = start.check_index(self.capacity - count + 1, "key-value cache");
        let along = Tensor::iota([self.batch(), count], 1, start.device());
        let positions = &start.unsqueeze(1).broadcast_to([self.batch(), count]) + &along;
        self.start = Some(start);
        self.running = count;
        Ok(positions)
    }

    /// Adds a layer's keys and values of the running pass, `[B, HK, T, D]`, and gives the attention of
    /// its queries `[B, H, T, D]` to all of the cache so far.
    ///
    /// # Panics
    /// If no pass runs, or shapes do not fit.
    #[track_caller]
    pub fn attend(
        &mut self,
        layer: usize,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: &AttentionOptions,
    ) -> Tensor {
        let start = self.start.as_ref().expect("key-value cache: attend outside of begin and end");
        let [keys, values] = &mut self.layers[layer];
        *keys = keys.write(2, start, key);
        *values = values.write(2, start, value);
        Tensor::attention(query, keys, values, &options.clone().start(start))
    }

    /// Ends the pass.
    ///
    /// # Panics
    /// If sequences rest.
    #[track_caller]
    pub fn end(&mut self) {
        assert!(!self.resting.contains(&true), "key-value cache: end_with where sequences rest");
        self.lengths = &self.lengths + self.running as i32;
        self.filled.iter_mut().for_each(|filled| *filled += self.running);
        (self.start, self.running) = (None, 0);
    }

    /// Ends a pass of sequences that were filled up to one length: each keeps only its own tokens, as many
    /// as `lengths` says.
    ///
    /// # Errors
    /// If the device has no memory for the lengths.
    ///
    /// # Panics
    /// If there is not one length for each sequence, or one is above the tokens of the pass.
    #[track_caller]
    pub fn end_with(&mut self, lengths: &[usize]) -> Result<()> {
        assert!(
            lengths.len() == self.batch()
                && lengths.iter().all(|&length| length <= self.running)
                && lengths.iter().zip(&self.resting).all(|(&length, &rests)| !rests || length == 0),
            "key-value cache: lengths {lengths:?} for {} sequences of a pass of {} tokens",
            self.batch(),
            self.running
        );
        let words: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
        let words = Tensor::from_vec(words, [lengths.len()], self.device())
            .map_err(|error| error.context("key-value cache"))?;
        self.lengths = &self.lengths + &words;
        self.filled.iter_mut().zip(lengths).for_each(|(filled, length)| *filled += length);
        self.resting.fill(false);
        (self.start, self.running) = (None, 0);
        Ok(())
    }

    /// Forgets all tokens; the memory stays.
    pub fn clear(&mut self) {
        self.lengths = self.lengths.constant_like(0);
        (self.start, self.running, self.expected) = (None, 0, None);
        self.filled.fill(0);
        self.resting.fill(false);
    }
}

impl Tensors for KeyValueCache {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.layers.iter_mut().flatten().for_each(&mut *visit);
        visit(&mut self.lengths);
    }
}

impl std::fmt::Debug for KeyValueCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (layers, batch) = (self.layers.len(), self.batch());
        let (filled, capacity) = (self.filled(), self.capacity);
        write!(formatter, "KeyValueCache({layers} layers, {batch} sequences, {filled}/{capacity})")
    }
}
