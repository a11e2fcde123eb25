//! Tensors from host data, constants and counts.

use gradloom_tensor::{DType, Key, Op, Tensor};

use crate::refusing::{device, leaf};

#[test]
fn nested_arrays_give_their_shape_and_elements() {
    let device = device();
    let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &device).unwrap();
    assert_eq!(*x.shape(), [2, 2]);
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    let deep = Tensor::new([[[[true], [false]], [[true], [true]]]], &device).unwrap();
    assert_eq!((deep.shape().dims(), deep.dtype()), (&[1, 2, 2, 1][..], DType::Bool));
    assert_eq!(Tensor::new(7i32, &device).unwrap().rank(), 0);
    assert_eq!(*Tensor::new(vec![[1u8, 2]], &device).unwrap().shape(), [1, 2]);
    assert_eq!(*Tensor::new(&[1u32, 2, 3][..], &device).unwrap().shape(), [3]);
    assert_eq!(*Tensor::new(Vec::<f64>::new(), &device).unwrap().shape(), [0]);
}

#[test]
fn constants_are_structure_and_full_is_an_argument() {
    let device = device();
    assert!(matches!(Tensor::zeros([2], DType::Bool, &device).op(), Op::Constant(_)));
    assert!(matches!(Tensor::full([2], 3, DType::F32, &device).op(), Op::Argument(_)));
    let x = leaf(&[2, 3], DType::U8, &device);
    assert!(matches!(x.ones_like().op(), Op::Constant(_)));
    assert!(matches!(x.full_like(255).op(), Op::Argument(_)));
    assert_eq!(x.constant_like(3).dtype(), DType::U8);
}

#[test]
fn counts_have_the_shapes_of_pytorch() {
    let device = device();
    assert_eq!(Tensor::arange(5, &device).dtype(), DType::I32);
    let range =
        |start, end, step| Tensor::arange_range(start, end, step, DType::F32, &device).count();
    assert_eq!([range(0.0, 1.0, 0.25), range(0.0, 1.1, 0.25), range(3.0, 0.0, -1.0)], [4, 5, 3]);
    assert_eq!(range(1.0, 0.0, 1.0), 0);
    let line = Tensor::linspace(0.0, 1.0, 7, DType::F16, &device);
    assert_eq!((line.count(), line.dtype()), (7, DType::F16));
    assert_eq!(Tensor::linspace(0.0, 1.0, 1, DType::F64, &device).count(), 1);
    assert_eq!(*Tensor::eye(3, DType::F64, &device).shape(), [3, 3]);
    assert_eq!(*leaf(&[4, 2, 3], DType::F32, &device).tril(-1).shape(), [4, 2, 3]);
}

#[test]
fn random_tensors_have_their_dtypes() {
    let device = device();
    let key = Key::new(1);
    assert_eq!(Tensor::random_bits(key, 3, &device).dtype(), DType::U32);
    assert_eq!(Tensor::uniform(key, [2, 3], -1.0, 1.0, &device).dtype(), DType::F32);
    assert_eq!(*Tensor::normal(key, [2, 3], 0, 1, &device).shape(), [2, 3]);
    assert_eq!(Tensor::bernoulli(key, [2], 0.5, &device).dtype(), DType::Bool);
    assert_eq!(Tensor::randint(key, [2], -5, 5, &device).dtype(), DType::I32);
    assert_eq!(Tensor::permutation(key, 9, &device).dtype(), DType::I32);
}

#[test]
fn the_same_device_gives_the_same_tensor_and_another_copies() {
    let device = device();
    let x = Tensor::new([1f32, 2.0], &device).unwrap().tracked();
    assert_eq!(x.to_device(&device).id(), x.id());
    let other = crate::refusing::device();
    let copy = x.to_device(&other);
    assert!(copy.device() == &other && copy.is_tracked());
    assert_eq!(copy.to_vec::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn what_cannot_be_computed_does_not_move() {
    let x = Tensor::new([1f32, 2.0], &device()).unwrap().tracked();
    let moved = x.exp().to_device(&crate::refusing::device());
    assert_eq!(moved.eval().unwrap_err().to_string(), "this backend computes nothing");
    assert!(moved.value().is_none());
}

#[test]
#[should_panic(expected = "from_bytes: 3 elements of f32 (12 bytes) do not fill shape [2, 2]")]
fn too_few_elements_panic() {
    let _ = Tensor::from_slice(&[1f32, 2.0, 3.0], [2, 2], &device());
}

#[test]
#[should_panic(expected = "new: ragged rows: one has shape [2], another [1]")]
fn ragged_rows_panic() {
    let _ = Tensor::new(vec![vec![1f32, 2.0], vec![3.0]], &device());
}

#[test]
#[should_panic(expected = "full: 256 is no value of a u8 tensor")]
fn a_value_outside_the_dtype_panics() {
    let _ = Tensor::full([2], 256, DType::U8, &device());
}

#[test]
#[should_panic(expected = "bernoulli: 1.5 is no probability")]
fn a_probability_above_one_panics() {
    let _ = Tensor::bernoulli(Key::new(0), [2], 1.5, &device());
}
