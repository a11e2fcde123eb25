//! Random graphs are the same for the same seed, and their bounds are tight enough to find something.

use gradloom_tensor::DType;
use gradloom_testkit::graphs::{Graph, Options, Recipe, quietly};
use gradloom_testkit::reference::{Arithmetic, bounded, device, elements_and_errors};

#[test]
fn a_seed_gives_one_graph() {
    let options = Options::of(&device());
    for seed in 0..50 {
        let text = || Recipe::random(seed, &options).source("same");
        assert_eq!(text(), text());
    }
}

#[test]
fn bounds_are_tight_for_most_elements() {
    let device = bounded(Arithmetic::Host);
    let options = Options::of(&device);
    let (mut all, mut tight, mut open) = (0usize, 0usize, 0usize);
    for seed in 0..400 {
        let recipe = Recipe::random(seed, &options);
        let mut graph = Graph::new(&device, 0.0, Vec::new());
        let roots = recipe.build(&mut graph);
        for root in roots.into_iter().map(|root| &graph[root]) {
            if root.dtype() != DType::F32 || root.is_quantized() {
                continue;
            }
            let Ok(Ok((values, errors))) = quietly(|| elements_and_errors(root)) else { continue };
            all += values.len();
            open += errors.iter().filter(|error| error.is_infinite()).count();
            let near = |(value, error): (&f64, &f64)| *error <= 1e-4 * (1.0 + value.abs());
            tight += values.iter().zip(errors.iter()).filter(|pair| near(*pair)).count();
        }
    }
    println!("{tight} of {all} elements are tight, {open} are open");
    assert!(all > 10_000, "only {all} elements");
    assert!(tight * 10 > all * 9, "{tight} of {all} elements have tight bounds");
}
