// Index checks: the first failure of an evaluation is kept in `status`, which a kernel with checks
// binds as `array<atomic<u32>, 4>`: taken, evaluation, site, value. The host reads it when values are
// downloaded.

// Fails the evaluation if `value` is outside 0..size. `evaluation` names the host's table of sites.
fn gl_check(value: i32, size: u32, evaluation: u32, site: u32) {
    if (bitcast<u32>(value) >= size) {
        let before = atomicMax(&status[0], 1u);
        if (before == 0u) {
            atomicStore(&status[1], evaluation);
            atomicStore(&status[2], site);
            atomicStore(&status[3], bitcast<u32>(value));
        }
    }
}
