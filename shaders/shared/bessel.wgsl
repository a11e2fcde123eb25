// Modified Bessel functions of the first kind, of orders zero and one: e^-|a| times them varies little,
// and is a polynomial near zero and one of the reciprocal elsewhere.

fn gl_i0e(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let y = abs(a);
    if (y < 8.0) {
        let t = fma(0.25, y, -1.0);
        var p = 3.032639706e-4;
        p = fma(p, t, -8.349087974e-4);
        p = fma(p, t, 6.108641861e-4);
        p = fma(p, t, -8.255578833e-4);
        p = fma(p, t, 0.003809646584);
        p = fma(p, t, -0.007898231339);
        p = fma(p, t, 0.01190451821);
        p = fma(p, t, -0.01896506443);
        p = fma(p, t, 0.03016254112);
        p = fma(p, t, -0.04326309819);
        p = fma(p, t, 0.05679269438);
        p = fma(p, t, -0.06947901024);
        p = fma(p, t, 0.07927092364);
        p = fma(p, t, -0.08497086887);
        p = fma(p, t, 0.08734390805);
        p = fma(p, t, -0.08904303505);
        p = fma(p, t, 0.09451560871);
        p = fma(p, t, -0.1130043333);
        p = fma(p, t, 0.2070019213);
        return p;
    }
    if (gl_is_inf(a)) {
        return 0.0;
    }
    let t = 16.0 / y - 1.0;
    var p = 3.699941407e-7;
    p = fma(p, t, 1.638627267e-6);
    p = fma(p, t, 1.110288326e-5);
    p = fma(p, t, 1.361565293e-4);
    p = fma(p, t, 0.00336055807);
    p = fma(p, t, 0.4021765128);
    return p * gl_rsqrt(y);
}

fn gl_i1e(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let y = abs(a);
    if (y < 8.0) {
        let t = fma(0.25, y, -1.0);
        var p = 2.273839700e-4;
        p = fma(p, t, -6.915960058e-4);
        p = fma(p, t, 7.176653720e-4);
        p = fma(p, t, -9.116489680e-4);
        p = fma(p, t, 0.002888483461);
        p = fma(p, t, -0.006089880906);
        p = fma(p, t, 0.009744733932);
        p = fma(p, t, -0.01530246888);
        p = fma(p, t, 0.02359748826);
        p = fma(p, t, -0.03374257227);
        p = fma(p, t, 0.04469821289);
        p = fma(p, t, -0.05527043419);
        p = fma(p, t, 0.06376449345);
        p = fma(p, t, -0.06848315765);
        p = fma(p, t, 0.0680577301);
        p = fma(p, t, -0.06112432949);
        p = fma(p, t, 0.04468770896);
        return p * a;
    }
    if (gl_is_inf(a)) {
        return 0.0;
    }
    let t = 16.0 / y - 1.0;
    var p = -4.314151121e-7;
    p = fma(p, t, -2.009115743e-6);
    p = fma(p, t, -1.499088509e-5);
    p = fma(p, t, -2.191687525e-4);
    p = fma(p, t, -0.009749584694);
    p = fma(p, t, 0.3893984553);
    return select(p, -p, a < 0.0) * gl_rsqrt(y);
}

// e^|a| times a scaled function, in two factors since the power overflows first.
fn gl_unscaled(a: f32, scaled: f32) -> f32 {
    let root = gl_exp(0.5 * min(abs(a), 100.0));
    return select((scaled * root) * root, gl_inf(), abs(a) > 95.0);
}

fn gl_i0(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    return gl_unscaled(a, gl_i0e(a));
}

fn gl_i1(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let value = gl_unscaled(a, abs(gl_i1e(a)));
    return select(value, -value, a < 0.0);
}
