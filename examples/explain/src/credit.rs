//! A table of credits, and a network that decides about them.
//!
//! Rows are `[N, 12]`, a column for each answer: categories are numbers, so that an answer is one thing to explain. The
//! network itself makes a column of each category and scales them all.

use examples::Failure;
use gradloom::data::preparation::{Encoder, Preparation};
use gradloom::data::{Loader, Source, Table, TensorDataset};
use gradloom::nn::layers::{Dropout, Linear};
use gradloom::prelude::*;
use gradloom::train::Progress;

const TABLE: &[u8] = include_bytes!("../data/german_credit.csv.gz");

/// The answers of an application.
pub const COLUMNS: [&str; 12] = [
    "checking",
    "months",
    "history",
    "purpose",
    "amount",
    "savings",
    "employed",
    "rate",
    "property",
    "age",
    "other plans",
    "housing",
];
/// Those of them that are categories.
pub const CATEGORIES: [&str; 8] =
    ["checking", "history", "purpose", "savings", "employed", "property", "other plans", "housing"];

/// The whole table.
#[derive(Clone, Debug)]
pub struct Credits {
    /// `[N, 12]`
    answers: Tensor,
    /// The same on the host, a list for each column.
    columns: Vec<Vec<f64>>,
    /// The names of each column's categories; none of a column of numbers.
    categories: Vec<Vec<String>>,
    /// Whether a credit came back: 0 or 1.
    pub labels: Vec<i32>,
}

impl Credits {
    /// From the program itself.
    ///
    /// # Errors
    /// If the device fails.
    pub fn embedded(device: &Device) -> Result<Self, Failure> {
        let table = Table::read_csv(Source::from_bytes("german_credit.csv.gz", TABLE))?;
        let labels = table.labels_of("credit", &["bad", "good"])?.labels().to_vec();
        let mut categories = Vec::new();
        for name in COLUMNS {
            categories.push(match CATEGORIES.contains(&name) {
                true => Encoder::ordinal().fit(&table, name)?.categories().to_vec(),
                false => Vec::new(),
            });
        }
        let encoded = Preparation::new()
            .encode(CATEGORIES, Encoder::ordinal())
            .fit(&table)?
            .transform(&table)?;
        let features = encoded.features(&COLUMNS)?;
        let columns = (0..COLUMNS.len()).map(|column| {
            let rows = features.values().chunks_exact(COLUMNS.len());
            rows.map(|row| f64::from(row[column])).collect()
        });
        let columns = columns.collect();
        Ok(Credits { answers: features.to_tensor(device)?, columns, categories, labels })
    }

    /// Number of credits.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Some of the rows, `[N, 12]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn rows(&self, rows: &[usize]) -> Result<Tensor> {
        let index = rows.iter().map(|&row| row as i32).collect();
        let index = Tensor::from_vec(index, [rows.len()], self.answers.device())?;
        let rows = self.answers.index_select(0, &index);
        rows.eval()?;
        Ok(rows.detach())
    }

    /// All numbers of a column.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn column(&self, name: &str) -> Result<&[f64], Failure> {
        let at = COLUMNS.iter().position(|other| *other == name);
        Ok(&self.columns[at.ok_or_else(|| format!("there is no column {name}"))?])
    }

    /// The lowest and the highest number of a column.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn bounds(&self, name: &str) -> Result<[f64; 2], Failure> {
        let numbers = self.column(name)?.iter();
        Ok(numbers
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &x| [low.min(x), high.max(x)]))
    }

    /// What people would write for a number of a column.
    pub fn shown(&self, name: &str, number: f64) -> String {
        let at = COLUMNS.iter().position(|other| *other == name);
        let category = at.and_then(|at| self.categories[at].get(number as usize));
        category.cloned().unwrap_or_else(|| format!("{number:.0}"))
    }

    /// The median of each column of numbers and the most frequent category of each other one: `[1, 12]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn typical(&self, rows: &[usize]) -> Result<Tensor> {
        let of = |(column, categories): (&Vec<f64>, &Vec<String>)| {
            let mut numbers: Vec<f64> = rows.iter().map(|&row| column[row]).collect();
            numbers.sort_by(f64::total_cmp);
            let median = numbers[numbers.len() / 2];
            let count = |code: &usize| numbers.iter().filter(|x| **x == *code as f64).count();
            (0..categories.len()).max_by_key(count).map_or(median, |code| code as f64) as f32
        };
        let typical = self.columns.iter().zip(&self.categories).map(of).collect();
        Tensor::from_vec(typical, [1, COLUMNS.len()], self.answers.device())
    }

    /// The standard deviation of each column over some rows.
    pub fn units(&self, rows: &[usize]) -> Vec<f64> {
        let deviation = |column: &Vec<f64>| {
            let mean = rows.iter().map(|&row| column[row]).sum::<f64>() / rows.len() as f64;
            let square = rows.iter().map(|&row| (column[row] - mean).powi(2)).sum::<f64>();
            (square / rows.len() as f64).sqrt()
        };
        self.columns.iter().map(deviation).collect()
    }

    /// The names of what the network makes of the answers, in order.
    pub fn expanded_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, categories) in COLUMNS.iter().zip(&self.categories) {
            match categories.is_empty() {
                true => names.push((*name).to_owned()),
                false => {
                    names.extend(categories.iter().map(|category| format!("{name}: {category}")))
                }
            }
        }
        names
    }
}

/// Categories as columns of their own, scaled, and a small network on them.
#[derive(Clone, Debug)]
pub struct Network {
    /// How many categories each column has, 0 for numbers.
    sizes: Vec<usize>,
    /// Of the expanded columns, `[1, E]`.
    mean: Tensor,
    /// What each is multiplied by, `[1, E]`: 0 for columns that are not to be known.
    factor: Tensor,
    layers: Sequential,
}

impl Network {
    /// Taught by some of the credits, with or without the applicant's age.
    ///
    /// # Errors
    /// If the device fails.
    pub fn taught(
        credits: &Credits,
        train: &[usize],
        knows_age: bool,
        key: Key,
        tiny: bool,
    ) -> Result<Self, Failure> {
        let rows = credits.rows(train)?;
        let sizes: Vec<usize> = credits.categories.iter().map(Vec::len).collect();
        let expanded = expanded(&rows, &sizes);
        let (mean, deviation) = (expanded.mean_keepdim(0), expanded.std_keepdim(0, 0.0));
        let names = credits.expanded_names();
        let known =
            names.iter().map(|name| f32::from(u8::from(knows_age || name != "age"))).collect();
        let known = Tensor::from_vec(known, [1, names.len()], rows.device())?;
        let factor = known.div(deviation.maximum(1e-6));
        gradloom::eval([&mean, &factor])?;
        let (mean, factor) = (mean.detach(), factor.detach());
        let init = &mut Init::new(key, rows.device());
        let layers = Sequential::new()
            .with(Linear::new(names.len(), 24, init))
            .with(Activation::Relu)
            .with(Dropout::new(0.4))
            .with(Linear::new(24, 2, init));
        let labels: Vec<i32> = train.iter().map(|&row| credits.labels[row]).collect();
        let labels = Tensor::from_slice(&labels, [train.len()], rows.device())?;
        let scaled = expanded.sub(&mean).mul(&factor);
        let batches = Loader::rows(TensorDataset::new(&scaled, &labels)?)
            .batch_size(32)
            .shuffle(key.fold(1))
            .drop_last(true);
        let optimizer = AdamW::new(2e-3).weight_decay(0.1);
        let mut trainer = Trainer::new(layers, optimizer, Tensor::cross_entropy)
            .epochs(if tiny { 2 } else { 40 })
            .schedule_over(|steps| Schedule::cosine(2e-3, steps))
            .key(key.fold(2))
            .progress(Progress::Silent);
        trainer.fit_train(&batches)?;
        Ok(Network { sizes, mean, factor, layers: trainer.model })
    }

    /// Answers `[N, 12]` to numbers and a column of zeros and ones for each category, `[N, E]`.
    pub fn expanded(&self, answers: &Tensor) -> Tensor {
        expanded(answers, &self.sizes)
    }

    /// Logits `[N, 2]` of answers `[N, 12]`.
    pub fn logits(&self, answers: &Tensor, ctx: &mut Context) -> Tensor {
        self.logits_of_expanded(&self.expanded(answers), ctx)
    }

    /// Logits `[N, 2]` of `[N, E]`.
    pub fn logits_of_expanded(&self, expanded: &Tensor, ctx: &mut Context) -> Tensor {
        self.layers.forward(&expanded.sub(&self.mean).mul(&self.factor), ctx)
    }
}

fn expanded(answers: &Tensor, sizes: &[usize]) -> Tensor {
    let mut parts = Vec::with_capacity(sizes.len());
    for (column, &size) in sizes.iter().enumerate() {
        let own = answers.narrow(1, column, 1);
        parts.push(match size {
            0 => own,
            size => own.squeeze(1).cast(DType::I32).one_hot(size).cast(DType::F32),
        });
    }
    let parts: Vec<&Tensor> = parts.iter().collect();
    Tensor::concat(&parts, 1)
}
