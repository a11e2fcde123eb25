//! Quantization: PyTorch's numbers, laws, and what is refused.

mod golden;
mod integer;
mod laws;
mod random;
mod refusals;
