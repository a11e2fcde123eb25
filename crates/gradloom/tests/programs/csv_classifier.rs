//! (a) A network on a CSV file: a validation split, early stopping, the best checkpoint, and a run that goes on.

use gradloom::data::transform::Identity;
use gradloom::data::{Loader, format::csv::CsvReader};
use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::train::{Fit, metrics::Accuracy};
use std::path::Path;

pub(crate) fn train(file: &Path, out: &Path, device: &Device) -> Result<Fit> {
    let table = CsvReader::new().read(file)?;
    let features = ["length", "width", "height"];
    let classes = table.labels("species")?.names().len();
    let (train, valid) = table.split_stratified("species", table.len() * 4 / 5, Key::new(1))?;
    let rows = |table: gradloom::data::Table| table.labelled_rows(&features, "species");
    let train = Loader::images(rows(train)?, Identity).batch_size(16).shuffle(Key::new(2));
    let valid = Loader::images(rows(valid)?, Identity).batch_size(256);

    let init = &mut Init::new(Key::new(0), device);
    let model = Sequential::new()
        .with(Linear::new(features.len(), 32, init))
        .with(Activation::Relu)
        .with(Linear::new(32, 32, init))
        .with(Activation::Relu)
        .with(Linear::new(32, classes, init));
    let mut trainer = Trainer::new(model, AdamW::new(0.01), Tensor::cross_entropy)
        .epochs(40)
        .metric(Accuracy::new())
        .callback(EarlyStopping::new("val_loss").patience(5).restore_best(true))
        .checkpoints(Checkpoints::in_folder(out).best("val_accuracy").resume(true));
    let fit = trainer.fit(&train, &valid)?;
    trainer.model.save(out.join("model.safetensors"))?;
    Ok(fit)
}
