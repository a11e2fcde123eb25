//! Every variant of every template, with sample text at its splice points: what tests validate and
//! translate for each graphics API.
//!
//! Real kernels splice generated programs instead; `gradloom-wgpu` translates those in its own tests.

mod products;

use crate::Options;
use crate::samples::{BINDINGS, EPILOGUE_F32, EPILOGUE_I32, EPILOGUE_QUAD, READS, every_function};

/// A template with the options of one variant.
#[derive(Clone, Debug)]
pub struct Permutation {
    /// For messages: the file and what tells this variant apart.
    pub name: String,
    /// The template's file.
    pub template: &'static str,
    /// The defines, constants and sample splices.
    pub options: Options,
}

fn base() -> Options {
    Options::new()
        .constant("WORKGROUP", 64)
        .constant("GRID_X", 100)
        .splice("bindings", BINDINGS)
        .splice("reads", READS)
        .splice("epilogue", EPILOGUE_F32)
        .alias("Value", "f32")
        .numbers("COUNT GROUPS")
}

/// Samples for names of a template.
trait Samples: Sized {
    /// Names that stand for words of a buffer.
    fn numbers(self, names: &str) -> Self;

    /// Names that are constants.
    fn constants(self, constants: &[(&str, u32)]) -> Self;
}

impl Samples for Options {
    fn numbers(self, names: &str) -> Options {
        names.split(' ').fold(self, |options, name| options.expression(name, "numbers.x"))
    }

    fn constants(self, constants: &[(&str, u32)]) -> Options {
        constants.iter().fold(self, |options, &(name, value)| options.constant(name, value))
    }
}

fn windows(options: Options) -> Options {
    ["KERNEL", "STRIDE", "PAD", "DILATION"]
        .iter()
        .flat_map(|name| ["D", "H", "W"].map(|axis| format!("{name}_{axis}")))
        .fold(options, |options, name| options.constant(&name, 2))
        .numbers("IN_D IN_H IN_W OUT_D OUT_H OUT_W")
}

fn channels(options: Options) -> Options {
    windows(options)
        .numbers("BATCH CHANNELS OUTPUTS GROUP_IN GROUP_OUT")
        .numbers("PLANE_IN PLANE_OUT PIXELS_IN PIXELS_OUT POSITIONS WEIGHTS")
}

/// Every variant.
pub fn all() -> Vec<Permutation> {
    let mut all = Vec::new();
    let mut add = |template: &'static str, variant: &str, options: Options| {
        all.push(Permutation { name: format!("{template} {variant}"), template, options });
    };
    add("map.wgsl", "", base().constant("LANES", 1).splice("program", every_function()));
    add(
        "pack.wgsl",
        "",
        base().splice(
            "pack",
            "    b3[word] = gl_pack_f16(b0[word * 2u], b0[word * 2u + 1u]);
    b3[word] += gl_pack_bf16(b0[word], b1[word]) + gl_pack_bytes(1u, 2u, 3u, word);",
        ),
    );
    loops(&mut add);
    rows(&mut add);
    products::products(&mut add);
    for define in ["FORWARD", "INPUT", "WEIGHT"] {
        add("convolution.wgsl", define, channels(base()).define(define));
    }
    let write_partial = "fn write_partial(index: u32, value: f32) { b2[index] = value; }";
    let split = channels(base()).define("WEIGHT").define("SPLIT").numbers("CHUNK");
    add("convolution.wgsl", "split", split.splice("epilogue", write_partial));
    pools(&mut add);
    let group = "fn group(index: u32, thread: u32) { b2[index + thread] = read0(index); }";
    let groups = base().define("WORKGROUPS").splice("access", READS);
    add("call.wgsl", "groups", groups.splice("source", group));
    let element = "fn element(index: u32) { b2[index] = read0(index); }";
    let elements = base().define("ELEMENTS").splice("access", READS);
    let elements = elements.splice("source", element);
    add("call.wgsl", "packed dot", elements.clone().define("PACKED_DOT"));
    add("call.wgsl", "elements", elements);
    let written = "fn read_written(index: u32) -> f32 { return b0[index]; }";
    let finish = base().define("FINISH").splice("access", written).splice("source", "");
    add("call.wgsl", "finish", finish.splice("epilogue", EPILOGUE_QUAD));
    let gather = base().numbers("PICKS SIZE INNER").splice(
        "reads",
        format!("{READS}fn read_index(index: u32) -> i32 {{ return i32(b3[index]); }}"),
    );
    add("gather.wgsl", "", gather.clone());
    add("gather.wgsl", "quads", gather.define("QUADS").splice("epilogue", EPILOGUE_QUAD));
    scatters(&mut add);
    let concat =
        base().numbers("SIZE INNER").splice("parts", "return read0(outer + place + inner);");
    add("concat.wgsl", "", concat.clone());
    add("concat.wgsl", "quads", concat.define("QUADS").splice("epilogue", EPILOGUE_QUAD));
    scans(&mut add);
    let arg_reduce = base()
        .numbers("LENGTH INNER THREADS ROWS_PER_GROUP")
        .constant("PLACES", 2)
        .splice("epilogue", EPILOGUE_I32)
        .splice("reads", format!("{READS}fn better(a: f32, b: f32) -> bool {{ return a > b; }}"));
    add("arg_reduce.wgsl", "", arg_reduce);
    sorts(&mut add);
    writes(&mut add);
    blocks(&mut add);
    attentions(&mut add);
    all
}

fn loops(add: &mut Add<'_>) {
    let bindings = "
@group(0) @binding(0) var<uniform> turn: vec4<u32>;
@group(0) @binding(1) var<storage, read> list: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> arena: array<u32>;
@group(0) @binding(3) var<uniform> numbers: vec4<u32>;
";
    let base = || base().splice("bindings", bindings);
    add("keys.wgsl", "", base());
    let copy = "fn copy0(thread: u32) {
    let own = piece(thread, turn.x, 5u, 7u, 9u);
    if (own.mask == 0u) { return; }
    arena[own.place] = joined(own, list[own.second - 1u].x, list[own.second].x, arena[own.place]);
}";
    let parts = "    if (group < numbers.x) { copy0(group * WORKGROUP + thread); }";
    add("copy.wgsl", "", base().splice("copies", copy).splice("parts", parts));
}

fn scans(add: &mut Add<'_>) {
    let scan = || base().numbers("LENGTH INNER LINES CHUNK CHUNKS");
    add("scan.wgsl", "thread per line", scan());
    add("scan.wgsl", "reverse", scan().define("REVERSE"));
    let group = || scan().define("LINE_PER_GROUP");
    add("scan.wgsl", "group per line", group());
    let write = "fn write_partial(index: u32, value: f32) { b2[index] = value; }";
    let partial = group().define("PARTIAL").splice("reads", format!("{READS}{write}"));
    add("scan.wgsl", "sums of chunks", partial);
    let read = "fn read_partial(index: u32) -> f32 { return b1[index]; }";
    let chunked = group().define("CHUNKED").splice("reads", format!("{READS}{read}"));
    add("scan.wgsl", "chunks", chunked);
}

type Add<'a> = dyn FnMut(&'static str, &str, Options) + 'a;

fn rows(add: &mut Add<'_>) {
    let row = || {
        base()
            .numbers("ROWS COLUMNS ROWS_PER_GROUP THREADS CHUNKS CHUNK")
            .splice("combine", "")
            .splice(
            "program",
            "    for (var column = first_column + lane; column < end_column; column += THREADS) {
        if (alive) { b2[row * COLUMNS + column] = b0[row * COLUMNS + column]; }
    }",
        )
    };
    add("row.wgsl", "column fastest", row());
    add("row.wgsl", "row fastest", row().define("ROW_FASTEST"));
}

fn pools(add: &mut Add<'_>) {
    let reads = format!(
        "{READS}
fn greater(a: f32, b: f32) -> bool {{ return a > b; }}
fn lowest() -> f32 {{ return -gl_inf(); }}"
    );
    for (name, defines) in [
        ("max", &["WINNER"][..]),
        ("max scatter", &["WINNER", "SCATTER"]),
        ("max gather", &["WINNER", "GATHER"]),
        ("sum", &[]),
        ("sum scatter", &["SCATTER"]),
    ] {
        let options = windows(base()).splice("reads", reads.clone());
        let options = defines.iter().fold(options, |options, define| options.define(define));
        add("pool.wgsl", name, options);
    }
}

fn scatters(add: &mut Add<'_>) {
    let options = || {
        base().numbers("SIZE UPDATES INNER PADDED").splice(
            "reads",
            "fn read_index(index: u32) -> i32 { return i32(b3[index]); }
fn read_update(index: u32) -> f32 { return b0[index]; }
fn read_key(index: u32) -> u32 { return b3[index]; }
fn read_order(index: u32) -> u32 { return b3[index]; }",
        )
    };
    add("scatter_add.wgsl", "each looks at all", options());
    add("scatter_add.wgsl", "sorted", options().define("SORTED"));
    let partial = "fn write_partial(index: u32, value: f32) { b2[index] = value; }";
    let split = options().define("SPLIT").numbers("OUTPUTS CHUNK");
    add("scatter_add.wgsl", "split", split.splice("epilogue", partial));
}

fn sorts(add: &mut Add<'_>) {
    let sort = |capacity: u32| {
        base()
            .numbers("ROWS LENGTH INNER PADDED BLOCK K J")
            .constant("CAPACITY", capacity)
            .splice("epilogue", EPILOGUE_I32)
            .splice(
                "reads",
                "fn sort_key(element: u32) -> u32 { return bitcast<u32>(b0[element]); }
fn get_key(index: u32) -> u32 { return b3[index]; }
fn get_place(index: u32) -> u32 { return b3[index]; }
fn set_key(index: u32, value: u32) { b3[index] = value; }
fn set_place(index: u32, value: u32) { b3[index] = value; }",
            )
    };
    let blocks = |options: Options| options.define("IN_WORKGROUP");
    add("arg_sort.wgsl", "whole rows", blocks(sort(256)).define("SORT").define("WHOLE"));
    add("arg_sort.wgsl", "blocks", blocks(sort(64)).define("SORT"));
    add("arg_sort.wgsl", "merge", blocks(sort(64)).define("MERGE"));
    add("arg_sort.wgsl", "step", sort(64).define("STEP"));
    add("arg_sort.wgsl", "finish", sort(64).define("FINISH"));
}

fn writes(add: &mut Add<'_>) {
    let options = || {
        base()
            .numbers("SIZE PICKS INNER HEADS LENGTH WORDS")
            .constant("EACH", 2)
            .splice(
                "reads",
                format!("{READS}fn read_start(index: u32) -> i32 {{ return i32(b3[index]); }}"),
            )
            .splice("update", "fn update(index: u32) -> f32 { return b1[index]; }")
            .splice("store", "    b2[place] = value;")
    };
    let packed = || options().define("PACKED").splice("store", "    b2[word] = value0 + value1;");
    add("write.wgsl", "in place", options());
    add("write.wgsl", "copied", options().define("COPY"));
    add("write.wgsl", "words in place", packed());
    add("write.wgsl", "words copied", packed().define("COPY"));
}

/// Every format of blocks once, and products with several formats.
fn blocks(add: &mut Add<'_>) {
    const FORMATS: [&str; 10] =
        ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"];
    let sixteen = |part: usize, format: &str| {
        format!(
            "fn sixteen_{part}(group: u32, lane: u32, index: u32) -> Sixteen {{
    return gl_{format}({part}u, group * 1000u, lane, index);
}}
"
        )
    };
    let reads = "
fn read_word(part: u32, at: u32) -> u32 { return b3[at + part]; }
fn read_index(index: u32) -> i32 { return i32(b3[index]); }
fn lhs_quad(row: u32, quad: u32) -> vec4<f32> { return vec4<f32>(b0[row * 64u + quad]); }
";
    let rows = |format: &str| {
        base()
            .numbers("ROWS COLUMNS SIXTEENS")
            .splice("reads", format!("{reads}{}", sixteen(0, format)))
    };
    for format in FORMATS {
        add("dequantize.wgsl", format, rows(format));
        add("quantized_rows.wgsl", format, rows(format));
    }
    let parts = |formats: &[&str]| {
        let functions = formats.iter().enumerate().map(|(part, format)| sixteen(part, format));
        let options = base()
            .numbers("ROWS N K TILES_M")
            .constant("PARTS", formats.len() as u32)
            .splice("reads", format!("{reads}{}", functions.collect::<String>()));
        (0..formats.len()).fold(options, |options, part| {
            ["FIRST_GROUP", "PART_GROUPS", "FIRST_TILE", "PART_TILES", "FIRST_COLUMN"]
                .iter()
                .chain(&["PART_ROWS", "UNITS"])
                .fold(options, |options, name| options.numbers(&format!("{name}_{part}")))
                .constant(&format!("SIXTEENS_{part}"), 2)
        })
    };
    for formats in [&["q4_k"][..], &["q8_0", "q6_k", "q5_1"]] {
        let options = parts(formats).constant("M", 3).constant("SPLITS", 4);
        add("quantized_matmul_few.wgsl", &formats.join(" "), options);
        let tile = [("TILE_M", 32), ("TILE_N", 32), ("TILE_K", 16), ("EACH_M", 4), ("EACH_N", 4)];
        let options = parts(formats).constants(&tile);
        add("quantized_matmul.wgsl", &formats.join(" "), options);
    }
}

fn attentions(add: &mut Add<'_>) {
    let options = || {
        base()
            .numbers("ROWS GROUP QUERIES HEADS SHARED PAIRS SPLITS TILES CHUNKS")
            .constants(&[("FEATURES", 18), ("D4", 4), ("E4", 5), ("WIDTH", 5)])
            .splice(
                "reads",
                "
fn query_quad(b: u32, h: u32, t: u32, quad: u32) -> vec4<f32> { return vec4<f32>(b0[t + quad]); }
fn key_quad(b: u32, h: u32, s: u32, quad: u32) -> vec4<f32> { return vec4<f32>(b1[s + quad]); }
fn value_quad(b: u32, h: u32, s: u32, quad: u32) -> vec4<f32> { return vec4<f32>(b1[s - quad]); }
fn scale() -> f32 { return 0.5; }
fn first_position(batch: u32) -> i32 { return bitcast<i32>(b3[batch]); }
fn seen_begin(first: i32, query: u32) -> u32 { return u32(clamp(first, 0i, 9i)) + query; }
fn seen_end(first: i32, query: u32) -> u32 { return u32(clamp(first + 1i, 0i, 9i)) + query; }
fn masked(score: f32, b: u32, h: u32, t: u32, s: u32) -> f32 { return score + b0[s]; }
fn read_partial(index: u32) -> f32 { return b0[index]; }",
            )
    };
    let tile = options()
        .constants(&[("TILE_Q", 32), ("TILE_K", 16), ("EACH_Q", 4), ("EACH_K", 2)])
        .constants(&[("LANES", 2), ("OUT_Q", 4), ("EACH_E", 1), ("LANES_E", 8)]);
    add("attention.wgsl", "", tile.clone());
    add("attention.wgsl", "long", tile.clone().define("LONG"));
    let quads = |options: Options| options.define("QUADS").splice("epilogue", EPILOGUE_QUAD);
    add("attention.wgsl", "quads", quads(tile));
    let few = || {
        options()
            .constants(&[("M", 3), ("TILE_K", 32), ("LANES_D", 8), ("LANES", 16)])
            .constants(&[("LANES_E", 8), ("SLOTS", 8)])
    };
    add("attention_few.wgsl", "", few());
    add("attention_few.wgsl", "quads", quads(few()));
    let partial = "fn write_partial(index: u32, value: f32) { b2[index] = value; }";
    add("attention_few.wgsl", "split", few().define("SPLIT").splice("epilogue", partial));
    add("attention_combine.wgsl", "", options());
}
