//! Every figure equals that of the package that defines it, at once and batch by batch: golden data of
//! `make_golden.py`, or more of it from the file that `GRADLOOM_METRICS_GOLDEN` names.

use std::collections::BTreeMap;

use gradloom_metrics::*;
use serde_json::Value;

const TOLERANCE: f64 = 1e-12;

/// One case, to be read by name.
struct Case<'a>(usize, &'a Value);

impl Case<'_> {
    fn at(&self, name: &str) -> &Value {
        &self.1[name]
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        let list = self.at(name).as_array().unwrap_or_else(|| panic!("no {name}"));
        list.iter().map(|item| item.as_u64().unwrap() as usize).collect()
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.at(name).as_array().unwrap_or_else(|| panic!("no {name}")).iter().map(number).collect()
    }

    fn number(&self, name: &str) -> f64 {
        number(self.at(name))
    }

    fn count(&self, name: &str) -> usize {
        self.at(name).as_u64().unwrap_or_else(|| panic!("no {name}")) as usize
    }

    fn same(&self, what: &str, ours: f64, theirs: f64) {
        let close = ours == theirs
            || (ours.is_nan() && theirs.is_nan())
            || (ours - theirs).abs() <= TOLERANCE * theirs.abs().max(1.0);
        assert!(close, "case {}, {}: {what}: {ours} here, {theirs} there", self.0, self.1["kind"]);
    }

    fn named(&self, name: &str, ours: f64) {
        assert!(self.1.get(name).is_some(), "no {name}");
        self.same(name, ours, self.number(name));
    }

    fn all(&self, name: &str, ours: &[f64]) {
        let theirs = self.numbers(name);
        assert_eq!(ours.len(), theirs.len(), "case {}: {name}", self.0);
        for (&ours, &theirs) in ours.iter().zip(&theirs) {
            self.same(name, ours, theirs);
        }
    }
}

/// NaN is null, because JSON has no word for it.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(word) if word == "inf" => f64::INFINITY,
        other => other.as_f64().unwrap(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Fed in parts: each part in a state of its own that is saved and read again, then all merged into one that
/// held something else before.
fn streamed<A: Accumulator>(
    empty: &A,
    parts: usize,
    mut update: impl FnMut(&mut A, usize) -> Result<()>,
) -> A {
    let mut whole = empty.clone();
    update(&mut whole, 0).unwrap();
    whole.reset();
    for part in 0..parts {
        let mut state = empty.clone();
        update(&mut state, part).unwrap();
        let saved = serde_json::to_string(&state).unwrap();
        whole.merge(&serde_json::from_str::<A>(&saved).unwrap()).unwrap();
    }
    whole
}

#[test]
fn figures_equal_those_of_the_packages() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.json");
    let path = std::env::var("GRADLOOM_METRICS_GOLDEN").unwrap_or_else(|_| committed.to_owned());
    let text = std::fs::read_to_string(&path).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, value) in golden["cases"].as_array().unwrap().iter().enumerate() {
        let kind = value["kind"].as_str().unwrap();
        *kinds.entry(kind).or_default() += 1;
        let case = Case(index, value);
        match kind {
            "classes" => classes(&case),
            "multi_label" => multi_label(&case),
            "binary" => binary(&case),
            "probabilities" => probabilities(&case),
            "regression" => regression(&case),
            "texts" => texts(&case),
            "detection" => detection(&case),
            "ranking" => ranking(&case),
            "groups" => groups(&case),
            other => panic!("kind {other}"),
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    println!("{kinds:?}");
}

const ZEROS: [(&str, ZeroDivision); 3] =
    [("zero", ZeroDivision::Zero), ("one", ZeroDivision::One), ("nan", ZeroDivision::Nan)];
const AVERAGES: [(&str, Average); 3] =
    [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)];

fn same_report(case: &Case, name: &str, ours: &ClassReport) {
    let theirs = case.at("figures")[name].as_array().unwrap();
    for (ours, theirs) in [ours.precision, ours.recall, ours.f].into_iter().zip(theirs) {
        case.same(name, ours, number(theirs));
    }
}

fn same_reports(case: &Case, name: &str, ours: &[ClassReport]) {
    let theirs = case.at("figures")[name].as_array().unwrap();
    assert_eq!(theirs[0].as_array().unwrap().len(), ours.len());
    for (place, ours) in ours.iter().enumerate() {
        for (which, ours) in [ours.precision, ours.recall, ours.f].into_iter().enumerate() {
            case.same(name, ours, number(&theirs[which][place]));
        }
    }
}

fn classes(case: &Case) {
    let (count, beta) = (case.count("classes"), case.number("beta"));
    let (actual, predicted) = (case.integers("actual"), case.integers("predicted"));
    let matrix = streamed(&ConfusionMatrix::new(count), actual.len(), |matrix, at| {
        matrix.update(&actual[at..=at], &predicted[at..=at])
    });
    let counts: Vec<usize> =
        (0..count * count).map(|at| matrix.count(at / count, at % count) as usize).collect();
    assert_eq!(counts, case.integers("confusion"));
    for (name, zero) in ZEROS {
        for (average, kind) in AVERAGES {
            let once = precision_recall_f(&actual, &predicted, count, kind, beta, zero).unwrap();
            same_report(case, &format!("{name}/{average}"), &once);
            same_report(case, &format!("{name}/{average}"), &matrix.average(kind, beta, zero));
        }
        same_reports(case, &format!("{name}/None"), &matrix.each_class(beta, zero));
    }
    case.named("accuracy", accuracy(&actual, &predicted).unwrap());
    case.named("accuracy", matrix.value().unwrap());
    case.named("balanced", balanced_accuracy(&actual, &predicted, count).unwrap());
    // scikit-learn divides by zero where one class only has samples.
    case.named("adjusted", matrix.balanced_accuracy(true).unwrap_or(f64::NAN));
    case.named("matthews", matthews(&actual, &predicted, count).unwrap());
    let weights = [KappaWeights::Unweighted, KappaWeights::Linear, KappaWeights::Quadratic];
    let kappas =
        weights.map(|weights| cohen_kappa(&actual, &predicted, count, weights).unwrap_or(f64::NAN));
    case.all("kappas", &kappas);
    let plain = |figures: Vec<Option<f64>>| -> Vec<f64> {
        figures.into_iter().map(|figure| figure.unwrap_or(f64::NAN)).collect()
    };
    case.all("iou", &plain(matrix.iou()));
    case.all("dice", &plain(matrix.dice()));
    let mean = |name: &str| {
        let numbers: Vec<f64> = case.numbers(name).into_iter().filter(|n| !n.is_nan()).collect();
        numbers.iter().sum::<f64>() / numbers.len() as f64
    };
    case.same("mean iou", iou(&actual, &predicted, count).unwrap(), mean("iou"));
    case.same("mean dice", dice(&actual, &predicted, count).unwrap(), mean("dice"));
}

fn multi_label(case: &Case) {
    let (count, beta) = (case.count("labels"), case.number("beta"));
    let (actual, predicted) = (case.integers("actual"), case.integers("predicted"));
    for (name, zero) in ZEROS {
        let empty = MultiLabel::new(count, beta, zero);
        let labels = streamed(&empty, actual.len() / count, |labels, at| {
            let range = at * count..(at + 1) * count;
            labels.update(&actual[range.clone()], &predicted[range])
        });
        for (average, kind) in AVERAGES {
            same_report(case, &format!("{name}/{average}"), &labels.average(kind));
        }
        same_report(case, &format!("{name}/samples"), &labels.average_of_samples());
        same_reports(case, &format!("{name}/None"), &labels.each_label());
        case.named("subset", labels.subset_accuracy().unwrap());
        case.named("hamming", labels.hamming_loss().unwrap());
    }
}

fn binary(case: &Case) {
    let (actual, scores) = (case.integers("actual"), case.numbers("scores"));
    let state = streamed(&BinaryScores::default(), actual.len(), |state, at| {
        state.update(&actual[at..=at], &scores[at..=at])
    });
    let roc = state.roc().unwrap();
    case.all("fpr", &roc.false_positive);
    case.all("tpr", &roc.true_positive);
    case.all("thresholds", &roc.thresholds);
    case.named("area", roc_auc(&actual, &scores).unwrap());
    case.named("area", roc.simplified().area());
    assert!(roc.simplified().thresholds.len() <= roc.thresholds.len());
    let curve = state.precision_recall().unwrap();
    case.all("precision", &curve.precision);
    case.all("recall", &curve.recall);
    case.all("cuts", &curve.thresholds);
    case.named("pr_area", curve.area());
    case.named("average_precision", average_precision(&actual, &scores).unwrap());
    case.named("brier", brier(&actual, &scores).unwrap());
    let squares = streamed(&Brier::default(), actual.len(), |state, at| {
        state.update(&actual[at..=at], &scores[at..=at])
    });
    case.named("brier", squares.value().unwrap());
    let bins = streamed(&Calibration::new(case.count("bins")), actual.len(), |state, at| {
        state.update(&actual[at..=at], &scores[at..=at])
    });
    let bins: Vec<CalibrationBin> = bins.bins().into_iter().flatten().collect();
    case.all("came_true", &bins.iter().map(|bin| bin.accuracy).collect::<Vec<f64>>());
    case.all("confidence", &bins.iter().map(|bin| bin.confidence).collect::<Vec<f64>>());
}

fn probabilities(case: &Case) {
    let (count, actual) = (case.count("classes"), case.integers("actual"));
    let numbers = case.numbers("numbers");
    let row = |at: usize| &numbers[at * count..(at + 1) * count];
    let size = actual.len();
    let scores = streamed(&ClassScores::new(count), size, |state, at| {
        state.update(&actual[at..=at], row(at))
    });
    let averages = [
        ("ovr", ClassAverage::OneVersusRest),
        ("ovr_weighted", ClassAverage::OneVersusRestWeighted),
        ("micro", ClassAverage::Micro),
        ("ovo", ClassAverage::OneVersusOne),
        ("ovo_weighted", ClassAverage::OneVersusOneWeighted),
    ];
    for (name, average) in averages {
        let theirs = number(&case.at("areas")[name]);
        case.same(name, scores.roc_auc(average).unwrap(), theirs);
        match scores.average_precision(average) {
            Ok(ours) => case.same(name, ours, number(&case.at("precisions")[name])),
            Err(error) => assert!(name.starts_with("ovo"), "{error}"),
        }
    }
    case.named("log_loss", log_loss(&actual, &numbers, count).unwrap());
    let loss = streamed(&LogLoss::default(), size, |state, at| {
        state.update(&actual[at..=at], row(at), count)
    });
    case.named("log_loss", loss.value().unwrap());
    case.named("brier", brier_of_classes(&actual, &numbers, count).unwrap());
    let bins = case.count("bins");
    case.named("expected", expected_calibration_error(&actual, &numbers, count, bins).unwrap());
    let calibration = streamed(&Calibration::new(bins), size, |state, at| {
        state.update_classes(&actual[at..=at], row(at), count)
    });
    case.named("maximum", calibration.maximum().unwrap());
    let k = case.count("k");
    case.named("top_k", top_k_accuracy(&actual, &numbers, count, k).unwrap());
    let top =
        streamed(&TopK::new(k), size, |state, at| state.update(&actual[at..=at], row(at), count));
    case.named("top_k", top.value().unwrap());
    let logs = case.numbers("log_probabilities");
    case.named("perplexity", perplexity(&logs).unwrap());
    let streamed = streamed(&Perplexity::default(), size, |state, at| state.update(-logs[at], 1.0));
    case.named("perplexity", streamed.value().unwrap());
}

fn regression(case: &Case) {
    let (actual, predicted) = (case.numbers("actual"), case.numbers("predicted"));
    let report = streamed(&Regression::default(), actual.len(), |state, at| {
        state.update(&actual[at..=at], &predicted[at..=at])
    });
    let report = report.value().unwrap();
    let pairs = [
        ("mse", report.mse, mse(&actual, &predicted)),
        ("rmse", report.rmse, rmse(&actual, &predicted)),
        ("mae", report.mae, mae(&actual, &predicted)),
        ("mape", report.mape, mape(&actual, &predicted)),
        ("r2", report.r2.unwrap(), r2(&actual, &predicted)),
    ];
    for (name, streamed, once) in pairs {
        case.named(name, streamed);
        case.named(name, once.unwrap());
    }
    case.named("explained_variance", report.explained_variance);
}

fn texts(case: &Case) {
    let hypotheses = strings(case.at("hypotheses"));
    let references: Vec<Vec<String>> =
        case.at("references").as_array().unwrap().iter().map(strings).collect();
    let size = hypotheses.len();
    let state = streamed(&Bleu::default(), size, |state, at| {
        state.update(&hypotheses[at], &references[at])
    });
    let report = state.value().unwrap();
    let [one, two, three, four] = report.precisions;
    case.all("bleu", &[report.score, one, two, three, four, report.brevity_penalty]);
    assert_eq!(
        [report.len as usize, report.reference_len as usize],
        case.integers("lengths")[..],
        "case {}",
        case.0
    );
    case.same("bleu", bleu(&hypotheses, &references).unwrap(), report.score);
    let lower = streamed(&Bleu::default().lowercase(), size, |state, at| {
        state.update(&hypotheses[at], &references[at])
    });
    case.named("lower", lower.value().unwrap().score);
    let mut single = Bleu::default().effective_order();
    single.update(&hypotheses[0], &references[0]).unwrap();
    case.named("single", single.value().unwrap().score);
    case.named("chrf", chrf(&hypotheses, &references).unwrap());
    let with_words = streamed(&ChrF::plus_plus(), size, |state, at| {
        state.update(&hypotheses[at], &references[at])
    });
    case.named("chrf_words", with_words.value().unwrap());
    let state = streamed(&Rouge::default(), size, |state, at| {
        state.update(&hypotheses[at], &references[at])
    });
    let report = state.value().unwrap();
    let rouges = [
        ("rouge1", report.rouge_1),
        ("rouge2", report.rouge_2),
        ("rougeL", report.rouge_l),
        ("rougeLsum", report.rouge_l_sum),
    ];
    for (name, ours) in rouges {
        for (place, ours) in [ours.precision, ours.recall, ours.f].into_iter().enumerate() {
            case.same(name, ours, number(&case.at("rouge")[name][place]));
        }
    }
    let firsts: Vec<&String> = references.iter().map(|references| &references[0]).collect();
    case.named("wer", wer(&firsts, &hypotheses).unwrap());
    case.named("cer", cer(&firsts, &hypotheses).unwrap());
    let state = streamed(&ErrorRate::new(Unit::Character), size, |state, at| {
        state.update(firsts[at], &hypotheses[at])
    });
    case.named("cer", state.value().unwrap());
}

fn detection(case: &Case) {
    let rows = |name: &str| -> Vec<Vec<f64>> {
        let list = case.at(name).as_array().unwrap();
        list.iter().map(|row| row.as_array().unwrap().iter().map(number).collect()).collect()
    };
    let (truths, found) = (rows("truths"), rows("found"));
    let state = streamed(&MeanAveragePrecision::default(), case.count("images"), |state, image| {
        let here = |row: &&Vec<f64>| row[0] == image as f64;
        let truths: Vec<GroundTruth> = truths
            .iter()
            .filter(here)
            .map(|row| GroundTruth {
                class: row[1] as usize,
                bounds: [row[2], row[3], row[4], row[5]],
                area: row[6],
                crowd: row[7] == 1.0,
            })
            .collect();
        let found: Vec<Detection> = found
            .iter()
            .filter(here)
            .map(|row| Detection {
                class: row[1] as usize,
                bounds: [row[2], row[3], row[4], row[5]],
                score: row[6],
            })
            .collect();
        state.update(&found, &truths)
    });
    let summary = state.value().unwrap();
    let stats = [
        summary.ap,
        summary.ap_50,
        summary.ap_75,
        summary.ap_small,
        summary.ap_medium,
        summary.ap_large,
        summary.recall_1,
        summary.recall_10,
        summary.recall_100,
        summary.recall_small,
        summary.recall_medium,
        summary.recall_large,
    ];
    case.all("stats", &stats.map(|figure| figure.unwrap_or(f64::NAN)));
    for (class, theirs) in case.numbers("classes").into_iter().enumerate() {
        let ours = summary.classes.get(&class).copied().unwrap_or(f64::NAN);
        case.same("class", ours, theirs);
    }
}

fn ranking(case: &Case) {
    let (relevance, scores) = (case.numbers("relevance"), case.numbers("scores"));
    let k = case.count("k");
    case.named("ndcg", ndcg(&relevance, &scores, None).unwrap());
    case.named("ndcg_k", ndcg(&relevance, &scores, Some(k)).unwrap());
    case.named("in_order", ndcg_in_order(&relevance, &scores, Some(k)).unwrap());
    let labels = case.integers("relevance");
    case.named("reciprocal", reciprocal_rank(&labels, &scores).unwrap());
    case.named("hit", hit_rate(&labels, &scores, k).unwrap());
    let labels: Vec<u32> = labels.into_iter().map(|label| label as u32).collect();
    let means = streamed(&RankingMeans::new(Some(k)), 3, |state, _| state.update(&labels, &scores));
    let report = means.value().unwrap();
    case.named("ndcg_k", report.ndcg);
    case.named("reciprocal", report.reciprocal_rank);
    case.named("hit", report.hit_rate);
}

fn groups(case: &Case) {
    let (actual, predicted) = (case.integers("actual"), case.integers("predicted"));
    let names = strings(case.at("groups"));
    let rates = streamed(&GroupRates::default(), actual.len(), |state, at| {
        state.update(&actual[at..=at], &predicted[at..=at], &names[at..=at])
    });
    let figures = [
        rates.demographic_parity_difference(),
        rates.demographic_parity_ratio(),
        rates.equal_opportunity_difference(),
        rates.equal_opportunity_ratio(),
        rates.equalised_odds_difference(),
        rates.equalised_odds_ratio(),
    ];
    // An error here is NaN there: ratios of rates that are all 0.
    case.all("figures", &figures.map(|figure| figure.unwrap_or(f64::NAN)));
}
