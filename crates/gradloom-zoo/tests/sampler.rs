//! What choosing tokens promises, whatever the logits; and figures of Hugging Face's `transformers`.

use gradloom_zoo::generation::Sampler;
use proptest::prelude::*;

fn logits() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![8 => -20.0f32..20.0, 1 => Just(f32::NEG_INFINITY)], 1..300)
        .prop_filter("one token is allowed", |list| list.iter().any(|logit| logit.is_finite()))
}

/// The tokens left, likeliest first, with their probabilities.
fn left(mut sampler: Sampler, logits: &[f32], history: &[u32]) -> Vec<(u32, f32)> {
    sampler.sample(&mut logits.to_vec(), history).unwrap();
    let mut left: Vec<_> =
        sampler.candidates().iter().map(|one| (one.token, one.probability)).collect();
    left.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    left
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn greedy_takes_the_first_of_the_likeliest(list in logits(), at in any::<prop::sample::Index>()) {
        let mut list = list;
        let highest = list.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let at = at.index(list.len());
        list[at] = highest;
        let first = list.iter().position(|&logit| logit == highest).unwrap() as u32;
        prop_assert_eq!(Sampler::greedy().sample(&mut list, &[]).unwrap(), first);
    }

    #[test]
    fn what_is_left_sums_to_one_and_holds_the_choice(
        list in logits(), seed: u64, k in 0usize..50, p in 0.0f32..=1.0, min_p in 0.0f32..=1.0,
        temperature in 0.01f32..3.0,
    ) {
        let mut sampler =
            Sampler::new(seed).temperature(temperature).top_k(k).top_p(p).min_p(min_p);
        let token = sampler.sample(&mut list.clone(), &[]).unwrap();
        let sum: f64 = sampler.candidates().iter().map(|one| f64::from(one.probability)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
        prop_assert!(sampler.candidates().iter().any(|one| one.token == token));
        prop_assert!(list[token as usize].is_finite());
    }

    #[test]
    fn top_k_keeps_the_largest(list in logits(), k in 1usize..60) {
        let kept = left(Sampler::new(0).top_k(k), &list, &[]);
        let mut sorted: Vec<f32> = list.iter().copied().filter(|logit| logit.is_finite()).collect();
        sorted.sort_by(|one, other| other.total_cmp(one));
        let last = sorted[k.min(sorted.len()) - 1];
        prop_assert!(kept.len() >= k.min(sorted.len()));
        prop_assert!(kept.iter().all(|&(token, _)| list[token as usize] >= last));
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it(list in logits(), p in 0.0f32..1.0) {
        let probabilities = softmax(&list);
        let kept = left(Sampler::new(0).top_p(p), &list, &[]);
        let reached: f64 = kept.iter().map(|&(token, _)| probabilities[token as usize]).sum();
        let least = kept.last().unwrap().0 as usize;
        prop_assert!(reached >= f64::from(p) - 1e-6);
        prop_assert!(kept.len() == 1 || reached - probabilities[least] < f64::from(p) + 1e-6);
        let outside = (0..list.len()).filter(|&token| kept.iter().all(|one| one.0 != token as u32));
        for token in outside {
            prop_assert!(probabilities[token] <= probabilities[least] + 1e-12);
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens(list in logits(), seed: u64) {
        let draw = |mut sampler: Sampler| -> Vec<u32> {
            (0..20).map(|_| sampler.sample(&mut list.clone(), &[]).unwrap()).collect()
        };
        prop_assert_eq!(draw(Sampler::new(seed)), draw(Sampler::new(seed)));
    }
}

/// Made with transformers 5: the processors for repetition penalty 1.3, temperature 0.7, top-k 6, top-p 0.9
/// and min-p 0.05 on these logits, for the input tokens 1, 4, 4 and 9; then a softmax.
#[test]
fn the_steps_are_those_of_transformers() {
    let list = [1.0, 2.5, -0.5, 2.0, 3.0, 0.25, -1.0, 2.25, 1.75, -2.0];
    let kept = left(
        Sampler::new(0).repetition_penalty(1.3).temperature(0.7).top_k(6).top_p(0.9).min_p(0.05),
        &list,
        &[1, 4, 4, 9],
    );
    let expected = [(4, 0.2782967), (7, 0.25628), (3, 0.179312), (1, 0.1606515), (8, 0.1254597)];
    assert_eq!(kept.len(), expected.len(), "{kept:?}");
    for (one, other) in kept.iter().zip(expected) {
        assert_eq!(one.0, other.0);
        assert!((one.1 - other.1).abs() < 1e-5, "{one:?} {other:?}");
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let list = [0.0f32, 1.0, 2.0, f32::NEG_INFINITY];
    let expected = softmax(&list);
    let mut sampler = Sampler::new(3);
    let mut counts = [0u32; 4];
    let draws = 100_000;
    for _ in 0..draws {
        counts[sampler.sample(&mut list.clone(), &[]).unwrap() as usize] += 1;
    }
    for (count, expected) in counts.iter().zip(expected) {
        let share = f64::from(*count) / f64::from(draws);
        assert!((share - expected).abs() < 0.006, "{share} {expected}");
    }
}

#[test]
fn penalties_and_biases_change_logits() {
    let mut logits = [4.0, -2.0, 1.0, 1.0];
    let history = [0, 1, 1, 1, 77];
    Sampler::greedy().repetition_penalty(2.0).sample(&mut logits, &history).unwrap();
    assert_eq!(logits, [2.0, -4.0, 1.0, 1.0]);
    let mut logits = [4.0, -2.0, 1.0, 1.0];
    let mut sampler = Sampler::greedy()
        .frequency_penalty(0.5)
        .presence_penalty(0.25)
        .logit_bias(0, f32::NEG_INFINITY)
        .logit_bias(3, 2.0);
    assert_eq!(sampler.sample(&mut logits, &history).unwrap(), 3);
    assert_eq!(logits, [f32::NEG_INFINITY, -3.75, 1.0, 3.0]);
}

#[test]
fn impossible_choices_are_named() {
    let message = |sampler: &mut Sampler, logits: &mut [f32]| {
        let error = sampler.sample(logits, &[]).unwrap_err();
        assert!(error.is_generation());
        error.to_string()
    };
    for mut sampler in [Sampler::greedy(), Sampler::new(0)] {
        let text = message(&mut sampler, &mut [0.0, f32::NAN]);
        assert_eq!(text, "generation: the logit of token 1 is NaN");
        assert!(message(&mut sampler, &mut [f32::INFINITY]).contains("inf"));
        assert!(message(&mut sampler, &mut []).contains("none of 0 tokens"));
        assert!(message(&mut sampler, &mut [f32::NEG_INFINITY; 3]).contains("none of 3 tokens"));
    }
    let text = message(&mut Sampler::new(0).logit_bias(5, 1.0), &mut [0.0; 5]);
    assert!(text.contains("token 5"), "{text}");
}
