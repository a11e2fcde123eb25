//! [`EachEpoch`]: a function of your own after every epoch: pictures, texts, whatever shows what a model can.

use crate::{Callback, Result, Run};

/// Calls a function after every epoch, or every few. It gets the run with the model in its own type, so it can
/// generate a text, draw a picture, or change something.
///
/// ```
/// use gradloom_nn::Sequential;
/// use gradloom_train::Run;
/// use gradloom_train::callbacks::EachEpoch;
///
/// let show = EachEpoch::new("samples", |run: &mut Run<Sequential>| {
///     println!("epoch {}: {:?}", run.epoch, run.scalars);
///     Ok(())
/// });
/// # let _ = show;
/// ```
pub struct EachEpoch<F> {
    name: String,
    every: u32,
    call: F,
}

impl<F> EachEpoch<F> {
    /// After every epoch.
    pub fn new<M>(name: impl Into<String>, call: F) -> Self
    where
        F: FnMut(&mut Run<M>) -> Result<()>,
    {
        EachEpoch { name: name.into(), every: 1, call }
    }

    /// After every so many epochs.
    #[must_use]
    pub fn every(mut self, epochs: u32) -> Self {
        self.every = epochs.max(1);
        self
    }
}

impl<M, F: FnMut(&mut Run<M>) -> Result<()> + Send> Callback<M> for EachEpoch<F> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn on_epoch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        if (run.epoch + 1).is_multiple_of(self.every) { (self.call)(run) } else { Ok(()) }
    }
}

impl<F> std::fmt::Debug for EachEpoch<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "EachEpoch({}, every {})", self.name, self.every)
    }
}
