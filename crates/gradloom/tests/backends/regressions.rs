//! The graphs, as they were printed; names say what was wrong.

use gradloom_tensor::{DType, Shape, Tensor};
use gradloom_testkit::graphs::calls::{barrier, pairs, tail};
use gradloom_testkit::graphs::window_calls::window;
use gradloom_testkit::graphs::{Pattern, Scenario, agree};

use crate::{cpus, devices};

#[test]
fn a_row_sum_is_broadcast() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[2], DType::F32, Pattern::Small, 1);
        t.push(t[0].sum_keepdim([0]));
        t.push(t[1].broadcast_to(*t[0].shape()));
        vec![2]
    });
}

#[test]
fn a_scalar_is_broadcast_and_differentiated() {
    agree(&Scenario::Gradients { of: vec![0], order: 1 }, &devices(), &|t| {
        t.leaf(&[], DType::F32, Pattern::Small, 1);
        t.push(t[0].broadcast_to(Shape::new(&[2, 1])));
        vec![0, 1]
    });
}

#[test]
fn a_sum_is_rectified_and_differentiated() {
    agree(&Scenario::Gradients { of: vec![0], order: 1 }, &devices(), &|t| {
        t.leaf(&[2], DType::F32, Pattern::Small, 1);
        t.push(t[0].sum(..));
        t.push(t[1].relu());
        vec![2]
    });
}

#[test]
fn repeated_rows_are_normalized() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[], DType::F32, Pattern::Small, 1);
        t.push(t[0].broadcast_to(Shape::new(&[2, 1])));
        let deviation = t[1].sub(t[1].mean_keepdim([0]));
        t.push(deviation.mul(t[1].var_keepdim([0], 0).add(1e-3).rsqrt()));
        vec![2]
    });
}

#[test]
fn padding_is_split_by_a_reshape() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[1, 1, 1, 3], DType::F32, Pattern::Small, 1);
        t.push(t[0].pad(&pairs(&[1, 1, 0, 0, 1, 0, 2, 3])));
        t.push(t[1].reshape([1, 6, 2, 4]));
        t.push(t[2].log_softmax(0));
        vec![3]
    });
}

#[test]
fn a_part_of_an_iota_is_reshaped() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.push(Tensor::iota(Shape::new(&[16, 2, 4]), 2, t.device()));
        t.push(t[0].reshape([128]).narrow(0, 1, 32).reshape(tail(&[128, 1, 32, 16, 2, 1])));
        vec![1]
    });
}

#[test]
fn a_part_is_multiplied_with_the_whole_and_differentiated() {
    agree(&Scenario::Gradients { of: vec![1], order: 1 }, &devices(), &|t| {
        t.leaf(&[1, 3, 1], DType::F32, Pattern::Small, 1);
        t.leaf(&[2, 3, 4, 1], DType::F32, Pattern::Small, 1);
        t.push(t[1].reshape([24]).narrow(0, 1, 4).reshape(tail(&[24, 1, 4, 1, 4])));
        t.push(t[1].mul(&t[2]));
        vec![0, 3]
    });
}

#[test]
fn a_barrier_holds_a_broadcast() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[2], DType::F32, Pattern::Small, 1);
        t.push(t[0].broadcast_to(Shape::new(&[5, 2, 2])));
        t.push(barrier(&t[1], &t[1]));
        vec![2]
    });
}

#[test]
fn u8_wraps_before_it_is_compared() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[1], DType::U8, Pattern::Far, 1);
        t.push(t[0].add(100).gt(120));
        vec![1]
    });
}

#[test]
fn a_write_of_the_data_into_itself_is_committed() {
    agree(&Scenario::Carry { updates: vec![(0, 3)], steps: 1 }, &devices(), &|t| {
        t.leaf(&[1, 1, 2], DType::U32, Pattern::Small, 1);
        t.leaf(&[], DType::F32, Pattern::Small, 1);
        t.leaf(&[1], DType::U32, Pattern::Index(1), 1);
        t.push(t[0].write(1, &t[2], &t[0]));
        vec![1]
    });
}

#[test]
fn a_write_of_a_part_of_the_data_is_committed() {
    agree(&Scenario::Carry { updates: vec![(0, 3)], steps: 1 }, &devices(), &|t| {
        t.leaf(&[3, 16], DType::F32, Pattern::Small, 1);
        t.push(t[0].reshape([48]).narrow(0, 1, 27).reshape(tail(&[48, 1, 27, 3, 9])));
        t.leaf(&[3], DType::U32, Pattern::Index(8), 1);
        t.push(t[0].write(1, &t[2], &t[1]));
        vec![2]
    });
}

#[test]
fn an_empty_picture_is_padded_and_convolved() {
    agree(&Scenario::Alone, &devices(), &|t| {
        t.leaf(&[1, 1, 1, 0], DType::F32, Pattern::Small, 1);
        t.leaf(&[1, 1, 1, 1], DType::F32, Pattern::Small, 1);
        let place = window(&[2, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0]);
        t.push(Tensor::convolution(&t[0], &t[1], place, 1));
        vec![2]
    });
}

#[test]
fn an_empty_picture_of_f64_is_padded_and_convolved() {
    agree(&Scenario::Alone, &cpus(), &|t| {
        t.leaf(&[1, 2, 0, 2], DType::F64, Pattern::Small, 1);
        t.leaf(&[2, 1, 1, 2], DType::F64, Pattern::Small, 1);
        let place = window(&[2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 0]);
        t.push(Tensor::convolution(&t[0], &t[1], place, 2));
        vec![2]
    });
}
