//! What `{}` and `{:?}` show.

use gradloom_tensor::{DType, Tensor};

use crate::refusing::{device, leaf};

#[test]
fn a_matrix_has_aligned_columns() {
    let device = device();
    let x = Tensor::new([[1f32, -2.0], [3.25, 40.0]], &device).unwrap();
    assert_eq!(x.to_string(), "tensor([[ 1.0000, -2.0000],\n        [ 3.2500, 40.0000]], f32)");
    assert_eq!(format!("{x:?}"), x.to_string());
}

#[test]
fn scalars_integers_and_bools_print_plainly() {
    let device = device();
    assert_eq!(Tensor::new(2.5f64, &device).unwrap().to_string(), "tensor(2.5000, f64)");
    assert_eq!(Tensor::new([1, -20], &device).unwrap().to_string(), "tensor([  1, -20], i32)");
    assert_eq!(
        Tensor::new([true, false], &device).unwrap().to_string(),
        "tensor([ true, false], bool)"
    );
    let empty = leaf(&[0, 3], DType::F32, &device);
    assert_eq!(empty.to_string(), "tensor([], shape=[0, 3], f32)");
}

#[test]
fn a_failed_evaluation_is_part_of_the_text() {
    let device = device();
    let expected = "tensor(<no value: this backend computes nothing>, shape=[2], f32)";
    assert_eq!(Tensor::zeros([2], DType::F32, &device).to_string(), expected);
    let large = Tensor::zeros([50, 50], DType::F32, &device);
    assert!(large.to_string().contains("this backend computes nothing"));
}
