//! [`Tensors`]: what holds tensors.

use crate::Tensor;

/// Something that holds tensors: a tensor, a collection, a model, an optimizer.
pub trait Tensors {
    /// Calls `visit` on every tensor, always in the same order.
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor));
}

impl Tensors for Tensor {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(self);
    }
}

impl<T: Tensors + ?Sized> Tensors for &mut T {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        (**self).for_each_tensor(visit);
    }
}

impl<T: Tensors> Tensors for Vec<T> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl<T: Tensors> Tensors for [T] {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl<T: Tensors, const N: usize> Tensors for [T; N] {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.as_mut_slice().for_each_tensor(visit);
    }
}

impl<T: Tensors> Tensors for Option<T> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl Tensors for () {
    fn for_each_tensor(&mut self, _: &mut dyn FnMut(&mut Tensor)) {}
}

macro_rules! tensors_of_tuple {
    ($($name:ident),+) => {
        impl<$($name: Tensors),+> Tensors for ($($name,)+) {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
                #[expect(non_snake_case, reason = "the type's letter names its field")]
                let ($($name,)+) = self;
                $($name.for_each_tensor(visit);)+
            }
        }
    };
}

tensors_of_tuple!(A);
tensors_of_tuple!(A, B);
tensors_of_tuple!(A, B, C);
tensors_of_tuple!(A, B, C, D);
tensors_of_tuple!(A, B, C, D, E);
