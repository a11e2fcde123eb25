//! What was found, grouped by kind.

use std::collections::BTreeMap;

use gradloom::Device;
use gradloom_testkit::graphs::{
    Coverage, Difference, Recipe, Scenario, Step, Verdict, check, shrink,
};

/// Tries that shrinking one case may take.
const TRIES: usize = 600;

/// One kind of failure.
pub(crate) struct Finding {
    /// How many graphs fail so.
    pub(crate) count: u64,
    /// The seed of one of them.
    pub(crate) seed: u64,
    /// What is wrong with it.
    pub(crate) message: String,
    /// As a test, if it was shrunk.
    pub(crate) source: String,
}

/// Everything that was found on a device.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) graphs: u64,
    pub(crate) with_gradients: u64,
    pub(crate) meaningless: u64,
    /// Graphs of which no element, or less than half, could be compared.
    pub(crate) thin: u64,
    pub(crate) coverage: Coverage,
    pub(crate) failures: u64,
    pub(crate) kinds: BTreeMap<String, Finding>,
    /// How often failures that look alike before they are shrunk were shrunk.
    shrunk: BTreeMap<String, usize>,
}

impl Findings {
    pub(crate) fn add(&mut self, other: Findings) {
        self.graphs += other.graphs;
        self.with_gradients += other.with_gradients;
        self.meaningless += other.meaningless;
        self.thin += other.thin;
        self.coverage.compared += other.coverage.compared;
        self.coverage.left_out += other.coverage.left_out;
        self.failures += other.failures;
        for (kind, finding) in other.kinds {
            match self.kinds.entry(kind) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(finding);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    let count = known.count + finding.count;
                    if finding.source.len() < known.source.len() && !finding.source.is_empty() {
                        *known = finding;
                    }
                    known.count = count;
                }
            }
        }
    }

    /// Checks one graph.
    pub(crate) fn check(&mut self, recipe: &Recipe, seed: u64, device: &Device, shrinks: usize) {
        self.graphs += 1;
        let gradients =
            matches!(recipe.scenario, Scenario::Gradients { .. } | Scenario::Train { .. });
        self.with_gradients += u64::from(gradients);
        match verdict(recipe, device) {
            Verdict::Same(coverage) => {
                self.coverage.compared += coverage.compared;
                self.coverage.left_out += coverage.left_out;
                self.thin += u64::from(coverage.left_out > coverage.compared);
            }
            Verdict::Meaningless(message) => {
                self.meaningless += 1;
                let kind = format!("(meaningless) {}", without_digits(&message));
                self.note(kind, seed, message, String::new());
            }
            Verdict::Different(difference) => {
                self.failures += 1;
                self.failed(recipe, seed, &difference, device, shrinks);
            }
        }
    }

    fn failed(
        &mut self,
        recipe: &Recipe,
        seed: u64,
        difference: &Difference,
        device: &Device,
        shrinks: usize,
    ) {
        let group = difference.group();
        let done = self.shrunk.entry(group.clone()).or_default();
        if *done >= shrinks {
            self.note(format!("{group} (not shrunk)"), seed, difference.to_string(), String::new());
            return;
        }
        *done += 1;
        let fails = |candidate: &Recipe| match verdict(candidate, device) {
            Verdict::Different(other) => other.group() == group,
            Verdict::Same(_) | Verdict::Meaningless(_) => false,
        };
        let small = shrink(recipe, TRIES, &fails);
        let message = match verdict(&small, device) {
            Verdict::Different(difference) => difference.to_string(),
            Verdict::Same(_) | Verdict::Meaningless(_) => format!("{difference} (not always)"),
        };
        let alone = Recipe { scenario: Scenario::Alone, ..small.clone() };
        let whose = match verdict(&alone, device) {
            Verdict::Different(_) => "also when every node is evaluated alone",
            Verdict::Same(_) | Verdict::Meaningless(_) => "only together",
        };
        let kind = format!("{group}: {whose}: {}", calls(&small));
        self.note(kind, seed, message, small.source(&format!("seed_{seed}")));
    }

    fn note(&mut self, kind: String, seed: u64, message: String, source: String) {
        let finding = Finding { count: 1, seed, message, source };
        let one = Findings { kinds: BTreeMap::from([(kind, finding)]), ..Findings::default() };
        self.add(one);
    }
}

pub(crate) fn verdict(recipe: &Recipe, device: &Device) -> Verdict {
    check(&recipe.scenario, &|graph| recipe.build(graph), device)
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// The calls of a recipe, each once.
fn calls(recipe: &Recipe) -> String {
    let mut calls: Vec<&str> = recipe
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Call { action, .. } => Some(action.text),
            Step::Leaf { .. } => None,
        })
        .collect();
    calls.sort_unstable();
    calls.dedup();
    calls.join("; ").replace("c.", "")
}
