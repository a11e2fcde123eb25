//! Sample text for the splice points of templates.

pub(crate) const BINDINGS: &str = "
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<u32>;
@group(0) @binding(4) var<uniform> words: array<vec4<u32>, 2>;
@group(0) @binding(5) var<storage, read_write> status: array<atomic<u32>, 4>;
@group(0) @binding(6) var<uniform> numbers: vec4<u32>;
";
pub(crate) const READS: &str = "
fn read0(index: u32) -> f32 { return b0[index]; }
fn read1(index: u32) -> f32 { return b1[index]; }
";
pub(crate) const EPILOGUE_F32: &str = "
fn epilogue(index: u32, accumulator: f32) { b2[index] = gl_relu(accumulator) + b1[index]; }
";
pub(crate) const EPILOGUE_QUAD: &str = "
fn epilogue_quad(index: u32, a: f32, b: f32, c: f32, d: f32) { b2[index] = (a + b) * (c + d); }
";
pub(crate) const EPILOGUE_I32: &str = "
fn epilogue(index: u32, accumulator: i32) { b3[index] = bitcast<u32>(accumulator); }
";
/// Statements that call every shared function of one or two floats, and some of all others.
pub(crate) fn every_function() -> String {
    let mut calls = String::new();
    for line in crate::FILES.iter().flat_map(|(_, text)| text.lines()) {
        let call = [("(a: f32) -> f32", "a"), ("(a: f32, b: f32) -> f32", "a, b")];
        for (signature, operands) in call {
            let named = line.strip_prefix("fn ").and_then(|rest| rest.split_once(signature));
            if let Some((name, _)) = named {
                calls += &format!("    y += {name}({operands});\n");
            }
        }
    }
    format!("    let a = b0[index];\n    let b = b1[index];\n    var y = 0.0f;\n{calls}{OTHERS}")
}

const OTHERS: &str = "
    y += gl_times_zero(a, 0.0f) + gl_by_zero(b, 0.0f) + gl_zero_by(0.0f, a);
    let i = gl_div_i32(gl_to_i32(a), gl_to_i32(b)) + gl_rem_i32(gl_to_i32(a), 7i);
    let u = gl_div_u32(gl_to_u32(a), gl_to_u8(b)) + gl_rem_u32(3u, gl_sign_u32(gl_to_u32(a)));
    let j = gl_left_shift_i32(i, 3i) + gl_right_shift_i32(i, 40i);
    let w = gl_left_shift_u32(u, 3u) + gl_right_shift_u32(u, 40u);
    gl_check(i + j, 100u, words[0].x);
    let random = gl_threefry(words[1].xy, vec2<u32>(index, 0u)).x;
    let flag = gl_xor(gl_is_nan(a), gl_is_inf(b));
    y += gl_load_f16(u, index) + gl_load_bf16(u, index) + f32(gl_load_byte(u, index));
    y += dot(gl_load_four_f16(u, u), gl_load_four_bf16(u, u)) + f32(gl_load_four_bytes(u).y);
    y += f32(gl_load_signed_byte(u, index) + gl_load_four_signed_bytes(u).z);
    b2[index] = select(y, f32(i), flag);
    b3[index] = u + w + random;
";
