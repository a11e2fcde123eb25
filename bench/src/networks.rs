//! Training steps of the convolutional networks W2 and W3 and the recurrent one W5 of the peers.

use gradloom::nn::layers::{Conv2d, Embedding, Flatten, Linear, Lstm, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;

use crate::timing::{Failure, Figure, step_rates};

const BATCH: usize = 64;

/// Two convolutions with pooling and two linear layers.
pub(crate) fn cnn(
    channels: [usize; 3],
    padding: usize,
    flat: usize,
    device: &Device,
) -> Sequential {
    let mut init = Init::new(Key::new(0), device);
    let options = || Conv2dOptions::default().padding(padding);
    Sequential::new()
        .with(Conv2d::new(channels[0], channels[1], [3, 3], options(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(channels[1], channels[2], [3, 3], options(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(flat, 512, &mut init))
        .with(Activation::Relu)
        .with(Linear::new(512, 10, &mut init))
}

/// Steps of SGD with momentum over batches in memory, each reading its loss back.
fn train(
    mut model: Sequential,
    batches: &[(Tensor, Tensor)],
    steps: usize,
    repeats: usize,
    device: &Device,
) -> Result<Figure, Failure> {
    let mut optimizer = Sgd::new(0.01).momentum(0.9);
    let mut ctx = Context::train(Key::new(1));
    let (mut first, mut last) = (f64::NAN, f64::NAN);
    let mut per_step = (0, 0);
    let samples = step_rates(BATCH as f64, steps, repeats, |step| {
        let before = device.statistics();
        let (images, labels) = &batches[step % batches.len()];
        let loss = model.forward(images, &mut ctx).cross_entropy(labels);
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer))?;
        last = loss.item()?;
        if first.is_nan() {
            first = last;
        }
        let after = device.statistics();
        per_step = (after.kernels - before.kernels, after.submissions - before.submissions);
        Ok(())
    })?;
    let note = format!(
        "loss {first:.3} to {last:.3}, {} kernels and {} submissions a step",
        per_step.0, per_step.1
    );
    Ok(Figure::new("images/s", samples).note(note))
}

/// Fashion-MNIST images as `[count, 1, 28, 28]`, or digits where that data set is absent.
fn images(count: usize, device: &Device) -> Result<(Vec<(Tensor, Tensor)>, &'static str), Failure> {
    use gradloom::data::{FashionMnist, ImageDataset, Split, mnist};
    let folder = std::env::var_os("PEERS_DIR")
        .map(|folder| std::path::PathBuf::from(folder).join("data/fashion-mnist"))
        .unwrap_or_else(|| "assets/fashion-mnist".into());
    let (dataset, name): (ImageDataset, _) = match FashionMnist::load(&folder, Split::Train) {
        Ok(dataset) => (dataset, "Fashion-MNIST"),
        Err(_) => (mnist::embedded()?, "embedded digits"),
    };
    let batches = (0..count / BATCH)
        .map(|batch| {
            let start = batch * BATCH;
            let pixels: Vec<f32> = dataset.pixels()[start * 784..(start + BATCH) * 784]
                .iter()
                .map(|&pixel| f32::from(pixel) / 255.0)
                .collect();
            let labels = dataset.labels()[start..start + BATCH].to_vec();
            Ok((
                Tensor::from_vec(pixels, [BATCH, 1, 28, 28], device)?,
                Tensor::from_vec(labels, [BATCH], device)?,
            ))
        })
        .collect::<Result<_, Failure>>()?;
    Ok((batches, name))
}

/// W2: conv 1-32-64 of 3x3, pools, 1600-512-10 on Fashion-MNIST.
pub(crate) fn fashion(device: &Device, steps: usize, repeats: usize) -> Result<Figure, Failure> {
    let (batches, name) = images(50 * BATCH, device)?;
    let figure = train(cnn([1, 32, 64], 0, 1600, device), &batches, steps, repeats, device)?;
    let note = format!("{name}, {}", figure.note);
    Ok(figure.note(note))
}

/// W3: conv 3-64-128 of 3x3 with padding, pools, 8192-512-10 on noise of CIFAR's shape.
pub(crate) fn cifar(device: &Device, steps: usize, repeats: usize) -> Result<Figure, Failure> {
    let batches = (0..4)
        .map(|batch| {
            let key = Key::new(2).fold(batch);
            let images = Tensor::normal(key.fold(0), [BATCH, 3, 32, 32], 0.0, 1.0, device).detach();
            let labels = Tensor::randint(key.fold(1), [BATCH], 0, 10, device).detach();
            eval([&images, &labels])?;
            Ok((images, labels))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    train(cnn([3, 64, 128], 1, 8192, device), &batches, steps, repeats, device)
}

/// Three linear layers of 64 units with relu and tanh between them, batch 32, SGD with momentum: what a
/// step costs beside its arithmetic.
pub(crate) fn mlp(device: &Device, steps: usize, repeats: usize) -> Result<Figure, Failure> {
    let mut init = Init::new(Key::new(0), device);
    let mut model = Sequential::new()
        .with(Linear::new(64, 64, &mut init))
        .with(Activation::Relu)
        .with(Linear::new(64, 64, &mut init))
        .with(Activation::Tanh)
        .with(Linear::new(64, 64, &mut init));
    let x = Tensor::normal(Key::new(1), [32, 64], 0.0, 1.0, device).detach();
    let y = Tensor::normal(Key::new(2), [32, 64], 0.0, 1.0, device).detach();
    eval([&x, &y])?;
    let mut optimizer = Sgd::new(0.01).momentum(0.9);
    let mut ctx = Context::train(Key::new(3));
    let per_second = step_rates(1.0, steps, repeats, |_| {
        let loss = (model.forward(&x, &mut ctx) - &y).square().mean(..);
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer))?;
        std::hint::black_box(loss.item()?);
        Ok(())
    })?;
    let samples = per_second.into_iter().map(|rate| 1e6 / rate).collect();
    Ok(Figure::new("us/step", samples))
}

/// An embedding, two bidirectional LSTM layers, a mean over time and a linear layer.
#[derive(Clone, Module)]
struct BiLstm {
    embedding: Embedding,
    lstm: Lstm,
    head: Linear,
}

/// W5: vocabulary 10,000, 128 wide, two bidirectional layers of 256, batch 32 x 100, Adam.
pub(crate) fn recurrent(device: &Device, steps: usize, repeats: usize) -> Result<Figure, Failure> {
    use gradloom::nn::layers::RecurrentOptions;
    let mut init = Init::new(Key::new(0), device);
    let options =
        RecurrentOptions { layers: 2, bidirectional: true, ..RecurrentOptions::default() };
    let mut model = BiLstm {
        embedding: Embedding::new(10_000, 128, &mut init),
        lstm: Lstm::new(128, 256, options, &mut init),
        head: Linear::new(512, 2, &mut init),
    };
    let words = Tensor::randint(Key::new(3), [32, 100], 0, 10_000, device).detach();
    let labels = Tensor::randint(Key::new(4), [32], 0, 2, device).detach();
    eval([&words, &labels])?;
    let mut optimizer = Adam::new(1e-3);
    let mut ctx = Context::train(Key::new(1));
    let samples = step_rates(1.0, steps, repeats, |_| {
        let embedded = model.embedding.forward(&words, &mut ctx);
        let (states, _) = model.lstm.run(&embedded, None, &mut ctx);
        let logits = model.head.forward(&states.mean(1), &mut ctx);
        let loss = logits.cross_entropy(&labels);
        optimizer.step(&gradients(&loss, &model), &mut model);
        drop((embedded, states, logits));
        commit((&mut model, &mut optimizer))?;
        loss.item()?;
        Ok(())
    })?;
    Ok(Figure::new("steps/s", samples))
}
