//! Shape rules of structured ops: products, convolutions, pooling, indexing.
