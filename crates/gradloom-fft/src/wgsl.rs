//! The shaders: one workgroup for each line that its memory holds, any length, after Stockham; and
//! multiplications with powers of a root of one.

use std::fmt::Write;

use gradloom_tensor::custom_op::Wgsl;

/// Pairs that the 16 KiB hold which every device has for a workgroup.
pub(crate) const LINE_MAX: usize = 2048;

/// `turned(a, n)`: `exp(2 pi i a / n)` for `a < n < 2^28`. Whole eighths of the circle are taken by integers,
/// so that the series are of angles up to pi / 4.
const TURNED: &str = "
fn turned(a: u32, n: u32) -> vec2<f32> {
    let octant = 8u * a / n;
    let part = 8u * a - octant * n;
    let t = f32(select(part, n - part, (octant & 1u) == 1u)) / f32(n) * 0.785398163397448;
    let q = t * t;
    let s = t * (1.0 + q * (-0.16666667 + q * (0.0083333333 + q * (-0.00019841270 + q * 0.0000027557319))));
    let c = 1.0 + q * (-0.5 + q * (0.041666667 + q * (-0.0013888889 + q * (0.000024801587 - q * 2.7557319e-7))));
    let steep = octant == 1u || octant == 2u || octant == 5u || octant == 6u;
    let at = select(vec2<f32>(c, s), vec2<f32>(s, c), steep);
    let left = octant >= 2u && octant < 6u;
    let below = octant >= 4u;
    return vec2<f32>(select(at.x, -at.x, left), select(at.y, -at.y, below));
}

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
";

/// The factors of a length, fours before twos.
fn radices(mut n: usize) -> Vec<usize> {
    let mut radices = Vec::new();
    for radix in std::iter::once(4).chain(2..) {
        while n > 1 && n.is_multiple_of(radix) {
            radices.push(radix);
            n /= radix;
        }
        if n <= 1 {
            break;
        }
    }
    radices
}

/// Transforms of so many lines of `n` pairs; `None` if a line is too long.
pub(crate) fn line(n: usize, lines: usize, inverse: bool, factor: f64) -> Option<Wgsl> {
    if n == 0 || n > LINE_MAX {
        return None;
    }
    let threads = if n <= 256 { 64 } else { 256 };
    let own = n.div_ceil(threads);
    let sign = if inverse { "" } else { "-" };
    let mut source = format!(
        "{TURNED}
var<workgroup> line: array<vec2<f32>, {n}>;

fn group(index: u32, thread: u32) {{
    let first = index * {n}u;
    var own: array<vec2<f32>, {own}>;
    for (var k = thread; k < {n}u; k += {threads}u) {{
        line[k] = vec2<f32>(read0(2u * (first + k)), read0(2u * (first + k) + 1u));
    }}
    workgroupBarrier();
"
    );
    // Of each of `l` done, `p` are put together: line `j` of the result is made of lines `j + s * m`.
    let mut l = 1;
    for p in radices(n) {
        let lp = l * p;
        let m = n / lp;
        let _ = write!(
            source,
            "    for (var e = 0u; e < {own}u; e++) {{
        let k = min(thread + e * {threads}u, {last}u);
        let u = k % {lp}u;
        let begin = k / {lp}u * {l}u + u % {l}u;
        var sum = vec2<f32>(0.0);
        for (var s = 0u; s < {p}u; s++) {{
            let w = turned(s * u * {m}u % {n}u, {n}u);
            sum += times(line[begin + s * {step}u], vec2<f32>(w.x, {sign}w.y));
        }}
        own[e] = sum;
    }}
    workgroupBarrier();
    for (var e = 0u; e < {own}u; e++) {{
        let k = thread + e * {threads}u;
        if (k < {n}u) {{ line[k] = own[e]; }}
    }}
    workgroupBarrier();
",
            last = n - 1,
            step = m * l,
        );
        l = lp;
    }
    let _ = write!(
        source,
        "    for (var k = thread; k < {n}u; k += {threads}u) {{
        write0(2u * (first + k), line[k].x * {factor:?});
        write0(2u * (first + k) + 1u, line[k].y * {factor:?});
    }}
}}
",
        factor = factor as f32,
    );
    Some(Wgsl::workgroups(source, lines, threads as u32))
}

/// Each of `count` pairs times `exp(+-2 pi i e / n)`, with `e` an expression of `row` and `column`: the places
/// of the pair in matrices of `[rows, columns]`.
pub(crate) fn turn(
    count: usize,
    [rows, columns]: [usize; 2],
    exponent: &str,
    n: usize,
    inverse: bool,
) -> Option<Wgsl> {
    if n >= 1 << 28 {
        return None;
    }
    let sign = if inverse { "" } else { "-" };
    let source = format!(
        "{TURNED}
// a * b modulo n, for a and b below n < 2^28.
fn product(a: u32, b: u32, n: u32) -> u32 {{
    var result = 0u;
    for (var bit = 0u; bit < 28u; bit++) {{
        result = (result * 2u) % n;
        if (((b >> (27u - bit)) & 1u) == 1u) {{ result = (result + a) % n; }}
    }}
    return result;
}}

fn element(index: u32) {{
    let column = index % {columns}u;
    let row = index / {columns}u % {rows}u;
    let w = turned({exponent}, {n}u);
    let z = times(vec2<f32>(read0(2u * index), read0(2u * index + 1u)), vec2<f32>(w.x, {sign}w.y));
    write0(2u * index, z.x);
    write0(2u * index + 1u, z.y);
}}
"
    );
    Some(Wgsl::elements(source, count))
}
