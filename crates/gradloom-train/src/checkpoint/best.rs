//! [`Best`]: the epochs with the best figures, and which of their files are kept.

use crate::Monitor;

/// The epochs with the best figures, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Best {
    pub(crate) entries: Vec<(f64, u32, String)>,
}

impl Best {
    /// Takes in an epoch. Gives its file and the files that are to go, if it is among the best.
    pub(crate) fn offer(
        &mut self,
        value: f64,
        epoch: u32,
        monitor: &Monitor,
        keep: usize,
    ) -> Option<(String, Vec<String>)> {
        let place = self
            .entries
            .iter()
            .position(|(other, _, _)| monitor.is_better(value, Some(*other)))
            .unwrap_or(self.entries.len());
        if place >= keep || value.is_nan() {
            return None;
        }
        let file = match keep {
            1 => "best.safetensors".to_owned(),
            _ => format!("best-{epoch:04}.safetensors"),
        };
        self.entries.insert(place, (value, epoch, file.clone()));
        let gone = self.entries.split_off(keep.min(self.entries.len()));
        let gone = gone.into_iter().map(|(_, _, gone)| gone);
        let gone = gone.filter(|gone| *gone != file).collect();
        Some((file, gone))
    }
}

#[cfg(test)]
mod tests {
    use super::Best;
    use crate::Monitor;

    #[test]
    fn the_best_epochs_are_kept_in_order() {
        let monitor = Monitor::new("val_loss");
        let mut best = Best::default();
        let mut offer = |value, epoch| best.offer(value, epoch, &monitor, 2);
        assert_eq!(offer(3.0, 0).unwrap(), ("best-0000.safetensors".into(), vec![]));
        assert_eq!(offer(2.0, 1).unwrap().1, Vec::<String>::new());
        assert_eq!(offer(f64::NAN, 2), None);
        assert_eq!(offer(5.0, 3), None);
        assert_eq!(offer(2.5, 4).unwrap().1, ["best-0000.safetensors"]);
        assert_eq!(offer(1.0, 5).unwrap().1, ["best-0004.safetensors"]);
        let epochs: Vec<u32> = best.entries.iter().map(|(_, epoch, _)| *epoch).collect();
        assert_eq!(epochs, [5, 1]);
        let mut one = Best::default();
        assert!(one.offer(3.0, 0, &monitor, 1).is_some());
        // The same file is written over, not removed.
        assert_eq!(one.offer(2.0, 1, &monitor, 1).unwrap().1, Vec::<String>::new());
    }
}
