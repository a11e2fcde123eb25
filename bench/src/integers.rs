//! Networks of pictures in f32 and with products of 8-bit integers, one after the other.

use gradloom::compress::quantize::{Int8Model, Recipe};
use gradloom::prelude::*;
use gradloom::vision::{Classifier, MobileNetV2, MobileNetV2Config, ResNet, ResNetConfig};

use crate::networks;
use crate::timing::{Failure, Figure, rates};

/// Figures of the network of the peers' W2 (`fashion`, 250 pictures at once), of `resnet18` or `mobilenet` (one at once).
pub(crate) fn pictures(name: &str, device: &Device) -> Result<Vec<Figure>, Failure> {
    let init = &mut Init::new(Key::new(0), device);
    match name {
        "fashion" => {
            let model = networks::cnn([1, 32, 64], 0, 1600, device);
            compare(model, &[250, 1, 28, 28], device)
        }
        "resnet18" => {
            compare(ResNet::new(&ResNetConfig::resnet18(), init)?, &[1, 3, 224, 224], device)
        }
        "mobilenet" => {
            compare(MobileNetV2::new(&MobileNetV2Config::new(), init)?, &[1, 3, 224, 224], device)
        }
        _ => Err(format!("no network {name:?}").into()),
    }
}

fn compare<M>(mut model: M, shape: &[usize], device: &Device) -> Result<Vec<Figure>, Failure>
where
    M: Layer + Module + Tensors + Clone + 'static,
{
    model.freeze();
    commit(&mut model)?;
    let pictures = Tensor::uniform(Key::new(1), shape, -0.8, 2.0, device);
    pictures.eval()?;
    let pictures = pictures.detach();
    let int8 =
        Int8Model::of_layer(model.clone(), &Recipe::int8(), std::slice::from_ref(&pictures))?;
    let measure = |model: &dyn Layer, metric| -> Result<Figure, Failure> {
        let samples = rates(shape[0] as f64, 7, 1.0, || {
            model.forward(&pictures, &mut Context::eval()).eval()?;
            Ok(())
        })?;
        Ok(Figure { metric, ..Figure::new("images/s", samples) })
    };
    Ok(vec![measure(&model, "f32")?, measure(&int8, "int8")?])
}
