//! [`Matcher`]: which anchor has to find which object.

/// What becomes of an object that no anchor overlaps enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// None looks for it.
    Never,
    /// The anchors that overlap it most look for what they themselves overlap most. torchvision:
    /// `allow_low_quality_matches`.
    Anchors,
    /// The first anchor that overlaps it most looks for it. torchvision: `SSDMatcher`.
    Object,
}

/// What an anchor is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The object of this index.
    Object(usize),
    /// That there is none.
    Background,
    /// It is not asked, as it overlaps an object by too much for the one and too little for the other.
    Between,
}

/// Matches anchors to objects by how much they overlap.
///
/// torchvision: `models.detection._utils.Matcher`. Objects that no anchor touches are matched by none, whereas
/// torchvision takes every anchor that does not touch them for one that overlaps them most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// From this intersection over union on it is an object.
    pub object_min: f64,
    /// Below this one it is background.
    pub background_max: f64,
    /// What becomes of objects that no anchor overlaps enough.
    pub rescue: Rescue,
}

impl Matcher {
    /// What each anchor is to say, of boxes `[left, top, right, bottom]`.
    pub fn matches(&self, objects: &[[f32; 4]], anchors: &[[f32; 4]]) -> Vec<Match> {
        let objects: Vec<[f64; 4]> = objects.iter().map(|bounds| bounds.map(f64::from)).collect();
        // Of each object the largest overlap and the first anchor that has it.
        let mut best = vec![(0.0f64, 0usize); objects.len()];
        let mut nearest = Vec::with_capacity(anchors.len());
        for (index, anchor) in anchors.iter().enumerate() {
            let anchor = anchor.map(f64::from);
            let (mut overlap_max, mut object) = (0.0, 0);
            for (place, bounds) in objects.iter().enumerate() {
                let overlap = overlap(bounds, &anchor);
                if overlap > overlap_max {
                    (overlap_max, object) = (overlap, place);
                }
                if overlap > best[place].0 {
                    best[place] = (overlap, index);
                }
            }
            nearest.push((overlap_max, object));
        }
        let graded = nearest.iter().map(|&(overlap, object)| match overlap {
            _ if objects.is_empty() || overlap < self.background_max => Match::Background,
            overlap if overlap < self.object_min => Match::Between,
            _ => Match::Object(object),
        });
        let mut matches: Vec<Match> = graded.collect();
        match self.rescue {
            Rescue::Never => {}
            Rescue::Anchors => {
                for (index, anchor) in anchors.iter().enumerate() {
                    let anchor = anchor.map(f64::from);
                    let is_best = |(bounds, best): (&[f64; 4], &(f64, usize))| {
                        best.0 > 0.0 && overlap(bounds, &anchor) == best.0
                    };
                    if objects.iter().zip(&best).any(is_best) {
                        matches[index] = Match::Object(nearest[index].1);
                    }
                }
            }
            Rescue::Object => {
                for (object, &(_, anchor)) in
                    best.iter().enumerate().filter(|(_, (overlap, _))| *overlap > 0.0)
                {
                    matches[anchor] = Match::Object(object);
                }
            }
        }
        matches
    }
}

/// Intersection over union.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let intersection = width * height;
    if intersection == 0.0 {
        return 0.0;
    }
    let area = |bounds: &[f64; 4]| (bounds[2] - bounds[0]) * (bounds[3] - bounds[1]);
    intersection / (area(a) + area(b) - intersection)
}
