//! The shader files, embedded.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// Name and text of every shader file.
        pub const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../", $path)))),*];
    };
}

files![
    "shared/math.wgsl",
    "shared/power.wgsl",
    "shared/trigonometry.wgsl",
    "shared/convert.wgsl",
    "shared/packed.wgsl",
    "shared/random.wgsl",
    "shared/check.wgsl",
    "shared/grid.wgsl",
    "shared/convolution.wgsl",
    "shared/long_sum.wgsl",
    "shared/windows.wgsl",
    "shared/blocks.wgsl",
    "map.wgsl",
    "pack.wgsl",
    "copy.wgsl",
    "keys.wgsl",
    "row.wgsl",
    "matmul.wgsl",
    "matmul_bytes.wgsl",
    "convolution.wgsl",
    "pool.wgsl",
    "gather.wgsl",
    "scatter_add.wgsl",
    "concat.wgsl",
    "scan.wgsl",
    "arg_reduce.wgsl",
    "arg_sort.wgsl",
    "split_sum.wgsl",
    "write.wgsl",
    "call.wgsl",
    "dequantize.wgsl",
    "quantized_rows.wgsl",
    "quantized_matmul.wgsl",
    "quantized_matmul_few.wgsl",
    "attention.wgsl",
    "attention_few.wgsl",
    "attention_combine.wgsl",
];

/// The text of a file, by its path below `shaders/`.
pub fn source(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(path, _)| *path == name).map(|(_, text)| *text)
}
