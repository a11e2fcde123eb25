//! Decides about credits by twelve answers of an application, and asks what a bank, its customers and its supervisors ask:
//! what counts, for whom and how much, by what rule, whether the young are treated alike, and what would have to change.
//!
//! `cargo run --release -p explain-examples --example 36-explain-table`
//!
//! The table (1,000 credits, Statlog German credit data, CC BY 4.0) is embedded. Five networks learn on four fifths of it
//! each and decide about the fifth that they have not seen. Compares sampled Shapley values with the exact ones over all
//! 4,096 subsets of the columns, and writes a page into `out/36-explain-table`. Takes seconds.
#![forbid(unsafe_code)]

use std::fmt::Write;

use examples::Failure;
use examples::options::device_and_tiny;
use explain_examples::credit::{COLUMNS, Credits, Network};
use gradloom::data::split::stratified_k_fold;
use gradloom::explain::report::{Page, dependence_plot, force_plot, summary_plot, tree_plot};
use gradloom::explain::*;
use gradloom::metrics::{Accumulator, Bootstrap, GroupRates, roc_auc};
use gradloom::prelude::*;

/// Whose credit comes back.
const GOOD: usize = 1;
/// The age up to which people count as young: 190 of the 1,000.
const YOUNG: f64 = 25.0;

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("36-explain-table.rs"))?;
    let credits = Credits::embedded(&device)?;
    let folds = stratified_k_fold(&credits.labels, 5, Some(Key::new(0)))?;
    let mut page = Page::new("Who gets a credit, and why");
    page.paragraph(
        "1,000 credits of a German bank of the 1970s, 300 of which were not paid back. A demonstration: it must not be used \
         to decide about anybody's credit.",
    );

    // With the age of the applicant and without, each about the fifth of people that it has not seen.
    let mut chances = [vec![0.0; credits.len()], vec![0.0; credits.len()]];
    let mut first = None;
    for (number, fold) in folds.iter().enumerate() {
        for (knows_age, chances) in [true, false].into_iter().zip(&mut chances) {
            let key = Key::new(number as u64);
            let network = Network::taught(&credits, &fold.train, knows_age, key, tiny)?;
            let test = credits.rows(&fold.test)?;
            let said =
                network.logits(&test, &mut Context::eval()).softmax(1).index(1, GOOD as isize);
            for (&row, p) in fold.test.iter().zip(said.to_vec::<f32>()?) {
                chances[row] = f64::from(p);
            }
            if number == 0 && knows_age {
                first = Some((network, fold));
            }
        }
    }
    let area = quality(&mut page, &credits, &chances[0])?;
    fairness(&mut page, &credits, &chances)?;

    let (network, fold) = first.ok_or("there is no fold")?;
    let people = Inputs::from(credits.rows(&fold.test)?);
    let (train, test) = (&fold.train[..], &fold.test[..]);
    let asked = Asked { network: &network, credits: &credits, people, train, test };
    let error = asked.shapley(&mut page, tiny)?;
    asked.columns(&mut page, tiny)?;
    let fidelity = asked.rules(&mut page)?;
    asked.what_if(&mut page)?;

    let out = std::path::Path::new("out/36-explain-table");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    println!("wrote {}", out.join("report.html").display());
    println!(
        "area under the ROC curve {area:.3}; KernelSHAP within {:.1} % of exact Shapley values; rules say what the network \
         says of {:.1} % of people they have not seen",
        100.0 * error,
        100.0 * fidelity
    );
    Ok(())
}

/// How well the decisions are founded.
fn quality(page: &mut Page, credits: &Credits, chances: &[f64]) -> Result<f64, Failure> {
    let figure = Bootstrap::new(1).interval(credits.len(), |chosen| {
        let labels: Vec<i32> = chosen.iter().map(|&row| credits.labels[row]).collect();
        let chances: Vec<f64> = chosen.iter().map(|&row| chances[row]).collect();
        roc_auc(&labels, &chances)
    })?;
    let right =
        credits.labels.iter().zip(chances).filter(|(label, p)| **label == i32::from(**p >= 0.5));
    let line = format!(
        "area under the ROC curve {:.3} ({:.3} to {:.3} in 95 % of resamples), {:.1} % of decisions right",
        figure.value,
        figure.low,
        figure.high,
        100.0 * right.count() as f64 / credits.len() as f64
    );
    println!("{line}");
    page.heading("How good it is");
    page.preformatted(&line);
    Ok(figure.value)
}

/// Whether people up to 25 are treated like the others, by networks that know the age and that do not.
fn fairness(page: &mut Page, credits: &Credits, chances: &[Vec<f64>; 2]) -> Result<(), Failure> {
    let ages = credits.column("age")?;
    let group = |row: usize| if ages[row] <= YOUNG { "up to 25" } else { "over 25" };
    let mut text = String::new();
    for (name, chances) in ["knows the age", "does not know the age"].into_iter().zip(chances) {
        let rates_of = |rows: &[usize]| {
            let labels: Vec<i32> = rows.iter().map(|&row| credits.labels[row]).collect();
            let said: Vec<i32> = rows.iter().map(|&row| i32::from(chances[row] >= 0.5)).collect();
            let groups: Vec<&str> = rows.iter().map(|&row| group(row)).collect();
            let mut rates = GroupRates::default();
            rates.update(&labels, &said, &groups)?;
            Ok::<_, gradloom::metrics::Error>(rates)
        };
        let all: Vec<usize> = (0..credits.len()).collect();
        let rates = rates_of(&all)?;
        let _ = writeln!(text, "The network {name}:");
        for (group, rates) in rates.value()? {
            let share = |rate: Option<f64>| {
                rate.map_or("none".into(), |rate| format!("{:.1} %", 100.0 * rate))
            };
            let _ = writeln!(
                text,
                "  {group:<9} {:>4} people: {} get a credit; of those who pay back {}, of the others {}",
                rates.samples,
                share(Some(rates.selection)),
                share(rates.true_positive),
                share(rates.false_positive)
            );
        }
        let measures: [(&str, fn(&GroupRates) -> gradloom::metrics::Result<f64>); 3] = [
            ("demographic parity difference", GroupRates::demographic_parity_difference),
            ("equal opportunity difference", GroupRates::equal_opportunity_difference),
            ("equalised odds difference", GroupRates::equalised_odds_difference),
        ];
        for (measure, of) in measures {
            let found =
                Bootstrap::new(2).interval(credits.len(), |chosen| of(&rates_of(chosen)?))?;
            let (value, low, high) = (found.value, found.low, found.high);
            let _ = writeln!(text, "  {measure:<30} {value:.3} ({low:.3} to {high:.3})");
        }
    }
    print!("{text}");
    page.heading("Are people up to 25 treated like the others?");
    page.preformatted(text.trim_end());
    page.paragraph(
        "A column that is left out is not forgotten: housing, employment and savings tell something of the age too. Intervals \
         are those of 95 % of resamples.",
    );
    Ok(())
}

/// A network, and people whom it has not seen.
struct Asked<'a> {
    network: &'a Network,
    credits: &'a Credits,
    people: Inputs,
    train: &'a [usize],
    test: &'a [usize],
}

impl Asked<'_> {
    /// How far the logit of each class is above the other one's.
    fn log_odds(&self) -> Forward<'_> {
        Forward::new(|x, ctx| {
            let logits = self.network.logits(&x[0], ctx);
            logits.sub(logits.flip(1))
        })
    }

    fn logits(&self) -> Forward<'_> {
        Forward::new(|x, ctx| self.network.logits(&x[0], ctx))
    }

    /// Exact Shapley values as plots, and how far the sampled ones are from them, in shares of the mean size.
    fn shapley(&self, page: &mut Page, tiny: bool) -> Result<f64, Failure> {
        let forward = self.log_odds();
        let count = if tiny { 4 } else { 100 };
        let rows = self.people.features[0].narrow(0, 0, count);
        let inputs = Inputs::from(&rows);
        let (target, typical) = (Target::Class(GOOD), self.credits.typical(self.train)?);
        let baseline = || Baseline::from(&typical);
        let exact = ShapleyValues { baseline: baseline(), ..Default::default() };
        let exact = numbers(exact.attribute(&forward, &inputs, &target)?.first())?;
        let size = exact.iter().flatten().map(|value| value.abs()).sum::<f64>();
        let samples = if tiny { 100 } else { 1000 };
        let kernel = KernelShap { baseline: baseline(), samples, ..KernelShap::new(Key::new(1)) };
        let orders = ShapleySampling {
            baseline: baseline(),
            samples: samples / 11,
            ..ShapleySampling::new(Key::new(2))
        };
        page.heading("What each answer does to the log-odds of a credit that comes back");
        let mut error = 0.0;
        let methods: [(&str, &dyn Method); 2] =
            [("random orders", &orders), ("KernelSHAP", &kernel)];
        for (name, method) in methods {
            let found = numbers(method.attribute(&forward, &inputs, &target)?.first())?;
            let pairs = found.iter().flatten().zip(exact.iter().flatten());
            error = pairs.map(|(one, other)| (one - other).abs()).sum::<f64>() / size;
            let line = format!(
                "Shapley values by {name}, {samples} of 4,096 subsets: {:.1} % from the exact ones",
                100.0 * error
            );
            println!("{line}");
            page.paragraph(&line);
        }
        let values = numbers(&rows)?;
        page.piece(&summary_plot(&COLUMNS, &exact, &values, COLUMNS.len())?);
        let at = |x: &Tensor| -> Result<Vec<f64>> {
            let said = forward.run(std::slice::from_ref(x))?.index(1, GOOD as isize);
            Ok(said.to_vec::<f32>()?.into_iter().map(f64::from).collect())
        };
        let (base, said) = (at(&typical)?[0], at(&rows)?);
        let refused = said.iter().position(|odds| *odds < 0.0).unwrap_or(0);
        let granted = said.iter().position(|odds| *odds > 0.0).unwrap_or(0);
        for (what, person) in [("refused", refused), ("accepted", granted)] {
            page.heading(&format!("Why one is {what}, compared with a typical applicant"));
            let answers: Vec<String> = COLUMNS
                .iter()
                .zip(&values[person])
                .map(|(name, value)| format!("{name}: {}", self.credits.shown(name, *value)))
                .collect();
            let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
            page.piece(&force_plot(base, &answers, &exact[person], 8)?);
        }
        Ok(error)
    }

    /// Partial dependence with the curves of single people, and what is lost if a column is mixed up.
    fn columns(&self, page: &mut Page, tiny: bool) -> Result<(), Failure> {
        let forward = Forward::new(|x, ctx| self.network.logits(&x[0], ctx).softmax(1));
        page.heading("What numbers do: the mean of all people, and single people");
        for name in ["months", "amount", "age"] {
            let column = COLUMNS.iter().position(|other| *other == name).unwrap_or(0);
            let grid = quantile_grid(&self.people, column, 24)?;
            let found =
                partial_dependence(&forward, &self.people, &Target::Class(GOOD), column, &grid)?;
            page.piece(&dependence_plot(name, "probability of paying back", &found, 40)?);
        }
        let labels: Vec<i32> = self.test.iter().map(|&row| self.credits.labels[row]).collect();
        let score = |rows: &Tensor| {
            let chances = numbers(&forward.run(std::slice::from_ref(rows))?)?;
            let chances: Vec<f64> = chances.iter().map(|row| row[GOOD]).collect();
            roc_auc(&labels, &chances)
        };
        let repeats = if tiny { 2 } else { 20 };
        let found = permutation_importance(&self.people.features[0], repeats, Key::new(3), score)?;
        let mut order: Vec<usize> = (0..COLUMNS.len()).collect();
        order.sort_by(|&a, &b| found[b].mean.total_cmp(&found[a].mean));
        let line = |column: &usize| {
            let Importance { mean, deviation, .. } = found[*column];
            format!("{:<12} {mean:+.3} +- {deviation:.3}", COLUMNS[*column])
        };
        let lines: Vec<String> = order.iter().map(line).collect();
        println!("what the area loses if a column is mixed up: {}", lines[..3].join("; "));
        page.heading("What the area under the ROC curve loses if a column is mixed up");
        page.preformatted(&lines.join("\n"));
        Ok(())
    }

    /// A small tree of the network's answers; the share of unseen people about whom it says the same.
    fn rules(&self, page: &mut Page) -> Result<f64, Failure> {
        let forward = Forward::new(|x, ctx| self.network.logits_of_expanded(&x[0], ctx));
        let expand = |rows: &Tensor| self.network.expanded(rows);
        let train = Inputs::from(expand(&self.credits.rows(self.train)?));
        let options = TreeOptions { depth_max: 5, leaf_min: 10, leaf_cost: 0.004 };
        let (tree, seen) = DecisionTree::surrogate(&forward, &train, &options)?;
        let unseen = tree.fidelity(&forward, &Inputs::from(expand(&self.people.features[0])))?;
        let names = self.credits.expanded_names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        page.heading("The network as rules");
        page.paragraph(&format!(
            "A tree of {} leaves says what the network says about {:.1} % of the people it learnt from and {:.1} % of others. \
             A category is 1 for those it is said of and 0 for others; class 1 gets a credit.",
            tree.leaves(),
            100.0 * seen,
            100.0 * unseen
        ));
        page.piece(&tree_plot(&tree, &names, &["no credit", "credit"]));
        let rules: Vec<String> = tree.rules().iter().map(|rule| sentence(rule, &names)).collect();
        rules.iter().for_each(|rule| println!("rule: {rule}"));
        page.preformatted(&rules.join("\n"));
        Ok(unseen)
    }

    /// What those who are refused could ask for instead.
    fn what_if(&self, page: &mut Page) -> Result<(), Failure> {
        let forward = self.logits();
        let can_change = ["months", "amount"];
        let fixed = (0..COLUMNS.len()).filter(|&column| !can_change.contains(&COLUMNS[column]));
        let search = Counterfactual {
            fixed: fixed.collect(),
            bounds: Some(
                COLUMNS.iter().map(|name| self.credits.bounds(name)).collect::<Result<_, _>>()?,
            ),
            ..Counterfactual::new(&self.credits.units(self.train))
        };
        let rows = &self.people.features[0];
        let said = forward.run(std::slice::from_ref(rows))?.argmax(1).to_vec::<i32>()?;
        let refused: Vec<usize> = (0..said.len()).filter(|&row| said[row] == 0).take(20).collect();
        let mut lines = Vec::new();
        for &row in &refused {
            let own = rows.narrow(0, row, 1);
            let Some(changed) = search.find(&forward, &own, GOOD)? else { continue };
            let parts = changed.changes.iter().map(|(column, from, to)| {
                format!("{} {to:.0} instead of {from:.0}", COLUMNS[*column])
            });
            lines.push(format!("applicant {row}: {}", parts.collect::<Vec<_>>().join(", ")));
        }
        let summary = format!(
            "{} of {} who are refused would get a smaller or shorter credit",
            lines.len(),
            refused.len()
        );
        println!("{summary}");
        page.heading("What those who are refused could ask for instead");
        page.paragraph(&format!("{summary}. All other answers stay as they are."));
        page.preformatted(&lines.join("\n"));
        Ok(())
    }
}

/// A rule as people say it: a category is or is not one, a number lies between two others.
fn sentence(rule: &Rule, names: &[&str]) -> String {
    let condition =
        |&(column, above, most): &(usize, f64, f64)| match names[column].split_once(": ") {
            Some((name, category)) if above.is_finite() => format!("{name} is {category}"),
            Some((name, category)) => format!("{name} is not {category}"),
            None if above.is_finite() && most.is_finite() => {
                format!("{} is above {above:.0} and at most {most:.0}", names[column])
            }
            None if above.is_finite() => format!("{} is above {above:.0}", names[column]),
            None => format!("{} is at most {most:.0}", names[column]),
        };
    let conditions: Vec<String> = rule.conditions.iter().map(condition).collect();
    let when = if conditions.is_empty() { "always".into() } else { conditions.join(", ") };
    let answer = if rule.class == GOOD { "credit" } else { "no credit" };
    format!("{when}: {answer} ({:.0} % of {} people)", 100.0 * rule.purity, rule.rows)
}

/// Rows on the host.
fn numbers(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    let all = tensor.to_vec::<f32>()?;
    Ok(all
        .chunks_exact(tensor.size(1))
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect())
}
