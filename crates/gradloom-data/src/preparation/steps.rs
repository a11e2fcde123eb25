//! [`Preparation`]: steps for named columns, learnt in order from a training part.

use super::clipper::{Clipper, FittedClipper};
use super::encoder::{Encoder, FittedEncoder};
use super::imputer::{FittedImputer, Imputer};
use super::scaler::{FittedScaler, Scaler};
use crate::table::{Column, ColumnKind, Table};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

const OP: &str = "preparation";

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Impute(Imputer),
    Clip(Clipper),
    Scale(Scaler),
    Encode(Encoder),
    Drop,
}

/// What is to be done to columns, before anything is learnt. scikit-learn: `ColumnTransformer` in a
/// `Pipeline`.
///
/// ```
/// use gradloom_data::Table;
/// use gradloom_data::preparation::{Encoder, FittedPreparation, Imputer, Preparation, Scaler};
///
/// let train = Table::new()
///     .with("age", vec![20.0, f64::NAN, 40.0])?
///     .with("city", vec!["Bern", "Oslo", "Bern"])?;
/// let preparation = Preparation::new()
///     .impute(["age"], Imputer::median())
///     .scale(["age"], Scaler::standard())
///     .encode(["city"], Encoder::one_hot())
///     .fit(&train)?;
/// let prepared = preparation.transform(&train)?;
/// assert_eq!(prepared.names(), ["age", "city_Bern", "city_Oslo"]);
/// assert_eq!(prepared.numbers("city_Oslo")?, [0.0, 1.0, 0.0]);
/// let again = FittedPreparation::from_json(&preparation.to_json())?;
/// assert_eq!(again.transform(&train)?, prepared);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preparation {
    steps: Vec<(String, Kind)>,
}

impl Preparation {
    /// Without steps.
    pub fn new() -> Self {
        Preparation::default()
    }

    fn step<S: Into<String>>(
        mut self,
        columns: impl IntoIterator<Item = S>,
        kind: impl Fn() -> Kind,
    ) -> Self {
        self.steps.extend(columns.into_iter().map(|column| (column.into(), kind())));
        self
    }

    /// Fills the holes of these columns.
    #[must_use]
    pub fn impute<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        imputer: Imputer,
    ) -> Self {
        self.step(columns, || Kind::Impute(imputer.clone()))
    }

    /// Cuts the numbers of these columns at bounds.
    #[must_use]
    pub fn clip<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        clipper: Clipper,
    ) -> Self {
        self.step(columns, || Kind::Clip(clipper))
    }

    /// Scales the numbers of these columns.
    #[must_use]
    pub fn scale<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        scaler: Scaler,
    ) -> Self {
        self.step(columns, || Kind::Scale(scaler))
    }

    /// Makes these columns numbers.
    #[must_use]
    pub fn encode<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        encoder: Encoder,
    ) -> Self {
        self.step(columns, || Kind::Encode(encoder))
    }

    /// Leaves these columns out.
    #[must_use]
    pub fn drop<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.step(columns, || Kind::Drop)
    }

    /// Learns each step from the training part, as the steps before have made it. Columns that no step
    /// names pass as they are.
    ///
    /// # Errors
    /// If a step names a column that is not there, does not suit its kind, or has nothing to learn from.
    pub fn fit(&self, train: &Table) -> Result<FittedPreparation> {
        let mut table = train.clone();
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut inputs: Vec<(String, ColumnKind)> = Vec::new();
        for (column, kind) in &self.steps {
            let fitted = fit(kind, &table, column)
                .map_err(|error| error.context(format!("preparation: column {column:?}")))?;
            if let Ok(input) = train.column(column)
                && inputs.iter().all(|(known, _)| known != column)
            {
                inputs.push((column.clone(), input.kind()));
            }
            let step = Step { column: column.clone(), fitted };
            table = step.transform(table)?;
            steps.push(step);
        }
        Ok(FittedPreparation { inputs, steps, outputs: table.names().to_vec() })
    }
}

fn fit(kind: &Kind, table: &Table, name: &str) -> Result<Fitted> {
    table.place(OP, name)?;
    Ok(match kind {
        Kind::Impute(imputer) => Fitted::Impute(imputer.fit(table.column(name)?)?),
        Kind::Clip(clipper) => Fitted::Clip(clipper.fit(table.numbers(name)?)?),
        Kind::Scale(scaler) => Fitted::Scale(scaler.fit(table.numbers(name)?)?),
        Kind::Encode(encoder) => Fitted::Encode(encoder.fit(table, name)?),
        Kind::Drop => Fitted::Drop,
    })
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Fitted {
    Impute(FittedImputer),
    Clip(FittedClipper),
    Scale(FittedScaler),
    Encode(FittedEncoder),
    Drop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    column: String,
    fitted: Fitted,
}

impl Step {
    /// Takes the table over: what the step does not change is not copied.
    fn transform(&self, mut table: Table) -> Result<Table> {
        let name = &self.column;
        let place = table.place(OP, name)?;
        let column = &table.columns()[place];
        let new = match &self.fitted {
            Fitted::Impute(imputer) => vec![(name.clone(), imputer.transform(column)?)],
            Fitted::Clip(clipper) => {
                let clipped = table.numbers(name)?.iter().map(|&v| clipper.transform(v)).collect();
                vec![(name.clone(), Column::Number(clipped))]
            }
            Fitted::Scale(scaler) => {
                let scaled = table.numbers(name)?.iter().map(|&v| scaler.transform(v)).collect();
                vec![(name.clone(), Column::Number(scaled))]
            }
            Fitted::Encode(encoder) => {
                encoder.names(name).into_iter().zip(encoder.transform(name, column)?).collect()
            }
            Fitted::Drop => Vec::new(),
        };
        table.replace(OP, place, new)?;
        Ok(table)
    }

    fn inverse(&self, mut table: Table) -> Result<Table> {
        match &self.fitted {
            Fitted::Impute(_) | Fitted::Clip(_) | Fitted::Drop => Ok(table),
            Fitted::Scale(scaler) if table.names().contains(&self.column) => {
                let values = table.numbers(&self.column)?;
                let values = values.iter().map(|&value| scaler.inverse(value)).collect();
                let place = table.place(OP, &self.column)?;
                table.replace(OP, place, vec![(self.column.clone(), Column::Number(values))])?;
                Ok(table)
            }
            Fitted::Encode(encoder) => {
                let names = encoder.names(&self.column);
                if !names.iter().any(|name| table.names().contains(name)) {
                    return Ok(table);
                }
                let columns: Result<Vec<&[f64]>> =
                    names.iter().map(|name| table.numbers(name)).collect();
                let column = encoder.inverse(&columns?)?;
                let mut rest = table.without(&names[1..])?;
                let place = rest.place(OP, &names[0])?;
                rest.replace(OP, place, vec![(self.column.clone(), column)])?;
                Ok(rest)
            }
            Fitted::Scale(_) => Ok(table),
        }
    }
}

/// Steps with what they learnt, to be saved beside the model.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedPreparation {
    pub(super) inputs: Vec<(String, ColumnKind)>,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<String>,
}

impl FittedPreparation {
    /// The columns of the prepared training part, in order.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// A table prepared as the training part was. Columns that no step names pass as they are.
    ///
    /// # Errors
    /// If a column is missing or of another kind than in the training part, or has values that a step
    /// refuses.
    pub fn transform(&self, table: &Table) -> Result<Table> {
        for (name, kind) in &self.inputs {
            let found = table.columns()[table.place(OP, name)?].kind();
            if found != *kind {
                return Err(Error::invalid(format!(
                    "preparation: column {name:?} is {found}, in the training part it was {kind}; \
                     say so where the file is read"
                )));
            }
        }
        let mut table = table.clone();
        for step in &self.steps {
            table = step
                .transform(table)
                .map_err(|error| error.context(format!("preparation: column {:?}", step.column)))?;
        }
        Ok(table)
    }

    /// A prepared table (or some columns of one, such as predictions) with scaling and encoding undone.
    /// What was filled, clipped or dropped stays so.
    ///
    /// # Errors
    /// If a column that was encoded is there in part, or is of another kind.
    pub fn inverse(&self, table: &Table) -> Result<Table> {
        let mut table = table.clone();
        for step in self.steps.iter().rev() {
            table = step.inverse(table)?;
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::Preparation;
    use crate::Table;
    use crate::preparation::{Clipper, Encoder, Imputer, Scaler};

    fn train() -> Table {
        Table::new()
            .with("n", vec![1.0, 2.0, f64::NAN, 4.0])
            .unwrap()
            .with("c", vec!["x", "y", "x", "z"])
            .unwrap()
            .with("left", vec![true, false, true, false])
            .unwrap()
    }

    #[test]
    fn steps_run_in_order_and_are_undone_in_reverse() {
        let preparation = Preparation::new()
            .encode(["c"], Encoder::one_hot())
            .impute(["n"], Imputer::mean())
            .clip(["n"], Clipper::Bounds(0.0, 3.0))
            .scale(["n", "c_x"], Scaler::min_max(-1.0, 1.0))
            .fit(&train())
            .unwrap();
        let prepared = preparation.transform(&train()).unwrap();
        assert_eq!(prepared.names(), ["n", "c_x", "c_y", "c_z", "left"]);
        assert_eq!(preparation.outputs(), prepared.names());
        assert_eq!(prepared.numbers("c_x").unwrap(), [1.0, -1.0, 1.0, -1.0]);
        let back = preparation.inverse(&prepared).unwrap();
        assert_eq!(back.texts("c").unwrap(), train().texts("c").unwrap());
        assert_eq!(back.numbers("n").unwrap(), [1.0, 2.0, 7.0 / 3.0, 3.0]);
        let one = preparation.inverse(&prepared.select(&["n"]).unwrap()).unwrap();
        assert_eq!(one.names(), ["n"]);
    }

    #[test]
    fn another_part_is_held_to_the_training_part() {
        let preparation =
            Preparation::new().scale(["n"], Scaler::standard()).drop(["c"]).fit(&train()).unwrap();
        let test = Table::new().with("c", vec!["q"]).unwrap();
        let message = preparation.transform(&test).unwrap_err().to_string();
        assert!(message.starts_with("preparation: no column \"n\""), "{message}");
        let test = test.with("n", vec!["1"]).unwrap();
        let message = preparation.transform(&test).unwrap_err().to_string();
        assert!(
            message.contains("\"n\" is text, in the training part it was numbers"),
            "{message}"
        );
        let twice = Preparation::new().encode(["c"], Encoder::one_hot());
        let table = train().with("c_x", vec![0.0; 4]).unwrap();
        assert!(twice.fit(&table).unwrap_err().to_string().contains("two columns"));
        let missing = Preparation::new().scale(["q"], Scaler::standard()).fit(&train());
        assert!(missing.unwrap_err().to_string().contains("no column \"q\""));
        let text = Preparation::new().scale(["c"], Scaler::standard()).fit(&train());
        assert!(text.unwrap_err().to_string().contains("is text, not numbers"));
        let only = Preparation::new().drop(["n", "c", "left"]).fit(&train()).unwrap();
        assert_eq!(only.transform(&train()).unwrap().len(), 4);
    }
}
