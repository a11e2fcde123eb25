// Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
// the same bits as `gradloom_tensor::Key`, whose tests hold the published vectors.

fn gl_rotate(a: u32, count: u32) -> u32 {
    return (a << count) | (a >> (32u - count));
}

fn gl_threefry_four(x: vec2<u32>, r: vec4<u32>) -> vec2<u32> {
    var a = x.x;
    var b = x.y;
    a += b;
    b = gl_rotate(b, r.x) ^ a;
    a += b;
    b = gl_rotate(b, r.y) ^ a;
    a += b;
    b = gl_rotate(b, r.z) ^ a;
    a += b;
    b = gl_rotate(b, r.w) ^ a;
    return vec2<u32>(a, b);
}

// Two random words for a key and a counter.
fn gl_threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let third = 0x1BD11BDAu ^ key.x ^ key.y;
    let even = vec4<u32>(13u, 15u, 26u, 6u);
    let odd = vec4<u32>(17u, 29u, 16u, 24u);
    var x = counter + key;
    x = gl_threefry_four(x, even) + vec2<u32>(key.y, third + 1u);
    x = gl_threefry_four(x, odd) + vec2<u32>(third, key.x + 2u);
    x = gl_threefry_four(x, even) + vec2<u32>(key.x, key.y + 3u);
    x = gl_threefry_four(x, odd) + vec2<u32>(key.y, third + 4u);
    x = gl_threefry_four(x, even) + vec2<u32>(third, key.x + 5u);
    return x;
}
