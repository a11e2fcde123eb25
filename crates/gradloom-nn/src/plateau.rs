//! [`Plateau`]: a learning rate that falls when nothing gets better any more.

/// A learning rate that is multiplied by a factor when a metric has not become better for some time.
///
/// ```
/// # use gradloom_nn::Plateau;
/// let mut plateau = Plateau::new(0.1).patience(1).factor(0.5);
/// let rates: Vec<f64> = [1.0, 0.5, 0.5, 0.5].map(|loss| plateau.observe(loss)).to_vec();
/// assert_eq!(rates, [0.1, 0.1, 0.1, 0.05]);
/// ```
///
/// PyTorch: `ReduceLROnPlateau`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    rate: f64,
    factor: f64,
    patience: u64,
    threshold: f64,
    absolute: bool,
    rising: bool,
    cooldown: u64,
    least: f64,
    best: Option<f64>,
    /// Observations since the best, and those that do not count after a fall.
    waited: u64,
    cooling: u64,
}

/// What a [`Plateau`] remembers: to save it, and to go on with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauState {
    /// The learning rate.
    pub rate: f64,
    /// The best metric so far.
    pub best: Option<f64>,
    /// Observations since the best.
    pub waited: u64,
    /// Observations still to come that do not count.
    pub cooling: u64,
}

/// Changes of the rate below this are none.
const CHANGE_MIN: f64 = 1e-8;

impl Plateau {
    /// For a loss: times 0.1 after more than ten observations that are not below the best by a factor of
    /// 1 - 1e-4.
    pub fn new(rate: f64) -> Self {
        Plateau {
            rate,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            absolute: false,
            rising: false,
            cooldown: 0,
            least: 0.0,
            best: None,
            waited: 0,
            cooling: 0,
        }
    }

    /// Sets the factor.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets how many observations in a row may be no better before the rate falls.
    #[must_use]
    pub fn patience(mut self, patience: u64) -> Self {
        self.patience = patience;
        self
    }

    /// Sets by which part of the best a better one differs from it.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        (self.threshold, self.absolute) = (threshold, false);
        self
    }

    /// Sets by how much a better one differs from the best.
    #[must_use]
    pub fn absolute_threshold(mut self, threshold: f64) -> Self {
        (self.threshold, self.absolute) = (threshold, true);
        self
    }

    /// For what is better the larger it is, such as an accuracy.
    #[must_use]
    pub fn rising(mut self) -> Self {
        self.rising = true;
        self
    }

    /// Sets how many observations after a fall do not count.
    #[must_use]
    pub fn cooldown(mut self, cooldown: u64) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// Sets the least rate.
    #[must_use]
    pub fn least(mut self, least: f64) -> Self {
        self.least = least;
        self
    }

    /// Takes in a metric, usually after an epoch, and gives the learning rate from now on. NaN is no better
    /// than anything.
    pub fn observe(&mut self, metric: f64) -> f64 {
        if self.is_better(metric) {
            self.best = Some(metric);
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.waited = 0;
        }
        if self.waited > self.patience {
            let rate = (self.rate * self.factor).max(self.least);
            if self.rate - rate > CHANGE_MIN {
                self.rate = rate;
            }
            self.cooling = self.cooldown;
            self.waited = 0;
        }
        self.rate
    }

    /// The learning rate now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// The best metric so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// What it remembers.
    pub fn state(&self) -> PlateauState {
        PlateauState {
            rate: self.rate,
            best: self.best,
            waited: self.waited,
            cooling: self.cooling,
        }
    }

    /// Goes on with what another of the same settings remembered.
    pub fn set_state(&mut self, state: PlateauState) {
        (self.rate, self.best) = (state.rate, state.best);
        (self.waited, self.cooling) = (state.waited, state.cooling);
    }

    fn is_better(&self, metric: f64) -> bool {
        let worst = if self.rising { f64::NEG_INFINITY } else { f64::INFINITY };
        let Some(best) = self.best else { return !metric.is_nan() && metric != worst };
        let margin = if self.absolute { self.threshold } else { best * self.threshold };
        if self.rising { metric > best + margin } else { metric < best - margin }
    }
}
