//! [`WatchedPlateau`]: a learning rate that falls when a figure of the epochs is no better any more.

use gradloom_nn::{Plateau, PlateauState};
use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Mode, Monitor, Result};

/// A [`Plateau`] with the figure that it watches.
#[derive(Debug)]
pub(crate) struct WatchedPlateau {
    /// As it was given: what every fit begins with.
    first: Plateau,
    pub(crate) now: Plateau,
    pub(crate) monitor: Monitor,
}

impl WatchedPlateau {
    pub(crate) fn new(plateau: Plateau, monitor: Monitor) -> Self {
        let first = if monitor.mode == Mode::Max { plateau.rising() } else { plateau };
        WatchedPlateau { now: first.clone(), first, monitor }
    }

    pub(crate) fn restart(&mut self) {
        self.now = self.first.clone();
    }

    pub(crate) fn settings(&self) -> Value {
        json!({"rule": format!("{:?}", self.first), "monitor": self.monitor.name})
    }

    pub(crate) fn state(&self) -> Value {
        let state = self.now.state();
        json!({
            "rate": exact::number(state.rate),
            "best": exact::optional(state.best),
            "waited": state.waited,
            "cooling": state.cooling,
        })
    }

    pub(crate) fn load_state(&mut self, state: Entries) -> Result<()> {
        self.now.set_state(PlateauState {
            rate: state.number("rate")?,
            best: state.optional("best")?,
            waited: state.count("waited")?,
            cooling: state.count("cooling")?,
        });
        Ok(())
    }
}
