// Where windows lie along an axis, for pooling and convolution.

// The window of which the element at distance `reach` from its start lies at `place`; `count`, the number
// of windows, if there is none.
fn gl_window(place: u32, padding: u32, reach: u32, stride: u32, count: u32) -> u32 {
    if (place + padding < reach || (place + padding - reach) % stride != 0u) {
        return count;
    }
    return min((place + padding - reach) / stride, count);
}
