//! Indices, parts and sizes that do not fit: each call panics with a message that begins with the op's name;
//! and axes without elements.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_tensor::ops::grid_sampling::GridOptions;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom_tensor::ops::scatter::ScatterReduction;
use gradloom_tensor::{DType, SliceRange, Tensor};

use crate::refusing::{device, leaf};

#[track_caller]
fn refused<T>(begins: &str, make: impl FnOnce() -> T) {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(make()))).expect_err(begins);
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    let message = message.expect("a message");
    assert!(message.starts_with(begins), "{message:?} does not begin with {begins:?}");
}

#[test]
fn scatters_that_do_not_fit() {
    let on = device();
    let float = |shape: &[usize]| leaf(shape, DType::F32, &on);
    let index = |shape: &[usize]| leaf(shape, DType::I32, &on);
    let x = float(&[4, 3]);
    refused("scatter: an index [2, 4] for [4, 3]", || x.scatter(0, &index(&[2, 4]), &x));
    refused("scatter: updates [2, 2] are fewer", || x.scatter(0, &index(&[2, 3]), float(&[2, 2])));
    refused("scatter: axis 2", || x.scatter(2, &index(&[2, 3]), 1.0));
    refused("scatter: dtypes differ", || {
        x.scatter(0, &index(&[2, 3]), leaf(&[2, 3], DType::F16, &on))
    });
    refused("scatter_reduce: ", || {
        let bools = leaf(&[4, 3], DType::Bool, &on);
        bools.scatter_reduce(0, &index(&[4, 3]), &bools, ScatterReduction::Sum, true)
    });
    refused("scatter_reduce: ", || {
        let ints = index(&[4, 3]);
        ints.scatter_reduce(0, &ints, &ints, ScatterReduction::Mean, true)
    });
    refused("index_add: updates of an index [2] along axis 0", || {
        x.index_add(0, &index(&[2]), &float(&[2, 4]), 1.0)
    });
    refused("index_fill: the value has shape [1], not []", || {
        x.index_fill(0, &index(&[2]), float(&[1]))
    });
    let ints = index(&[4, 3]);
    assert_eq!(ints.scatter(0, &index(&[2, 3]), 7).dtype(), DType::I32);
    assert_eq!(ints.index_add(0, &index(&[2]), &index(&[2, 3]), -2.0).dtype(), DType::I32);
    refused("index_add: 0.5", || ints.index_add(0, &index(&[2]), &index(&[2, 3]), 0.5));
    refused("scatter: 0.5", || ints.scatter(0, &index(&[2, 3]), 0.5));
    refused("index_copy: ", || x.index_copy(0, &index(&[2]), &index(&[2, 3])));
    refused("index_by: 3 indices", || x.index_by(&[None, None, Some(&index(&[2]))]));
    refused("index_by: ", || x.index_by(&[Some(&float(&[2]))]));
    refused("index_put: ", || x.index_put(&[Some(&index(&[2]))], &float(&[3, 3]), true));
    refused("put: 2 indices for 3 elements", || x.put(&index(&[2]), &float(&[3]), false));
    refused("masked_scatter: ", || x.masked_scatter(&x, &x));
    refused("segment_reduce: offsets [3, 2] do not fit", || {
        x.segment_reduce_offsets(&index(&[3, 2]), ScatterReduction::Sum, None)
    });
}

#[test]
fn parts_that_do_not_fit() {
    let on = device();
    let float = |shape: &[usize]| leaf(shape, DType::F32, &on);
    let x = float(&[4, 3]);
    refused("slice_scatter: the source has shape [3, 3], not [2, 3]", || {
        x.slice_scatter(&float(&[3, 3]), 0, 1..3)
    });
    refused("slice_scatter: needs a range", || x.slice_scatter(&x, 0, 1));
    refused("select_scatter: index 4 out of range", || x.select_scatter(&float(&[3]), 0, 4));
    refused("diagonal_scatter: one axis", || x.diagonal_scatter(&float(&[3]), 0, 1, 1));
    refused("diagonal_scatter: the source has shape [3], not [2]", || {
        x.diagonal_scatter(&float(&[3]), 1, 0, 1)
    });
    refused("as_strided: sizes [3, 3] by strides [5, 1]", || x.as_strided(&[3, 3], &[5, 1], 0));
    refused("as_strided: 1 strides for 2 sizes", || x.as_strided(&[3, 3], &[5], 0));
    refused("movedims: 1 axes to 2 places", || x.movedims(&[0], &[0, 1]));
    refused("movedims: ", || x.movedims(&[0, 0], &[0, 1]));
    refused("repeat_interleave_each: 2 counts", || x.repeat_interleave_each(&[1, 2], 0));
    refused("narrow_at: 5 elements", || x.narrow_at(0, &leaf(&[], DType::I32, &on), 5));
    refused("tensor_split: the number of parts is 0", || x.tensor_split(0, 0));
    refused("combinations: of a tensor of shape [4, 3]", || x.combinations(2, false));
    refused("pad_or_cut: (-2, -3) cuts more off axis 0", || x.pad_or_cut(&[(-2, -3), (0, 0)], 0.0));
    refused("pad_or_cut: 1 pairs", || x.pad_or_cut(&[(1, 1)], 0.0));
    refused("chunk_concat: the number of chunks is 0", || Tensor::chunk_concat(&[&x], 0, 0));
}

#[test]
fn sizes_and_grids_that_do_not_fit() {
    let on = device();
    let float = |shape: &[usize]| leaf(shape, DType::F32, &on);
    let x = float(&[1, 2, 4, 3]);
    let linear = InterpolateOptions::new(Interpolation::Linear);
    refused("interpolate: needs [N, C, ..]", || x.interpolate(&[3], &linear));
    refused("interpolate: sizes [0, 3]", || x.interpolate(&[0, 3], &linear));
    refused("interpolate: factors [2.0]", || {
        x.interpolate(&[8, 6], &linear.clone().factors(&[2.0]))
    });
    refused("interpolate: mode Nearest has neither", || {
        x.interpolate(&[8, 6], &InterpolateOptions::default().align_corners(true))
    });
    refused("interpolate: ", || leaf(&[1, 2, 3], DType::I32, &on).interpolate(&[4], &linear));
    let grid = |shape: &[usize]| x.grid_sample(&float(shape), &GridOptions::default());
    assert_eq!(*grid(&[1, 5, 6, 2]).shape(), [1, 2, 5, 6]);
    refused("grid_sample: needs [N, C, H, W]", || grid(&[1, 5, 6, 3]));
    refused("grid_sample: needs [N, C, H, W]", || grid(&[2, 5, 6, 2]));
    let draws = float(&[1, 2, 2]);
    refused("fractional_max_pool2d: 4 windows of 2", || {
        x.fractional_max_pool2d([2, 2], [4, 2], &draws)
    });
    refused("fractional_max_pool2d: draws of", || {
        x.fractional_max_pool2d([2, 2], [3, 2], &float(&[1, 2]))
    });
    refused("pdist: needs rows", || x.pdist(2.0));
    refused("softplus: beta is 0", || x.softplus_with(0.0, 1.0));
    refused("softmax_gradient: a gradient", || x.softmax_gradient(&float(&[2]), 0));
}

#[test]
fn nothing_is_written_where_there_is_nothing() {
    let on = device();
    let empty = leaf(&[0, 3], DType::F32, &on);
    let index = leaf(&[0, 3], DType::I32, &on);
    assert_eq!(*empty.scatter(0, &index, &empty).shape(), [0, 3]);
    let x = leaf(&[4, 3], DType::F32, &on);
    for reduction in [ScatterReduction::Sum, ScatterReduction::Mean, ScatterReduction::Max] {
        assert_eq!(x.scatter_reduce(0, &index, &empty, reduction, true).id(), x.id());
    }
    assert_eq!(*x.index_by(&[Some(&leaf(&[0], DType::I32, &on))]).shape(), [0, 3]);
    assert_eq!(*leaf(&[1], DType::F32, &on).combinations(2, false).shape(), [0, 2]);
    assert_eq!(*x.tensor_split_at(&[2, 1], 0)[1].shape(), [0, 3]);
    let line = leaf(&[0], DType::F32, &on);
    assert_eq!(*Tensor::concat(&[&line, &x], 1).shape(), [4, 3]);
}

#[test]
fn steps_windows_and_sizes_that_no_number_counts() {
    let on = device();
    let x = leaf(&[4], DType::F32, &on);
    refused("slice_scatter: a step of 0", || {
        let range = SliceRange::Range { start: None, end: None, step: 0 };
        x.slice_scatter(&x, 0, range)
    });
    let (plane, draws) = (leaf(&[1, 1, 2, 2], DType::F32, &on), leaf(&[1, 1, 2], DType::F32, &on));
    refused("fractional_max_pool2d: ", || {
        plane.fractional_max_pool2d([1, 1], [usize::MAX, 1], &draws)
    });
    refused("histc: ", || x.histc(usize::MAX, 0.0, 1.0));
    refused("histogram: ", || x.histogram(usize::MAX, None, false));
    let line = leaf(&[1, 1, 4], DType::F32, &on);
    for mode in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Area] {
        let options = InterpolateOptions::new(mode);
        refused("interpolate: ", || line.interpolate_by(&[f64::INFINITY], true, &options));
    }
}
