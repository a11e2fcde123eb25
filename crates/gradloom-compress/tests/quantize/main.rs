//! Quantization: PyTorch's numbers, laws, and what is refused.

mod golden;
mod laws;
mod refusals;
