//! Matrix products.

use super::{Add, Samples as _, base, channels};
use crate::samples::{EPILOGUE_F32, EPILOGUE_I32, EPILOGUE_QUAD, READS};

pub(super) fn products(add: &mut Add<'_>) {
    let operands = "
fn lhs_at(batch: u32, m: u32, k: u32) -> f32 { return b0[(batch * M + m) * K + k]; }
fn rhs_at(batch: u32, k: u32, n: u32) -> f32 { return b1[(batch * K + k) * N + n]; }
fn lhs_vector(batch: u32, m: u32, k: u32) -> vec4<f32> { return vec4<f32>(lhs_at(batch, m, k)); }
fn rhs_vector(batch: u32, k: u32, n: u32) -> vec4<f32> { return vec4<f32>(rhs_at(batch, k, n)); }
";
    let place = "fn place(index: u32) -> u32 { return index; }";
    let tile = |vectors: u32| {
        base()
            .numbers("M N K TILES_M TILES_N BATCHES CHUNK")
            .constant("TILE_K", 8)
            .constant("TILE_M", 32 * vectors)
            .constant("TILE_N", 32 * vectors)
            .constant("VECTORS_M", vectors)
            .constant("VECTORS_N", vectors)
            .splice("operands", operands)
            .splice("finish", format!("{place}{EPILOGUE_F32}"))
    };
    add("matmul.wgsl", "small tile", tile(1));
    add("matmul.wgsl", "large tile", tile(2));
    add("matmul.wgsl", "totals", tile(1).define("TOTALS").constant("BLOCK_K", 32));
    let vectors = tile(2).define("LHS_VECTOR").define("RHS_VECTOR");
    add("matmul.wgsl", "vectors", vectors);
    add(
        "matmul.wgsl",
        "inner axis contiguous",
        tile(1).define("LHS_K_FASTEST").define("RHS_K_FASTEST"),
    );
    let partial = "fn write_partial(index: u32, value: f32) { b2[index] = value; }";
    add("matmul.wgsl", "split", tile(1).define("SPLIT").splice("finish", partial));
    for variant in ["forward", "input", "weight"] {
        let operands = format!(
            "fn lhs_at(batch: u32, m: u32, k: u32) -> f32 {{ return {variant}_lhs(batch, m, k); }}
fn rhs_at(batch: u32, k: u32, n: u32) -> f32 {{ return {variant}_rhs(batch, k, n); }}{READS}"
        );
        let place = format!("fn place(index: u32) -> u32 {{ return {variant}_place(index); }}");
        let options = channels(tile(1))
            .splice("operands", operands)
            .splice("finish", format!("{place}{EPILOGUE_F32}"));
        add("matmul.wgsl", &format!("convolution {variant}"), options);
    }
    let sum = base()
        .numbers("SPLITS")
        .splice("reads", "fn read_partial(index: u32) -> f32 { return b0[index]; }")
        .splice("place", place);
    add("split_sum.wgsl", "", sum);
    let quads = tile(1).define("QUADS").splice("finish", EPILOGUE_QUAD);
    add("matmul.wgsl", "quads", quads);
    products_of_bytes(add);
}

fn products_of_bytes(add: &mut Add<'_>) {
    let operands = "
fn lhs_index(batch: u32, m: u32, k: u32) -> u32 { return (batch * M + m) * K + k; }
fn lhs_word(word: u32) -> u32 { return bitcast<u32>(b0[word]); }
fn rhs_index(batch: u32, k: u32, n: u32) -> u32 { return (batch * K + k) * N + n; }
fn rhs_word(word: u32) -> u32 { return bitcast<u32>(b1[word]); }
";
    let options = || {
        base()
            .numbers("M N K TILES_M TILES_N")
            .constants(&[("TILE", 32), ("TILE_K", 8)])
            .splice("operands", operands)
            .splice("finish", EPILOGUE_I32)
    };
    add("matmul_bytes.wgsl", "", options());
    let along = options().define("LHS_ALONG").define("RHS_ALONG");
    add("matmul_bytes.wgsl", "along", along.define("PACKED_DOT"));
    let quads = "fn epilogue_quad(index: u32, a: i32, b: i32, c: i32, d: i32) {
    b3[index] = bitcast<u32>(a + b + c + d);
}
";
    let across = options().define("LHS_ACROSS").define("RHS_ACROSS");
    add("matmul_bytes.wgsl", "across", across.define("QUADS").splice("finish", quads));
}
