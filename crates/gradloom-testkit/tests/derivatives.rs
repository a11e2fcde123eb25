//! Every row of the table against finite differences in f64, first and second order, on the reference
//! backend: the derivative rules alone, without planner or kernels.
use gradloom_autodiff::grad;
use gradloom_tensor::op::{Op, Window};
use gradloom_tensor::ops::convolution::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
};
use gradloom_tensor::{DType, Key, Tensor};
use gradloom_testkit::{cases, check, reference};

#[test]
fn derivatives_agree_with_finite_differences() {
    let device = reference::device();
    let failures: Vec<String> = cases()
        .iter()
        .filter(|case| case.operands.iter().all(|operand| operand.shape.count() < 2000))
        .filter_map(|case| check::finite_differences(case, &device).err())
        .collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// A convolution by its method and by its op, of an input and a weight of these shapes.
struct SinglePoint {
    input: &'static [usize],
    weight: &'static [usize],
    method: fn(&Tensor, &Tensor) -> Tensor,
    op: fn(&Tensor, &Tensor) -> Tensor,
}

fn single_points() -> Vec<SinglePoint> {
    let row = |input, weight, method, op| SinglePoint { input, weight, method, op };
    vec![
        row(
            &[3, 4, 3, 2],
            &[5, 4, 3, 2],
            |x, w| x.conv2d(w, &Conv2dOptions::default()),
            |x, w| Tensor::convolution(x, w, Window::new([3, 2]), 1),
        ),
        row(
            &[2, 6, 6, 5],
            &[9, 2, 3, 2],
            |x, w| x.conv2d(w, &Conv2dOptions::default().groups(3).dilation([2, 3]).stride([2, 3])),
            |x, w| {
                Tensor::convolution(x, w, Window::new([3, 2]).dilation([2, 3]).stride([2, 3]), 3)
            },
        ),
        row(
            &[4, 3, 7],
            &[2, 3, 1],
            |x, w| x.conv1d(w, &Conv1dOptions::default().dilation(2).stride(7)),
            |x, w| Tensor::convolution(x, w, Window::new([1]).dilation([2]).stride([7]), 1),
        ),
        row(
            &[2, 4, 2, 3, 1],
            &[4, 2, 2, 3, 1],
            |x, w| x.conv3d(w, &Conv3dOptions::default().groups(2)),
            |x, w| Tensor::convolution(x, w, Window::new([2, 3, 1]), 2),
        ),
        row(
            &[3, 4, 1, 1],
            &[4, 5, 3, 2],
            |x, w| x.conv_transpose2d(w, &ConvTranspose2dOptions::default().stride(2)),
            |x, w| {
                let window = Window::new([3, 2]).stride([2, 2]);
                Tensor::convolution_input(w, x, [3, 5, 3, 2], window, 1)
            },
        ),
        row(
            &[2, 6, 1],
            &[6, 2, 4],
            |x, w| x.conv_transpose1d(w, &ConvTranspose1dOptions::default().groups(3)),
            |x, w| Tensor::convolution_input(w, x, [2, 6, 4], Window::new([4]), 3),
        ),
    ]
}

#[test]
fn convolutions_of_single_points_are_products_with_the_same_derivatives() {
    let device = reference::device();
    for (place, row) in single_points().iter().enumerate() {
        for (dtype, tolerance) in
            [(DType::F64, 1e-12), (DType::F32, 1e-5), (DType::F16, 5e-3), (DType::BF16, 4e-2)]
        {
            let draw = |stream, shape: &[usize]| {
                let key = Key::new(place as u64).fold(stream);
                Tensor::uniform(key, shape, -1.0, 1.0, &device).cast(dtype).detach().tracked()
            };
            let (x, w) = (draw(0, row.input), draw(1, row.weight));
            let all = |function: fn(&Tensor, &Tensor) -> Tensor| {
                let y = function(&x, &w);
                let first = grad(&y.square().sum(..), &[&x, &w]);
                let squares = first[0].square().sum(..) + first[1].square().sum(..);
                let second = grad(&squares, &[&x, &w]);
                [vec![y], first, second].concat()
            };
            let (products, windows) = (all(row.method), all(row.op));
            assert!(!has_windows(&products[0]) && has_windows(&windows[0]), "row {place}");
            for (number, (product, window)) in products.iter().zip(&windows).enumerate() {
                assert_eq!(product.shape(), window.shape());
                let [actual, expected] = [product, window].map(|x| check::elements(x).unwrap());
                let what = format!("row {place}, {dtype}, value {number}");
                check::close(&what, &actual, &expected, tolerance).unwrap();
            }
        }
    }
}

/// Whether a convolution is below a value.
fn has_windows(x: &Tensor) -> bool {
    matches!(x.op(), Op::Convolution(..) | Op::ConvolutionInput(..))
        || x.inputs().iter().any(has_windows)
}
