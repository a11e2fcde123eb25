//! Every row of the table under `vmap` against a loop, in f64 on the reference backend: the batching rules
//! alone, without planner or kernels.
use gradloom_tensor::DType;
use gradloom_testkit::graphs::{Options, Recipe, Scenario, Verdict};
use gradloom_testkit::reference::Arithmetic;
use gradloom_testkit::{Case, batched, cases, check, graphs, reference};

fn all(run: impl Fn(&Case) -> check::Outcome) {
    let small = |case: &&Case| case.operands.iter().all(|operand| operand.shape.count() < 2000);
    let failures: Vec<String> =
        cases().iter().filter(small).filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn vmap_is_a_loop() {
    all(|case| batched::check(case, &reference::device(), DType::F64, 1));
}

#[test]
fn second_derivatives_of_vmap_are_those_of_a_loop() {
    all(|case| batched::check(case, &reference::device(), DType::F64, 2));
}

#[test]
fn nested_vmaps_are_nested_loops() {
    all(|case| batched::nested(case, &reference::device(), DType::F64));
}

#[test]
fn random_graphs_under_vmap_are_loops() {
    let device = reference::bounded(Arithmetic::Host);
    let options = Options::of(&device);
    let mut count = 0;
    for seed in 0..3_000 {
        let recipe = Recipe::random(seed, &options);
        if !matches!(recipe.scenario, Scenario::Vmap { .. }) {
            continue;
        }
        match graphs::check(&recipe.scenario, &|graph| recipe.build(graph), &device) {
            Verdict::Same(_) => count += 1,
            Verdict::Meaningless(_) => {}
            Verdict::Different(difference) => {
                panic!("{difference}\n{}", recipe.source(&format!("seed_{seed}")))
            }
        }
    }
    assert!(count > 100, "only {count} graphs");
}
