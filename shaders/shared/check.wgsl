// Index checks: the first failure of an evaluation is kept in `status`, which a kernel with checks
// binds as `array<atomic<u32>, 4>`: taken, site, value, size. The host reads it before the evaluation goes
// on.

// Fails the evaluation if `value` is outside 0..size. `site` is the number of the node that asks.
fn gl_check(value: i32, size: u32, site: u32) {
    if (bitcast<u32>(value) >= size) {
        let before = atomicMax(&status[0], 1u);
        if (before == 0u) {
            atomicStore(&status[1], site);
            atomicStore(&status[2], bitcast<u32>(value));
            atomicStore(&status[3], size);
        }
    }
}
