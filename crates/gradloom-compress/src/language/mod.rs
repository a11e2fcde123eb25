//! Compression of language models, and the formats that carry them.
