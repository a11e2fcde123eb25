//! What every curve is made of: how many samples lie above each threshold.

/// Samples with at least one score.
pub(super) struct Step {
    pub(super) threshold: f64,
    pub(super) yes: f64,
    pub(super) no: f64,
}

/// From the highest score down, each that occurs once.
pub(super) fn steps(samples: &[(f64, bool)]) -> Vec<Step> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (mut yes, mut no) = (0.0, 0.0);
    let steps = sorted.chunk_by(|(a, _), (b, _)| a == b).map(|tied| {
        let added = tied.iter().filter(|(_, label)| *label).count() as f64;
        yes += added;
        no += tied.len() as f64 - added;
        Step { threshold: tied[0].0, yes, no }
    });
    steps.collect()
}
