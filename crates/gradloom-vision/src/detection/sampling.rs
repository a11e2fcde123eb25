//! [`BalancedSampler`]: few of very many anchors, so that background does not outweigh objects.

use crate::detection::Match;
use gradloom_data::random::permutation;
use gradloom_tensor::Key;

/// Draws so many matches of a picture, of which a share is to be objects.
///
/// torchvision: `models.detection._utils.BalancedPositiveNegativeSampler`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalancedSampler {
    /// Matches of a picture, at most.
    pub count: usize,
    /// Share of objects among them, at most; what they do not fill is background.
    pub object_share: f64,
}

/// Indices of what was drawn, rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Matches of objects.
    pub objects: Vec<usize>,
    /// Matches of the background.
    pub background: Vec<usize>,
}

impl BalancedSampler {
    /// Draws of the matches of a picture. Equal keys draw the same.
    pub fn sample(&self, matches: &[Match], key: Key) -> Sample {
        let places = |wanted: fn(&Match) -> bool| {
            let places = matches.iter().enumerate().filter(|(_, found)| wanted(found));
            places.map(|(place, _)| place).collect::<Vec<usize>>()
        };
        let objects_max = (self.count as f64 * self.object_share) as usize;
        let objects = places(|found| matches!(found, Match::Object(_)));
        let objects = draw(objects, objects_max, key.fold(0));
        let background = places(|found| *found == Match::Background);
        let background = draw(background, self.count.saturating_sub(objects.len()), key.fold(1));
        Sample { objects, background }
    }
}

fn draw(places: Vec<usize>, count: usize, key: Key) -> Vec<usize> {
    if places.len() <= count {
        return places;
    }
    let order = permutation(places.len(), key);
    let mut drawn: Vec<usize> = order.into_iter().take(count).map(|index| places[index]).collect();
    drawn.sort_unstable();
    drawn
}

impl Sample {
    /// All that was drawn, rising.
    pub fn all(&self) -> Vec<usize> {
        let mut all = [&self.objects[..], &self.background].concat();
        all.sort_unstable();
        all
    }
}
