//! Debug output in the manner of PyTorch.

impl std::fmt::Debug for crate::Tensor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Tensor({} {})", self.dtype(), self.shape())
    }
}
