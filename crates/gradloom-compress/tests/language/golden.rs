//! Golden data, made by `golden/make_golden.py`.

use gradloom_compress::language::compressed_tensors::Export;
use gradloom_compress::language::gptq::Gptq;
use gradloom_compress::language::hqq::Hqq;
use gradloom_compress::language::{
    InputStatistics, Matrix, Method, QuantizedMatrix, Scheme, Selection, awq, quantize, rounding,
    smooth,
};
use gradloom_cpu::device;
use gradloom_nn::Init;
use gradloom_nn::layers::Linear;
use gradloom_tensor::Key;
use gradloom_weights::Checkpoint;

pub(crate) struct Golden(Checkpoint);

impl Golden {
    pub(crate) fn open() -> Golden {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language/golden/golden.safetensors");
        Golden(Checkpoint::open(path).unwrap())
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.0.tensor(name, &device()).unwrap().to_vec::<f32>().unwrap()
    }

    pub(crate) fn matrix(&self, name: &str) -> Matrix {
        let shape = &self.0.entry(name).unwrap().shape;
        Matrix::new([shape[0], shape[1]], self.values(name))
    }

    pub(crate) fn inputs(&self) -> InputStatistics {
        let mut inputs = InputStatistics::new(64, true);
        inputs.add(&self.values("x")).unwrap();
        inputs
    }
}

const SCHEMES: [(u32, usize, bool); 4] =
    [(4, 32, true), (3, 64, false), (8, 64, true), (2, 32, false)];

fn scheme((bits, group, symmetric): (u32, usize, bool)) -> (Scheme, String) {
    let scheme = Scheme::new(bits).group(group);
    let scheme = if symmetric { scheme } else { scheme.asymmetric() };
    (scheme, format!("{bits}.{group}.{}", if symmetric { "symmetric" } else { "asymmetric" }))
}

/// The largest difference, as a part of the largest number.
fn off(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let off = found.iter().zip(expected).fold(0.0f32, |off, (a, b)| off.max((a - b).abs()));
    off / largest
}

#[test]
fn round_to_nearest_equals_compressed_tensors() {
    let golden = Golden::open();
    let weight = golden.matrix("weight");
    for (scheme, name) in SCHEMES.map(scheme) {
        let found = rounding::quantize(&weight, scheme).unwrap();
        let off = off(found.dequantize().values(), &golden.values(&format!("nearest.{name}")));
        assert!(off < 1e-6, "{name}: {off}");
    }
}

#[test]
fn packed_words_equal_those_of_compressed_tensors() {
    let golden = Golden::open();
    let device = device();
    let mut layer = Linear::new(64, 12, &mut Init::new(Key::new(0), &device)).without_bias();
    layer.weight.set(&golden.matrix("weight").to_tensor(false, &device).unwrap());
    let layer = vec![layer];
    for (scheme, name) in SCHEMES.map(scheme) {
        let method = Method::Nearest(scheme);
        let weights = quantize(&layer, &method, None, Selection::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Export::new("{}").unwrap().save(&layer, &weights, folder.path()).unwrap();
        let written = Checkpoint::open(folder.path()).unwrap();
        let words = |checkpoint: &Checkpoint, name: &str| {
            checkpoint.tensor(name, &device).unwrap().to_vec::<i32>().unwrap()
        };
        let expected = words(&golden.0, &format!("packed.{name}"));
        assert_eq!(words(&written, "0.weight_packed"), expected, "{name}");
        if !scheme.is_symmetric() {
            let expected = words(&golden.0, &format!("packed_zero.{name}"));
            assert_eq!(words(&written, "0.weight_zero_point"), expected, "{name}");
        }
    }
}

/// The three orders of columns that the script has.
fn orders(scheme: Scheme) -> [(&'static str, Gptq); 3] {
    let gptq = Gptq::new(scheme);
    [("plain", gptq), ("order", gptq.by_activation()), ("static", gptq.by_activation_static())]
}

/// What gptqmodel's own program makes of the same weight and inputs, from `golden/make_gptqmodel.py`.
fn gptqmodel(name: &str) -> Matrix {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language/golden/gptqmodel.safetensors");
    Golden(Checkpoint::open(path).unwrap()).matrix(name)
}

#[test]
fn gptq_loses_no_more_than_the_paper_gptqmodel_and_rounding() {
    let golden = Golden::open();
    let (weight, inputs) = (golden.matrix("weight"), golden.inputs());
    for (scheme, name) in SCHEMES.map(scheme) {
        let error = |matrix: &Matrix| inputs.error(&weight, matrix);
        let nearest = error(&rounding::quantize(&weight, scheme).unwrap().dequantize());
        for (kind, gptq) in orders(scheme) {
            let found = gptq.quantize(&weight, &inputs).unwrap().dequantize();
            let paper = golden.matrix(&format!("gptq.{kind}.{name}"));
            let program = gptqmodel(&format!("{kind}.{name}"));
            // A weight that lies between two points may go either way in the last bit of its float, and those after
            // it then follow another course: rows agree with one of the two or are as good.
            let rows = found.rows().zip(paper.rows()).zip(program.rows());
            let agree =
                rows.filter(|((row, a), b)| off(row, a) < 1e-4 || off(row, b) < 1e-4).count();
            assert!(agree >= 11, "{kind} {name}: {agree} of 12 rows agree");
            let (ours, paper, program) = (error(&found), error(&paper), error(&program));
            assert!(
                ours <= paper.min(program) * 1.001 && ours < 0.9 * nearest,
                "{kind} {name}: {ours}, paper {paper}, gptqmodel {program}, nearest {nearest}"
            );
        }
    }
}

#[test]
fn awq_finds_the_reference_scales_and_ranges() {
    let golden = Golden::open();
    let (weight, inputs) = (golden.matrix("weight"), golden.inputs());
    let scheme = Scheme::new(3).group(32).asymmetric();
    let found = awq::search_scales(&[&weight], &inputs, scheme).unwrap();
    assert!((found.exponent - f64::from(golden.values("awq.exponent")[0])).abs() < 1e-6);
    assert!(off(&found.scales, &golden.values("awq.scales")) < 1e-5);
    assert!(found.error < found.error_before && found.exponent > 0.0, "{found:?}");
    let clipped = awq::quantize_clipped(&weight, &inputs, scheme).unwrap().dequantize();
    let expected = golden.matrix("awq.clipped");
    assert!(off(clipped.values(), expected.values()) < 1e-5);
}

#[test]
fn smoothing_divides_the_hard_part_between_inputs_and_weights() {
    let golden = Golden::open();
    let found = smooth::scales(&[&golden.matrix("weight")], &golden.inputs(), 0.5).unwrap();
    assert!(off(&found, &golden.values("smooth.scales")) < 1e-5);
}

#[test]
fn hqq_is_at_least_as_good_as_the_library() {
    let golden = Golden::open();
    let weight = golden.matrix("weight");
    let scheme = Scheme::new(2).group(32).asymmetric();
    let error = |of: &[f32]| -> f64 {
        of.iter().zip(weight.values()).map(|(a, b)| f64::from((a - b).abs()).powf(0.7)).sum()
    };
    let found = Hqq::new(scheme).quantize(&weight).unwrap().dequantize();
    let (ours, theirs) = (error(found.values()), error(&golden.values("hqq.2")));
    let nearest = error(rounding::quantize(&weight, scheme).unwrap().dequantize().values());
    assert!(ours <= theirs * 1.0001 && ours < nearest, "{ours} {theirs} {nearest}");
    // Zeros that are integers still make a matrix that formats can store.
    let whole = Hqq::new(scheme).whole_zeros().quantize(&weight).unwrap();
    assert!(whole.zeros().iter().all(|zero| zero.fract() == 0.0 && (0.0..=3.0).contains(zero)));
}

#[test]
fn blocks_stand_for_the_same_numbers() {
    let golden = Golden::open();
    let weight = golden.matrix("weight");
    let device = device();
    for (scheme, exact) in [
        (Scheme::new(4).group(32), true),
        (Scheme::new(4).group(64).asymmetric(), true),
        (Scheme::new(8).group(64), true),
        (Scheme::new(3).group(32), false),
    ] {
        let matrix: QuantizedMatrix = rounding::quantize(&weight, scheme).unwrap();
        assert_eq!(matrix.block_format().is_some(), exact, "{scheme}");
        if !exact {
            assert!(matrix.to_blocks(&device).unwrap_err().to_string().contains("no block format"));
            continue;
        }
        let format = matrix.block_format().unwrap();
        let blocks = matrix.to_blocks(&device).unwrap().to_blocks().unwrap().unwrap();
        let mut values = vec![0.0; weight.values().len()];
        format.decode(&blocks, &mut values);
        // Scales are rounded to 11 bits.
        assert!(off(&values, matrix.dequantize().values()) < 1e-3, "{scheme}");
    }
}
