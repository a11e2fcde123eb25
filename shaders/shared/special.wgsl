// Error functions, and the logarithm of the gamma function with its derivatives, in f32.

// Two minimax polynomials: of erf(a) / a near zero, of ln(1 - erf(|a|)) elsewhere (N. Juffa).
fn gl_erf(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let t = min(abs(a), 4.0);
    let s = t * t;
    if (t <= 0.927734375) {
        var p = -5.96761703e-4;
        p = fma(p, s, 4.99119423e-3);
        p = fma(p, s, -2.67681349e-2);
        p = fma(p, s, 1.12819925e-1);
        p = fma(p, s, -3.76125336e-1);
        p = fma(p, s, 1.28379166e-1);
        return fma(p, a, a);
    }
    var q = fma(-1.72853470e-5, t, 3.83197126e-4);
    q = fma(q, s, fma(-3.88396438e-3, t, 2.42546219e-2));
    q = fma(q, t, -1.06777877e-1);
    q = fma(q, t, -6.34846687e-1);
    q = fma(q, t, -1.28717512e-1);
    q = fma(q, t, -t);
    let y = 1.0 - gl_exp(q);
    return select(y, -y, a < 0.0);
}

// e^(y^2) (1 - erf(y)) of positive numbers; times 1 + 2 y it varies little.
fn gl_erfcx_positive(a: f32) -> f32 {
    let y = min(a, 1.0e30);
    let q = (y - 4.0) / (y + 4.0);
    var p = -7.849894037e-6;
    p = fma(p, q, 1.141099506e-4);
    p = fma(p, q, -2.228689076e-4);
    p = fma(p, q, -7.088496891e-4);
    p = fma(p, q, 0.005050227991);
    p = fma(p, q, -0.01623069467);
    p = fma(p, q, 0.03715974207);
    p = fma(p, q, -0.06631889727);
    p = fma(p, q, 0.09373456063);
    p = fma(p, q, -0.1010409722);
    p = fma(p, q, 0.06809688366);
    p = fma(p, q, 0.01537977108);
    p = fma(p, q, -0.1396211119);
    p = fma(p, q, 1.232995117);
    return p / fma(2.0, a, 1.0);
}

// e^(sign y^2), of which the square is taken in two pieces.
fn gl_exp_square(y: f32, sign: f32) -> f32 {
    let high = gl_high(y);
    let rest = (y - high) * (y + high);
    return gl_exp(sign * gl_keep(high * high)) * gl_exp(sign * rest);
}

fn gl_erfc(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let y = min(abs(a), 11.0);
    let value = gl_erfcx_positive(y) * gl_exp_square(y, -1.0);
    return select(value, 2.0 - value, a < 0.0);
}

fn gl_erfcx(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let y = abs(a);
    if (a >= 0.0) {
        return select(gl_erfcx_positive(y), 0.0, gl_is_inf(a));
    }
    if (y > 9.4) {
        return gl_inf();
    }
    return 2.0 * gl_exp_square(y, 1.0) - gl_erfcx_positive(y);
}

// From the logarithm of 1 - a^2 (M. Giles).
fn gl_erfinv(a: f32) -> f32 {
    let x = abs(a);
    if (gl_is_nan(a) || x > 1.0) {
        return gl_nan();
    }
    if (x == 1.0) {
        return select(gl_inf(), -gl_inf(), a < 0.0);
    }
    var w = -gl_log1p(-x * x);
    if (x > 0.5) {
        w = -gl_log((1.0 - x) * (1.0 + x));
    }
    if (w < 5.0) {
        let t = w - 2.5;
        var p = -8.791056477e-9;
        p = fma(p, t, 2.323264429e-8);
        p = fma(p, t, 4.661706640e-7);
        p = fma(p, t, -3.462704759e-6);
        p = fma(p, t, -4.963347855e-6);
        p = fma(p, t, 2.183444394e-4);
        p = fma(p, t, -0.001252741878);
        p = fma(p, t, -0.004177386781);
        p = fma(p, t, 0.2466402862);
        p = fma(p, t, 1.501409359);
        return p * a;
    }
    let t = sqrt(w) - 3.0;
    var p = 1.275362805e-4;
    p = fma(p, t, -3.180410813e-4);
    p = fma(p, t, -7.438070549e-5);
    p = fma(p, t, 0.001495077901);
    p = fma(p, t, -0.003588184432);
    p = fma(p, t, 0.005683432169);
    p = fma(p, t, -0.007639169863);
    p = fma(p, t, 0.00944565966);
    p = fma(p, t, 1.001675074);
    p = fma(p, t, 2.832976796);
    return p * a;
}

// sin(pi r) for |r| <= 1/2.
fn gl_sin_turn(r: f32) -> f32 {
    let x = abs(r);
    let near = gl_sin_polynomial(3.14159274 * x);
    let y = select(gl_cos_polynomial(3.14159274 * (0.5 - x)), near, x <= 0.25);
    return select(y, -y, r < 0.0);
}

// cos(pi r) for |r| <= 1/2.
fn gl_cos_turn(r: f32) -> f32 {
    let x = abs(r);
    let far = gl_sin_polynomial(3.14159274 * (0.5 - x));
    return select(far, gl_cos_polynomial(3.14159274 * x), x <= 0.25);
}

// ln(gamma(2 + e)) for |e| <= 1/2.
fn gl_lgamma_about_two(e: f32) -> f32 {
    var p = 2.609533950e-5;
    p = fma(p, e, -5.274382775e-5);
    p = fma(p, e, 9.706291505e-5);
    p = fma(p, e, -2.208969527e-4);
    p = fma(p, e, 5.101426109e-4);
    p = fma(p, e, -0.001193048769);
    p = fma(p, e, 0.00289046562);
    p = fma(p, e, -0.007385533792);
    p = fma(p, e, 0.02058081023);
    p = fma(p, e, -0.06735230142);
    p = fma(p, e, 0.3224670334);
    p = fma(p, e, 0.4227843351);
    return p * e;
}

// Of positive finite numbers: a series about two where steps lead there, else Stirling's.
fn gl_lgamma_positive(y: f32) -> f32 {
    if (y < 0.5) {
        return (gl_lgamma_about_two(y) - gl_log1p(y)) - gl_log(y);
    }
    if (y < 1.5) {
        return gl_lgamma_about_two(y - 1.0) - gl_log1p(y - 1.0);
    }
    if (y < 8.0) {
        var z = y;
        var product = 1.0;
        for (var step = 0u; step < 6u && z >= 2.5; step++) {
            z = z - 1.0;
            product = product * z;
        }
        return gl_log(product) + gl_lgamma_about_two(z - 2.0);
    }
    let s = 1.0 / y;
    let series = s * fma(s * s, -0.00277777778, 0.0833333333);
    return fma(y - 0.5, gl_log(y) - 1.0, 0.418938533 + series);
}

fn gl_lgamma(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (gl_is_inf(a) || a == 0.0) {
        return gl_inf();
    }
    let y = abs(a);
    if (a > 0.0) {
        return gl_lgamma_positive(y);
    }
    if (y < 1.0e-7) {
        return -gl_log(y);
    }
    let r = y - round(y);
    if (r == 0.0) {
        return gl_inf();
    }
    // gamma(-y) is -pi / (y sin(pi y) gamma(y)).
    return gl_log(3.14159274 / (y * abs(gl_sin_turn(r)))) - gl_lgamma_positive(y);
}

// Of positive numbers: a series about its zero where steps lead there, else the asymptotic one.
fn gl_digamma_positive(y: f32) -> f32 {
    if (y >= 8.0) {
        let s = 1.0 / y;
        let square = s * s;
        let series = fma(square, fma(square, -0.00396825397, 0.00833333333), -0.0833333333);
        return gl_log(y) + fma(series, square, -0.5 * s);
    }
    var z = y;
    var sum = 0.0;
    if (y < 1.0) {
        sum = -1.0 / y;
        z = y + 1.0;
    }
    for (var step = 0u; step < 7u && z >= 2.0; step++) {
        z = z - 1.0;
        sum = sum + 1.0 / z;
    }
    // The zero in two pieces.
    let distance = gl_keep(z - 1.4616321325302124) - 1.243814984e-8;
    let e = z - 1.5;
    var p = 0.01111810775;
    p = fma(p, e, -0.01638408469);
    p = fma(p, e, 0.01698074942);
    p = fma(p, e, -0.0257810172);
    p = fma(p, e, 0.04087926317);
    p = fma(p, e, -0.06205707542);
    p = fma(p, e, 0.09498208983);
    p = fma(p, e, -0.1483987858);
    p = fma(p, e, 0.2405426155);
    p = fma(p, e, -0.4236274989);
    p = fma(p, e, 0.9510558756);
    return fma(p, distance, sum);
}

fn gl_digamma(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (a == 0.0) {
        return gl_bits((~bitcast<u32>(a) & 0x80000000u) | 0x7f800000u);
    }
    let y = abs(a);
    if (a > 0.0) {
        return select(gl_digamma_positive(y), a, gl_is_inf(a));
    }
    if (gl_is_inf(a)) {
        return gl_nan();
    }
    if (y < 1.0e-7) {
        return 1.0 / y;
    }
    let r = y - round(y);
    if (r == 0.0) {
        return gl_nan();
    }
    // digamma(-y) is digamma(y) + 1 / y + pi cot(pi y).
    let turn = 3.14159274 * gl_cos_turn(r) / gl_sin_turn(r);
    return (gl_digamma_positive(y) + 1.0 / y) + turn;
}

// Of positive finite numbers: steps that lead up to the asymptotic series.
fn gl_trigamma_positive(y: f32) -> f32 {
    var z = y;
    var sum = 0.0;
    for (var step = 0u; step < 6u && z < 6.0; step++) {
        sum = sum + 1.0 / (z * z);
        z = z + 1.0;
    }
    let s = 1.0 / z;
    let square = s * s;
    let series = fma(square, fma(square, 0.0238095238, -0.0333333333), 0.166666667);
    return sum + s * fma(square, series, fma(0.5, s, 1.0));
}

fn gl_trigamma(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let y = abs(a);
    if (gl_is_inf(a)) {
        return select(0.0, gl_nan(), a < 0.0);
    }
    if (y < 1.0e-10) {
        // A driver may flush the square of less to zero.
        return select(1.0 / (y * y), gl_inf(), y < 1.0e-19);
    }
    if (a > 0.0) {
        return gl_trigamma_positive(y);
    }
    let r = y - round(y);
    if (r == 0.0) {
        return gl_inf();
    }
    // trigamma(-y) is (pi / sin(pi y))^2 - trigamma(y) + 1 / y^2.
    let slope = 3.14159274 / gl_sin_turn(r);
    return fma(slope, slope, 1.0 / (y * y) - gl_trigamma_positive(y));
}
