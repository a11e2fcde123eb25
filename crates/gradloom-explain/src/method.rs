//! [`Method`]: what every way to attribute an output to features has in common.

use gradloom_tensor::{Result, Tensor};

use crate::{Forward, Inputs, Target};

/// How much each feature has to do with an output.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// One tensor for each feature, of its shape unless the method says otherwise. They are graph until
    /// their elements are asked for.
    pub features: Vec<Tensor>,
    /// What the attributions of a sample lack or have too much to sum to the difference that they explain,
    /// `[B]`, for methods that promise that they do. It costs nothing unless it is asked for.
    pub delta: Option<Tensor>,
}

impl Attribution {
    /// The attributions of the first feature, which mostly is the only one.
    ///
    /// # Panics
    /// If there is none, which no method gives.
    #[track_caller]
    pub fn first(&self) -> &Tensor {
        &self.features[0]
    }
}

/// A way to attribute an output to features.
pub trait Method {
    /// The attributions of the target to the features of each sample.
    ///
    /// # Errors
    /// If inputs, target or the method's options do not fit each other or the model, and if something could
    /// not be computed.
    fn attribute(&self, forward: &Forward, inputs: &Inputs, target: &Target)
    -> Result<Attribution>;
}

impl<M: Method + ?Sized> Method for &M {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        (**self).attribute(forward, inputs, target)
    }
}

impl<M: Method + ?Sized> Method for Box<M> {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        (**self).attribute(forward, inputs, target)
    }
}
