//! Deep learning in Rust, on any GPU and on the CPU.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod device;
pub mod tutorial;

pub use device::SelectDevice;
pub use gradloom_autodiff as autodiff;
pub use gradloom_autodiff::{
    Randomness, checkpoint, custom_grad, grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp,
    value_and_grad, vjp, vmap,
};
#[cfg(feature = "compress")]
pub use gradloom_compress as compress;
pub use gradloom_cpu::profile;
pub use gradloom_data as data;
#[cfg(feature = "explain")]
pub use gradloom_explain as explain;
#[cfg(feature = "fft")]
pub use gradloom_fft as fft;
#[cfg(feature = "linalg")]
pub use gradloom_linalg as linalg;
pub use gradloom_metrics as metrics;
pub use gradloom_nn as nn;
pub use gradloom_tensor::*;
#[cfg(feature = "text")]
pub use gradloom_text as text;
#[cfg(feature = "track")]
pub use gradloom_track as track;
#[cfg(feature = "train")]
pub use gradloom_train as train;
#[cfg(feature = "vision")]
pub use gradloom_vision as vision;
pub use gradloom_weights as weights;
#[cfg(feature = "zoo")]
pub use gradloom_zoo as zoo;

/// What most programs import: `use gradloom::prelude::*;`.
pub mod prelude {
    pub use gradloom_autodiff::{
        checkpoint, custom_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp, vmap,
    };
    pub use gradloom_nn::{
        Activation, Adam, AdamW, Context, Init, Layer, Module, ModuleExt, Optimizer, Parameter,
        RmsProp, Schedule, Sequential, Sgd, check_finite, gradients,
    };
    pub use gradloom_tensor::{
        DType, Device, Error, Key, Result, Shape, Tensor, Tensors, commit, eval, s,
    };

    #[cfg(feature = "train")]
    pub use gradloom_train::{Checkpoints, EarlyStopping, Trainer};

    pub use crate::SelectDevice;
}

/// Runs the code of the repository's README as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeOfTheRepository;

/// Runs the code of the page about `vmap` as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/vmap.md")]
struct PageAboutVmap;

/// Runs the code of the page about several devices as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/devices.md")]
struct PageAboutDevices;

/// Runs the code of the page about loops as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/loops.md")]
struct PageAboutLoops;

/// Runs the code of the page about waiting as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/async.md")]
struct PageAboutWaiting;

/// Runs the code of the page about training as a test.
#[cfg(all(doctest, feature = "train", feature = "mnist"))]
#[doc = include_str!("../../../docs/training.md")]
struct PageAboutTraining;

/// Runs the code of the page about profiles as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/profiling.md")]
struct PageAboutProfiles;

/// Runs the code of the page for users of PyTorch as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-pytorch.md")]
struct PageForUsersOfPyTorch;

/// Runs the code of the page for users of Burn as a test.
#[cfg(all(doctest, feature = "train"))]
#[doc = include_str!("../../../docs/from-burn.md")]
struct PageForUsersOfBurn;

/// Runs the code of the page for users of candle as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-candle.md")]
struct PageForUsersOfCandle;

/// Runs the code of the page about explanations as a test.
#[cfg(all(doctest, feature = "explain"))]
#[doc = include_str!("../../../docs/explaining.md")]
struct PageAboutExplanations;

/// Runs the code of the page about smaller models as a test.
#[cfg(all(doctest, feature = "compress"))]
#[doc = include_str!("../../../docs/compression.md")]
struct PageAboutSmallerModels;
