//! Quantization: observers, post-training and aware training.
