//! A decoder that writes one token after another: what it costs on a GPU, and that it computes what the
//! reference does.

use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{BlockFormat, DType, Device, Tensor, commit};

use crate::harness::{alone, backend, compare, devices, numbers};
use crate::translate;

const WIDTH: usize = 64;
const INNER: usize = 96;
const HEADS: usize = 4;
const SHARED: usize = 2;
const FEATURES: usize = 16;

fn floats(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).into_iter().map(|value| value as f32 * 0.5).collect()
}

/// A matrix in blocks, in different formats.
fn matrix(rows: usize, columns: usize, seed: u64, device: &Device) -> Tensor {
    let format = [BlockFormat::Q4_0, BlockFormat::Q8_0, BlockFormat::Q5_1][seed as usize % 3];
    let mut blocks = vec![0; rows * columns / format.elements() * format.bytes()];
    format.encode(&floats(rows * columns, seed), &mut blocks);
    Tensor::from_blocks(format, [rows, columns], &blocks, device).unwrap()
}

struct Layer {
    projections: Tensor,
    output: Tensor,
    gates: Tensor,
    down: Tensor,
    cache: [Tensor; 2],
}

impl Layer {
    fn new(seed: u64, capacity: usize, device: &Device) -> Layer {
        let join = |sizes: &[usize]| {
            let parts = sizes.iter().zip(seed..);
            let parts: Vec<Tensor> =
                parts.map(|(&rows, seed)| matrix(rows, WIDTH, seed, device)).collect();
            Tensor::concat(&parts.iter().collect::<Vec<&Tensor>>(), 0)
        };
        let empty = || {
            let shape = [1, SHARED, capacity, FEATURES];
            Tensor::from_vec(vec![0f32; shape.iter().product()], shape, device).unwrap()
        };
        Layer {
            projections: join(&[HEADS * FEATURES, SHARED * FEATURES, SHARED * FEATURES]),
            output: matrix(WIDTH, HEADS * FEATURES, seed + 3, device),
            gates: join(&[INNER, INNER]),
            down: matrix(WIDTH, INNER, seed + 5, device),
            cache: [empty(), empty()],
        }
    }

    fn forward(&mut self, x: &Tensor, start: &Tensor, angles: &[Tensor; 2]) -> Tensor {
        let turn = |x: Tensor, heads: usize| {
            let x = x.reshape([1, 1, heads, FEATURES]).transpose(1, 2);
            let halves = x.reshape([1, heads, 1, 2, FEATURES / 2]);
            (&halves * &angles[0] + halves.flip(-2) * &angles[1]).reshape(*x.shape())
        };
        let projected = x.rms_norm(None, 1e-5).matmul(&self.projections.t());
        let (queries, keys) = (HEADS * FEATURES, SHARED * FEATURES);
        let query = turn(projected.narrow(-1, 0, queries), HEADS);
        let key = turn(projected.narrow(-1, queries, keys), SHARED);
        let value = projected.narrow(-1, queries + keys, keys);
        let value = value.reshape([1, 1, SHARED, FEATURES]).transpose(1, 2);
        self.cache[0] = self.cache[0].write(2, start, &key);
        self.cache[1] = self.cache[1].write(2, start, &value);
        let options = AttentionOptions::default().causal(true).start(start);
        let mixed = Tensor::attention(&query, &self.cache[0], &self.cache[1], &options);
        let mixed = mixed.transpose(1, 2).flatten(2, 3);
        let x = x + mixed.matmul(&self.output.t());
        let both = x.rms_norm(None, 1e-5).matmul(&self.gates.t());
        let gated = both.narrow(-1, 0, INNER).silu() * both.narrow(-1, INNER, INNER);
        &x + gated.matmul(&self.down.t())
    }
}

/// Hidden states of some tokens, and from the fourth on: dispatches, plans and allocations of each.
fn decode(layers: usize, capacity: usize, device: &Device) -> (Vec<f64>, Vec<[u64; 3]>) {
    let mut model: Vec<Layer> =
        (0..layers).map(|layer| Layer::new(7 * layer as u64, capacity, device)).collect();
    let mut start = Tensor::from_vec(vec![0i32], [1], device).unwrap();
    let (mut states, mut costs) = (Vec::new(), Vec::new());
    for token in 0..6 {
        let mut x = Tensor::from_vec(floats(WIDTH, 50 + token), [1, 1, WIDTH], device).unwrap();
        let before = device.statistics();
        let place = start.check_index(capacity, "cache");
        let angle = start.cast(DType::F32).reshape([1, 1, 1, 1, 1])
            * Tensor::from_vec(floats(FEATURES / 2, 9), [FEATURES / 2], device).unwrap();
        let angles = [angle.cos(), angle.sin()];
        for layer in &mut model {
            x = layer.forward(&x, &place, &angles);
        }
        drop((place, angle, angles));
        start = &start + 1;
        let mut caches: Vec<&mut Tensor> =
            model.iter_mut().flat_map(|layer| &mut layer.cache).collect();
        commit((&mut x, &mut start, &mut caches)).unwrap();
        let after = device.statistics();
        states.extend(x.to_vec::<f32>().unwrap().into_iter().map(f64::from));
        if token > 2 {
            costs.push([
                after.kernels - before.kernels,
                after.plans - before.plans,
                after.system_allocations - before.system_allocations,
            ]);
        }
    }
    (states, costs)
}

#[test]
fn a_decoded_token_takes_few_dispatches_and_no_memory() {
    let _alone = alone();
    for device in devices() {
        // Long caches are divided among workgroups, whose results are joined.
        for (capacity, layer_max) in [(40, 11), (1200, 12)] {
            let (states, small) = decode(1, capacity, &device);
            let (_, large) = decode(3, capacity, &device);
            for (small, large) in small.iter().zip(&large) {
                let per_layer = (large[0] - small[0]) / 2;
                assert!(per_layer <= layer_max, "{per_layer} dispatches a layer");
                assert_eq!(large[1..], [0, 0], "a plan or memory for each token");
            }
            let (expected, _) = decode(1, capacity, &gradloom_testkit::reference::device());
            compare(&states, &expected, 1e-4, 0);
            translate::new_sources(backend(&device));
        }
    }
}
