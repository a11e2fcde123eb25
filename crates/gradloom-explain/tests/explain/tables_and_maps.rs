//! Maps, trees and tables against scikit-learn, whose values `golden/make_golden.py` wrote.

use gradloom_explain::*;
use gradloom_nn::{Layer, Sequential};
use gradloom_tensor::{DType, Key, Tensor};

use crate::golden::Golden;

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.cast(DType::F32).to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}

#[track_caller]
fn close(what: &str, ours: &[f64], theirs: &[f64], bound: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() <= bound, "{what}: {ours} here, {theirs} there");
    }
}

/// The network with logits of mean 0 over the table, which give all four classes.
fn centred<'m>(golden: &Golden, mlp: &'m Sequential) -> Forward<'m> {
    let centre = golden.get("in.table.centre");
    Forward::new(move |x, ctx| mlp.forward(&x[0], ctx).sub(&centre))
}

#[test]
fn maps_of_digits() {
    let golden = Golden::new();
    let points = golden.get("in.digits").cast(DType::F32);
    let out = |name: &str| numbers(&golden.get(&format!("out.digits.{name}")));
    let pca = Pca::fit(&points, 3).unwrap();
    close("explained", &pca.explained, &out("pca.explained"), 1e-6);
    let projected = pca.project(&points).unwrap();
    // Signs are a matter of convention.
    close("projected", &numbers(&projected.abs()), &out("pca.projected"), 1e-3);
    let flat = projected.narrow(1, 0, 2);
    let of = |map: &Tensor| [5, 12].map(|k| trustworthiness(&points, map, k).unwrap());
    // The map is f32, so neighbours at nearly one distance may change places.
    close("trustworthiness", &of(&flat), &out("pca.trustworthiness"), 1e-4);
    let map = Tsne::default().map(&points).unwrap();
    let (ours, theirs) = (of(&map), out("tsne.trustworthiness"));
    println!("t-SNE: {ours:?}, scikit-learn {theirs:?}");
    assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours > &(theirs - 2e-3)), "{ours:?}");

    // By a tree: the same forces where nothing is taken together, and as good a map where far points are.
    let few = Tsne { perplexity: 140.0, steps: 30, ..Tsne::default() };
    let exact = few.map(&points).unwrap();
    let tree = Tsne { angle: Some(0.0), ..few }.map(&points).unwrap();
    let far = (&tree - &exact).square().mean(..) / exact.square().mean(..);
    assert!(far.item().unwrap() < 1e-6, "{}", far.item().unwrap());
    let tree = Tsne { angle: Some(0.5), ..Tsne::default() };
    let map = tree.map(&points).unwrap();
    let ours = of(&map);
    println!("t-SNE by a tree: {ours:?}");
    assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours > &(theirs - 2e-3)), "{ours:?}");
    assert_eq!(numbers(&map), numbers(&tree.map(&points).unwrap()));
    // Points at one place, and an angle that is none.
    let twice = Tensor::concat(&[&points, &points], 0);
    assert!(numbers(&tree.map(&twice).unwrap()).iter().all(|place| place.is_finite()));
    let wide = Tsne { angle: Some(1.5), ..tree }.map(&points).unwrap_err().to_string();
    assert!(wide.contains("an angle of 1.5"), "{wide}");

    // umap-learn 0.5.12 of the same points with seeds 0, 1 and 2: 0.9908 to 0.9916 and 0.9878 to 0.9886 from principal
    // components, 0.9889 to 0.9917 and 0.9868 to 0.9885 from its spectral start.
    let umap = Umap::new(Key::new(0));
    let map = umap.map(&points).unwrap();
    let ours = of(&map);
    println!("UMAP: {ours:?}");
    assert!(ours[0] >= 0.9889 && ours[1] >= 0.9868, "{ours:?}");
    assert_eq!(numbers(&map), numbers(&umap.map(&points).unwrap()), "the same key, the same map");

    let refused = |found: gradloom_tensor::Result<Tensor>| found.unwrap_err().to_string();
    let few = Umap { neighbours: 401, ..umap }.map(&points);
    assert!(refused(few).starts_with("umap: 400 points of 64 numbers"));
    let broken =
        points.select_scatter(&Tensor::full([400], f64::NAN, DType::F32, points.device()), 1, 3);
    assert!(refused(umap.map(&broken)).contains("not finite"));
    let few = Tsne { perplexity: 400.0, ..Tsne::default() }.map(&points);
    assert!(refused(few).contains("400 points"));
}

#[test]
fn trees_are_as_true_to_a_network_as_those_of_scikit_learn() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let (forward, inputs) = (centred(&golden, &mlp), Inputs::from(golden.get("in.table")));
    let theirs = numbers(&golden.get("out.table.trees"));
    let settings = [(3, 1, 0.0), (5, 5, 0.0), (8, 1, 0.004), (20, 1, 0.0)];
    for ((depth_max, leaf_min, leaf_cost), theirs) in settings.into_iter().zip(theirs.chunks(2)) {
        let options = TreeOptions { depth_max, leaf_min, leaf_cost };
        let (tree, fidelity) = DecisionTree::surrogate(&forward, &inputs, &options).unwrap();
        println!("{options:?}: {fidelity:.4}, {} leaves; {theirs:?}", tree.leaves());
        assert!(fidelity >= theirs[0] - 1e-6, "{fidelity} here, {} there", theirs[0]);
        assert!(tree.leaves() as f64 <= theirs[1] + 2.0);
        assert_eq!(fidelity, tree.fidelity(&forward, &inputs).unwrap());
        let rules = tree.rules();
        assert_eq!(rules.len(), tree.leaves());
        assert_eq!(rules.iter().map(|rule| rule.rows).sum::<usize>(), 400);
        assert!(rules[0].text(&["a"]).contains(": class "));
        assert_eq!(tree.text(&[]).matches("class:").count(), tree.leaves());
    }
    let wrong = DecisionTree::fit(&[vec![f64::NAN]], &[0], 1, &TreeOptions::default());
    assert!(wrong.unwrap_err().to_string().starts_with("tree: 1 rows of 1 columns"));
}

#[test]
fn columns_of_a_table() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let table = golden.get("in.table");
    let (forward, inputs) = (Forward::of(&mlp), Inputs::from(&table));
    let out = |name: &str| numbers(&golden.get(&format!("out.table.{name}")));
    let grid = quantile_grid(&inputs, 2, 12).unwrap();
    close("grid", &grid, &out("dependence.grid"), 1e-6);
    let found = partial_dependence(&forward, &inputs, &Target::Class(1), 2, &grid).unwrap();
    close("mean", &found.mean, &out("dependence.mean"), 1e-5);
    let each: Vec<f64> = found.each.iter().flatten().copied().collect();
    close("each", &each, &out("dependence.each"), 1e-5);

    let truth = golden.get("in.table.truth");
    let score = |table: &Tensor| {
        let error = forward.run(std::slice::from_ref(table))?.index(1, 1).sub(&truth);
        error.square().mean(..).neg().item()
    };
    let found = permutation_importance(&table, 100, Key::new(0), score).unwrap();
    let theirs = out("importance").into_iter().zip(out("importance.deviation"));
    for (ours, (mean, deviation)) in found.iter().zip(theirs) {
        // Both means have errors, of 100 and of 200 repeats.
        let error = deviation * (1.0 / 100.0 + 1.0_f64 / 200.0).sqrt();
        assert!((ours.mean - mean).abs() <= 4.0 * error, "{} here, {mean} there", ours.mean);
        assert!(ours.deviation < 1.5 * deviation && ours.deviation > deviation / 1.5);
    }
}

#[test]
fn counterfactuals_change_little_and_leave_what_is_fixed() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let (forward, table) = (centred(&golden, &mlp), golden.get("in.table"));
    // The class that comes second.
    let logits = forward.run(std::slice::from_ref(&table)).unwrap();
    let second = logits.topk(2, 1, true).1.index(1, 1).to_vec::<i32>().unwrap();
    let mut found = 0;
    for (row, &wanted) in second.iter().enumerate().take(12) {
        let wanted = wanted as usize;
        let search = Counterfactual {
            fixed: vec![0, 3],
            bounds: Some(vec![[-3.0, 3.0]; 10]),
            ..Counterfactual::new(&[1.0; 10])
        };
        let own = table.narrow(0, row, 1);
        let Some(changed) = search.find(&forward, &own, wanted).unwrap() else { continue };
        found += 1;
        let there: Vec<f32> = changed.row.iter().map(|&x| x as f32).collect();
        let there = Tensor::from_vec(there, [1, 10], &golden.device).unwrap();
        let class = forward.run(&[there]).unwrap().argmax(1).to_vec::<i32>().unwrap()[0];
        assert_eq!(class as usize, wanted);
        assert!(!changed.changes.is_empty());
        assert!(
            changed
                .changes
                .iter()
                .all(|(column, _, after)| *column != 0 && *column != 3 && after.abs() <= 3.0)
        );
    }
    assert!(found >= 4, "{found} of 12");
}
