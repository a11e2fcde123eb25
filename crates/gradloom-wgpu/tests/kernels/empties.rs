//! Axes of no elements through every kind of kernel: what is left is zeros, the least numbers, or nothing.

use gradloom_autodiff::grad;
use gradloom_tensor::op::Window;
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Device, Shape, Tensor};

use crate::harness::{devices, share};

fn zeros(shape: &[usize], device: &Device) -> Tensor {
    // Uploaded, so that a kernel reads a buffer.
    let count = shape.iter().product();
    Tensor::from_vec(vec![0.0f32; count], Shape::new(shape), device).unwrap()
}

fn indices(shape: &[usize], device: &Device) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_vec(vec![0i32; count], Shape::new(shape), device).unwrap()
}

#[track_caller]
fn all(tensor: &Tensor, shape: &[usize], expected: f32) {
    assert_eq!(tensor.shape()[..], *shape);
    let found = tensor.to_vec::<f32>().unwrap();
    assert_eq!(found, vec![expected; shape.iter().product()]);
}

#[test]
fn reductions_of_nothing_give_their_neutral_element() {
    let _shared = share();
    for device in devices() {
        for (shape, axis, left) in [
            (&[1, 0][..], 1, &[1][..]),
            (&[3, 0], 1, &[3]),
            (&[0, 3], 0, &[3]),
            (&[300, 0], 1, &[300]),
            (&[2, 0, 5], 1, &[2, 5]),
        ] {
            let x = zeros(shape, &device);
            all(&x.sum(axis), left, 0.0);
            all(&(&x * 2.0 + 1.0).sum(axis), left, 0.0);
            let flags = x.lt(1.0);
            assert!(flags.all(axis).to_vec::<bool>().unwrap().iter().all(|&flag| flag));
            assert!(!flags.any(axis).to_vec::<bool>().unwrap().iter().any(|&flag| flag));
            let whole = x.cast(DType::I32).sum(axis).to_vec::<i32>().unwrap();
            assert!(whole.iter().all(|&sum| sum == 0));
            assert!(x.mean(axis).to_vec::<f32>().unwrap().iter().all(|mean| mean.is_nan()));
        }
        let x = zeros(&[2, 3, 0, 4], &device);
        all(&x.sum([1, 2]), &[2, 4], 0.0);
        all(&x.sum(..), &[], 0.0);
        all(&x.permute(&[3, 2, 0, 1]).sum(1), &[4, 2, 3], 0.0);
        all(
            &zeros(&[2, 3, 4], &device).slice(gradloom_tensor::s![.., 1..1, ..]).sum(1),
            &[2, 4],
            0.0,
        );
        // A row kernel: reduced, then used again along the rows, of which there are none or empty ones.
        all(&zeros(&[3, 0], &device).softmax(-1), &[3, 0], 0.0);
        all(&zeros(&[0, 3], &device).softmax(-1), &[0, 3], 0.0);
        all(&zeros(&[3, 0], &device).cumsum(1), &[3, 0], 0.0);
        all(&zeros(&[3, 0], &device).log_softmax(-1), &[3, 0], 0.0);
        all(&zeros(&[3, 0], &device).softmax(-1).sum(-1), &[3], 0.0);
        all(&(x.sum(2) + x.sum(..)), &[2, 3, 4], 0.0);
    }
}

#[test]
fn products_over_nothing_are_zeros_and_then_their_epilogue() {
    let _shared = share();
    for device in devices() {
        for (m, n) in [(1, 1), (5, 7), (64, 64), (1, 200), (130, 3)] {
            let product = zeros(&[m, 0], &device).matmul(&zeros(&[0, n], &device));
            all(&product, &[m, n], 0.0);
            let bias = Tensor::ones([n], DType::F32, &device);
            let product = zeros(&[2, m, 0], &device).matmul(&zeros(&[2, 0, n], &device));
            all(&(product + bias), &[2, m, n], 1.0);
        }
        all(&zeros(&[0, 3], &device).matmul(&zeros(&[3, 4], &device)), &[0, 4], 0.0);
    }
}

#[test]
fn convolutions_and_pooling_of_nothing_see_padding() {
    let _shared = share();
    for device in devices() {
        for (n, c, o, size) in [
            (1, 1, 1, [1, 0]),
            (2, 3, 4, [0, 2]),
            (2, 3, 4, [0, 0]),
            (0, 3, 4, [3, 3]),
            (2, 0, 4, [3, 3]),
            (2, 3, 0, [3, 3]),
        ] {
            let window = Window::new([2, 1]).padding([[1, 1], [1, 1]]);
            let [_, height, width] = window.output([1, size[0], size[1]]).unwrap();
            let input = zeros(&[n, c, size[0], size[1]], &device).tracked();
            let weight = zeros(&[o, c, 2, 1], &device).tracked();
            let result = Tensor::convolution(&input, &weight, window, 1);
            all(&result, &[n, o, height, width], 0.0);
            let gradients = grad(&(&result + 1.0).sum(..), &[&input, &weight]);
            all(&gradients[0], input.shape(), 0.0);
            all(&gradients[1], weight.shape(), 0.0);
            let pooled = input.pool_max(window);
            if n * c > 0 && size.contains(&0) {
                all(&pooled, &[n, c, height, width], f32::NEG_INFINITY);
            }
            if n * c == 0 || size.contains(&0) {
                all(&grad(&pooled.sum(..), &[&input])[0], input.shape(), 0.0);
            }
            all(&input.pool_sum(window), &[n, c, height, width], 0.0);
        }
    }
}

#[test]
fn indexing_sorting_and_joining_of_nothing() {
    let _shared = share();
    for device in devices() {
        let some = zeros(&[2, 3], &device);
        let none = zeros(&[2, 0], &device);
        all(&Tensor::concat(&[&none, &some, &none], 1), &[2, 3], 0.0);
        all(&Tensor::concat(&[&none, &none], 1), &[2, 0], 0.0);
        all(&some.gather(1, &indices(&[2, 0], &device)), &[2, 0], 0.0);
        all(&none.gather(1, &indices(&[2, 0], &device)), &[2, 0], 0.0);
        all(&zeros(&[0, 3], &device).gather(1, &indices(&[0, 5], &device)), &[0, 5], 0.0);
        all(&some.index_select(0, &indices(&[0], &device)), &[0, 3], 0.0);
        all(&some.scatter_add(1, &indices(&[2, 0], &device), &none), &[2, 3], 0.0);
        all(&none.scatter_add(1, &indices(&[2, 0], &device), &none), &[2, 0], 0.0);
        for shape in [[2, 0], [0, 2], [0, 0]] {
            let x = zeros(&shape, &device);
            assert!(x.argsort(1, false).to_vec::<i32>().unwrap().is_empty());
            all(&x.cumsum(0), &shape, 0.0);
            all(&x.cumsum(1), &shape, 0.0);
        }
        assert!(zeros(&[0, 2], &device).argmax(1).to_vec::<i32>().unwrap().is_empty());
    }
}

#[test]
fn attention_without_keys_queries_or_heads() {
    let _shared = share();
    for device in devices() {
        for ([b, h, t, d], s, e) in [
            ([1, 2, 3, 4], 0, 4),
            ([1, 2, 0, 4], 3, 4),
            ([0, 2, 3, 4], 3, 4),
            ([1, 2, 3, 4], 3, 0),
            ([1, 2, 3, 0], 3, 4),
        ] {
            let query = zeros(&[b, h, t, d], &device);
            let (key, value) = (zeros(&[b, h, s, d], &device), zeros(&[b, h, s, e], &device));
            let options = AttentionOptions::default();
            all(&Tensor::attention(&query, &key, &value, &options), &[b, h, t, e], 0.0);
        }
    }
}
