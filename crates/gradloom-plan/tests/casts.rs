//! Products and convolutions that cast their operands as they read them, where a device has that.

use gradloom_autodiff::grad;
use gradloom_plan::{Kernel, KernelKind, Limits, Plan, Planner};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Device, Op, Retention, Tensor};
use gradloom_testkit::reference;

const HALF: DType = DType::BF16;

fn leaf(shape: &[usize], device: &Device) -> Tensor {
    let count = shape.iter().product();
    let values = (0..count).map(|index| index as f32 * 0.01).collect();
    Tensor::from_vec(values, shape, device).unwrap()
}

/// The plan of some roots on a device that casts as it reads, and the ops of all nodes.
fn plan(roots: &[&Tensor]) -> (Plan, Vec<Op>) {
    let planner = Planner::new(Limits { casts_on_read: true, ..Limits::default() });
    let roots: Vec<Tensor> = roots.iter().map(|&root| root.clone()).collect();
    let prepared = planner.prepare(&roots, Retention::Release).unwrap();
    let ops = prepared.nodes.iter().map(|node| node.op().clone()).collect();
    (Plan::clone(&prepared.plan), ops)
}

/// Kernels that are nothing but copies of a cast.
fn copies(plan: &Plan) -> Vec<&Kernel> {
    let is_copy = |kernel: &&Kernel| {
        kernel.kind == KernelKind::Map && kernel.outputs.iter().all(|output| output.dtype == HALF)
    };
    plan.kernels.iter().filter(is_copy).collect()
}

#[test]
fn a_product_of_casts_is_one_kernel_that_reads_what_is_stored() {
    let device = reference::device();
    let (x, w) = (leaf(&[6, 8], &device), leaf(&[5, 8], &device));
    let y = x.cast(HALF).matmul(&w.cast(HALF).t()).relu();
    let (plan, ops) = plan(&[&y]);
    let [kernel] = &plan.kernels[..] else { panic!("{plan}") };
    assert!(kernel.inputs.iter().all(|input| input.dtype == DType::F32), "{plan}");
    let factors = kernel.kind.factors().expect("a product");
    assert_eq!(factors.dtype, HALF);
    assert!(factors.casts.iter().all(|cast| matches!(ops[cast.unwrap().node], Op::Cast)), "{plan}");
    assert_eq!(kernel.bytes(), (6 * 8 + 5 * 8) * 4 + 6 * 5 * 2);
    assert!(plan.to_string().contains("in0:f32->bf16"), "{plan}");
}

#[test]
fn devices_without_such_products_store_casts() {
    let device = reference::device();
    let (x, w) = (leaf(&[6, 8], &device), leaf(&[8, 5], &device));
    let y = x.cast(HALF).matmul(&w.cast(HALF));
    let prepared = Planner::default().prepare(&[y], Retention::Release).unwrap();
    assert_eq!(copies(&prepared.plan).len(), 2, "{}", prepared.plan);
}

#[test]
fn views_before_and_after_a_cast_are_strides() {
    let device = reference::device();
    let (x, w) = (leaf(&[3, 8, 6], &device), leaf(&[5, 8], &device));
    let lhs = x.index(0, 1).t().cast(HALF).narrow(0, 2, 3);
    let y = lhs.matmul(&w.t().cast(HALF).flip([0]));
    let (strided, _) = plan(&[&y]);
    assert_eq!(strided.kernels.len(), 1, "{strided}");
    // What strides cannot say is copied, as narrow elements.
    let y = x.pad(&[(0, 0), (0, 0), (1, 1)]).cast(HALF).matmul(&leaf(&[8, 2], &device).cast(HALF));
    let (padded, _) = plan(&[&y]);
    assert_eq!((padded.kernels.len(), copies(&padded).len()), (2, 1), "{padded}");
}

#[test]
fn the_backward_pass_reads_master_weights_too() {
    let device = reference::device();
    let x = leaf(&[16, 8], &device);
    let weights = [leaf(&[8, 12], &device).tracked(), leaf(&[12, 4], &device).tracked()];
    let hidden = x.cast(HALF).matmul(&weights[0].cast(HALF)).tanh();
    let y = hidden.matmul(&weights[1].cast(HALF));
    let loss = y.cast(DType::F32).square().mean(..);
    let gradients = grad(&loss, &[&weights[0], &weights[1]]);
    assert!(gradients.iter().all(|gradient| gradient.dtype() == DType::F32));
    let (plan, _) = plan(&[&loss, &gradients[0], &gradients[1]]);
    let weight = |len: usize| {
        move |kernel: &&Kernel| kernel.outputs.iter().any(|o| o.len == len && o.dtype == HALF)
    };
    for len in [16 * 8, 8 * 12, 12 * 4] {
        assert_eq!(plan.kernels.iter().filter(weight(len)).count(), 0, "{plan}");
    }
    let products = plan.kernels.iter().filter(|kernel| kernel.kind.factors().is_some());
    assert_eq!(products.count(), 5, "{plan}");
}

/// The gradients of a product that is summed in f32 are products in f32, of operands that were halves.
#[test]
fn gradients_of_products_summed_in_f32_round_master_weights() {
    let device = reference::device();
    let (x, w) = (leaf(&[16, 8], &device), leaf(&[8, 12], &device).tracked());
    let (x, w) = (x.tracked(), w.tracked());
    let y = x.cast(HALF).matmul_as(&w.cast(HALF), DType::F32);
    let loss = y.square().mean(..);
    let gradients = grad(&loss, &[&x, &w]);
    let (step, _) = plan(&[&loss, &gradients[0], &gradients[1]]);
    assert!(copies(&step).is_empty(), "{step}");
    let factors: Vec<_> = step.kernels.iter().filter_map(|kernel| kernel.kind.factors()).collect();
    assert_eq!(factors.len(), 3, "{step}");
    let wide = factors.iter().filter(|factors| factors.dtype == DType::F32);
    for factors in wide {
        let casts = factors.casts.iter().flatten().map(|cast| cast.dtype);
        assert!(casts.eq([HALF]), "{step}");
    }
}

#[test]
fn a_copy_that_is_there_is_read_by_all() {
    let device = reference::device();
    let (x, w) = (leaf(&[6, 8], &device), leaf(&[8, 5], &device));
    let cast = w.cast(HALF);
    let y = x.cast(HALF).matmul(&cast);
    let (root, _) = plan(&[&y, &cast]);
    assert_eq!((root.kernels.len(), copies(&root).len()), (2, 1), "{root}");
    // Sorting needs the elements in memory.
    let (sorted, _) = plan(&[&y, &cast.argsort(0, false)]);
    assert_eq!((sorted.kernels.len(), copies(&sorted).len()), (3, 1), "{sorted}");
    let product = sorted.kernels.iter().find(|kernel| kernel.kind.factors().is_some()).unwrap();
    let dtypes = [product.inputs[0].dtype, product.inputs[1].dtype];
    assert_eq!(dtypes, [DType::F32, HALF], "{sorted}");
}

#[test]
fn what_is_computed_is_stored_narrow() {
    let device = reference::device();
    let (x, w) = (leaf(&[6, 8], &device), leaf(&[8, 5], &device));
    let y = x.gelu().cast(HALF).matmul(&w.cast(HALF));
    let (computed, _) = plan(&[&y]);
    assert_eq!((computed.kernels.len(), copies(&computed).len()), (2, 1), "{computed}");
    // A product in f32 whose result is only cast ends with the cast.
    let y = x.matmul(&w).cast(HALF).matmul(&leaf(&[5, 3], &device).cast(HALF));
    let (fused, _) = plan(&[&y]);
    assert_eq!(fused.kernels.len(), 2, "{fused}");
    assert_eq!(fused.kernels[0].outputs[0].dtype, HALF, "{fused}");
    // Where the wide result is stored anyway, it is what the next product reads.
    let product = x.matmul(&w);
    let y = product.cast(HALF).matmul(&leaf(&[5, 3], &device).cast(HALF));
    let (both, _) = plan(&[&y, &product]);
    assert_eq!(both.kernels[1].inputs[0].dtype, DType::F32, "{both}");
    assert_eq!((both.kernels.len(), copies(&both).len()), (2, 0), "{both}");
}

#[test]
fn convolutions_and_their_gradients_cast_what_lies_in_order() {
    let device = reference::device();
    let (x, w) = (leaf(&[2, 3, 6, 6], &device), leaf(&[4, 3, 3, 3], &device).tracked());
    let conv = |x: &Tensor| x.cast(HALF).conv2d(&w.cast(HALF), &Conv2dOptions::default());
    let loss = conv(&x).cast(DType::F32).square().sum(..);
    let (step, _) = plan(&[&loss, &grad(&loss, &[&w])[0]]);
    assert!(copies(&step).is_empty(), "{step}");
    // Kernels of convolutions read elements in order, so these are moved while they are cast.
    let (moved, _) = plan(&[&conv(&x.transpose(2, 3))]);
    assert_eq!((moved.kernels.len(), copies(&moved).len()), (2, 1), "{moved}");
}

#[test]
fn floats_of_64_bits_are_cast_before() {
    let device = reference::device();
    let (x, w) = (leaf(&[6, 8], &device), leaf(&[8, 5], &device));
    let (wide, _) = plan(&[&x.cast(DType::F64).matmul(&w.cast(DType::F64))]);
    assert_eq!(wide.kernels.len(), 3, "{wide}");
    let f64s = Tensor::from_vec(vec![0.5f64; 48], [6, 8], &device).unwrap();
    let (narrow, _) = plan(&[&f64s.cast(HALF).matmul(&w.cast(HALF))]);
    assert_eq!((narrow.kernels.len(), copies(&narrow).len()), (2, 1), "{narrow}");
}

/// Weights are written over where they were: after all products that read them.
#[test]
fn master_weights_are_updated_in_place() {
    let device = reference::device();
    let x = leaf(&[16, 8], &device);
    let roots = {
        let weights = [leaf(&[8, 12], &device).tracked(), leaf(&[12, 4], &device).tracked()];
        let hidden = x.cast(HALF).matmul(&weights[0].cast(HALF)).tanh();
        let y = hidden.matmul(&weights[1].cast(HALF));
        let loss = y.cast(DType::F32).square().mean(..);
        let gradients = grad(&loss, &[&weights[0], &weights[1]]);
        [0, 1].map(|index| &weights[index] - &gradients[index].mul(0.1))
    };
    let planner = Planner::new(Limits { casts_on_read: true, ..Limits::default() });
    let prepared = planner.prepare(&roots, Retention::Release).unwrap();
    let plan = &prepared.plan;
    assert!(plan.outputs.iter().all(|output| output.reuses.is_some()), "{plan}");
    assert!(copies(plan).is_empty(), "{plan}");
    plan.verify().unwrap();
}
