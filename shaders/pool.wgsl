// Pooling and its transposes over windows of [planes, depth, height, width].
//
//   MAX:         out[p, od, oh, ow] = max of the window; padding never wins, NaN wins
//   MAX_SCATTER: out[p, z, y, x]    = sum of values[p, w] over windows w whose first maximum is (z, y, x)
//   MAX_GATHER:  out[p, od, oh, ow] = source at the first maximum of the window
//   SUM:         out[p, od, oh, ow] = sum of the window
//   SUM_SCATTER: out[p, z, y, x]    = sum of values[p, w] over windows w that cover (z, y, x)
//
// Grid: one thread per output element, folded by GRID_X.
// Limits: index arithmetic in 32 bits.
//
// Spliced: constants (COUNT, IN_*, OUT_*, KERNEL_*, STRIDE_*, PAD_*, DILATION_*; alias Value); bindings;
// reads (read0, read1, greater, lowest); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/long_sum.wgsl"
#import "shared/windows.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

// A window, by its place among the outputs.
struct Place {
    plane: u32,
    d: u32,
    h: u32,
    w: u32,
}

// The window of an output element.
fn output_place(index: u32) -> Place {
    return Place(
        index / (OUT_W * OUT_H * OUT_D),
        index / (OUT_W * OUT_H) % OUT_D,
        index / OUT_W % OUT_H,
        index % OUT_W,
    );
}

#ifdef WINNER
const NOWHERE: u32 = 0xffffffffu;

// The input element that is the first maximum of a window.
fn winner(window: Place) -> u32 {
    var best = NOWHERE;
    var best_value = lowest();
    for (var kd = 0u; kd < KERNEL_D; kd++) {
        let z = window.d * STRIDE_D + kd * DILATION_D;
        if (z < PAD_D || z - PAD_D >= IN_D) {
            continue;
        }
        for (var kh = 0u; kh < KERNEL_H; kh++) {
            let y = window.h * STRIDE_H + kh * DILATION_H;
            if (y < PAD_H || y - PAD_H >= IN_H) {
                continue;
            }
            let row = ((window.plane * IN_D + z - PAD_D) * IN_H + y - PAD_H) * IN_W;
            for (var kw = 0u; kw < KERNEL_W; kw++) {
                let x = window.w * STRIDE_W + kw * DILATION_W;
                if (x < PAD_W || x - PAD_W >= IN_W) {
                    continue;
                }
                let element = row + x - PAD_W;
                let value = read0(element);
                if (best == NOWHERE || greater(value, best_value)) {
                    best = element;
                    best_value = value;
                }
            }
        }
    }
    return best;
}
#endif

#ifdef SCATTER
// `index` is an input element; visits the windows that cover it in row-major order.
fn accumulate(index: u32) -> Value {
    let x = index % IN_W;
    let y = index / IN_W % IN_H;
    let z = index / (IN_W * IN_H) % IN_D;
    let plane = index / (IN_W * IN_H * IN_D);
    var sum = LongSum();
    for (var back_d = KERNEL_D; back_d > 0u; back_d--) {
        let od = gl_window(z, PAD_D, (back_d - 1u) * DILATION_D, STRIDE_D, OUT_D);
        if (od == OUT_D) {
            continue;
        }
        for (var back_h = KERNEL_H; back_h > 0u; back_h--) {
            let oh = gl_window(y, PAD_H, (back_h - 1u) * DILATION_H, STRIDE_H, OUT_H);
            if (oh == OUT_H) {
                continue;
            }
            for (var back_w = KERNEL_W; back_w > 0u; back_w--) {
                let ow = gl_window(x, PAD_W, (back_w - 1u) * DILATION_W, STRIDE_W, OUT_W);
                if (ow == OUT_W) {
                    continue;
                }
                let window = ((plane * OUT_D + od) * OUT_H + oh) * OUT_W + ow;
#ifdef WINNER
                if (winner(Place(plane, od, oh, ow)) == index) {
                    gl_add_term(&sum, read1(window));
                }
#else
                gl_add_term(&sum, read0(window));
#endif
            }
        }
    }
    return gl_total(&sum);
}
#else
fn accumulate(index: u32) -> Value {
    let window = output_place(index);
#ifdef WINNER
    let element = winner(window);
    if (element == NOWHERE) {
#ifdef GATHER
        return Value(0);
#else
        return lowest();
#endif
    }
#ifdef GATHER
    return read1(element);
#else
    return read0(element);
#endif
#else
    var sum = LongSum();
    for (var kd = 0u; kd < KERNEL_D; kd++) {
        let z = window.d * STRIDE_D + kd * DILATION_D;
        if (z < PAD_D || z - PAD_D >= IN_D) {
            continue;
        }
        for (var kh = 0u; kh < KERNEL_H; kh++) {
            let y = window.h * STRIDE_H + kh * DILATION_H;
            if (y < PAD_H || y - PAD_H >= IN_H) {
                continue;
            }
            let row = ((window.plane * IN_D + z - PAD_D) * IN_H + y - PAD_H) * IN_W;
            for (var kw = 0u; kw < KERNEL_W; kw++) {
                let x = window.w * STRIDE_W + kw * DILATION_W;
                if (x >= PAD_W && x - PAD_W < IN_W) {
                    gl_add_term(&sum, read0(row + x - PAD_W));
                }
            }
        }
    }
    return gl_total(&sum);
#endif
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    epilogue(index, accumulate(index));
}
