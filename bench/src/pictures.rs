//! Networks of pictures: ResNet-18 (W9 of the peers), MobileNetV2 and EfficientNet-Lite0, 224 x 224.

use gradloom::prelude::*;
use gradloom::vision::{
    Classifier, EfficientNet, EfficientNetConfig, MobileNetV2, MobileNetV2Config, ResNet,
    ResNetConfig,
};

use crate::timing::{Failure, Figure, rates, step_rates};

/// A batch of noise of the shape of photos.
fn noise(key: u64, batch: usize, device: &Device) -> Result<Tensor, Failure> {
    let pictures = Tensor::normal(Key::new(key), [batch, 3, 224, 224], 0.0, 1.0, device);
    pictures.eval()?;
    Ok(pictures.detach())
}

/// Images per second of a network outside of training.
fn inference<M: Classifier>(
    config: &M::Config,
    batch: usize,
    device: &Device,
) -> Result<Figure, Failure> {
    let mut model = M::new(config, &mut Init::new(Key::new(0), device))?;
    model.freeze();
    commit(&mut model)?;
    let pictures = noise(1, batch, device)?;
    let samples = rates(batch as f64, 7, 1.0, || {
        model.forward(&pictures, &mut Context::eval()).to_vec::<f32>()?;
        Ok(())
    })?;
    Ok(Figure::new("images/s", samples))
}

/// W9: ResNet-18.
pub(crate) fn resnet18(device: &Device, batch: usize) -> Result<Figure, Failure> {
    inference::<ResNet>(&ResNetConfig::resnet18(), batch, device)
}

/// MobileNetV2.
pub(crate) fn mobilenet_v2(device: &Device, batch: usize) -> Result<Figure, Failure> {
    inference::<MobileNetV2>(&MobileNetV2Config::new(), batch, device)
}

/// EfficientNet-Lite0.
pub(crate) fn efficientnet_lite0(device: &Device, batch: usize) -> Result<Figure, Failure> {
    inference::<EfficientNet>(&EfficientNetConfig::lite0(), batch, device)
}

/// W9: a training step of ResNet-18, batch 8, SGD with momentum.
pub(crate) fn resnet18_train(
    device: &Device,
    steps: usize,
    repeats: usize,
) -> Result<Figure, Failure> {
    const BATCH: usize = 8;
    let config = ResNetConfig::resnet18();
    let mut model = ResNet::new(&config, &mut Init::new(Key::new(0), device))?;
    let mut optimizer = Sgd::new(0.01).momentum(0.9);
    let mut ctx = Context::train(Key::new(1));
    let batches = (0..2)
        .map(|batch| {
            let labels = Tensor::randint(Key::new(5 + batch), [BATCH], 0, 1000, device).detach();
            labels.eval()?;
            Ok((noise(2 + batch, BATCH, device)?, labels))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut last = f64::NAN;
    let samples = step_rates(BATCH as f64, steps, repeats, |step| {
        let (pictures, labels) = &batches[step % 2];
        let loss = model.forward(pictures, &mut ctx).cross_entropy(labels);
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer))?;
        last = loss.item()?;
        Ok(())
    })?;
    Ok(Figure::new("images/s", samples).note(format!("last loss {last:.3}")))
}
