//! [`WindowRows`]: which inputs the windows of pooling meet, as rows that loops walk without conditions.

use gradloom_plan::Pool;

/// Outputs in a row and the input elements that one element of their windows meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowRow {
    /// First output in its plane, and how many follow side by side.
    pub(super) output: usize,
    pub(super) len: usize,
    /// Input element of the first, in its plane.
    pub(super) input: usize,
    /// Distance between the input elements.
    pub(super) stride: usize,
}

/// All rows of all window elements, for loops without conditions.
#[derive(Clone, Debug)]
pub(super) struct WindowRows {
    /// Those of one plane.
    pub(super) rows: Vec<WindowRow>,
    /// Where a plane of the output begins, and one of the planes of the input that its windows meet.
    pub(super) planes: Vec<(usize, usize)>,
    /// Elements of a plane of the input and of the output.
    pub(super) areas: [usize; 2],
}

impl WindowRows {
    pub(super) fn new(pool: &Pool) -> WindowRows {
        let areas = [pool.input_size, pool.output_size].map(|[_, height, width]| height * width);
        let meeting = meetings(pool, 0).into_iter();
        let planes = meeting.map(|(output, input)| (output * areas[1], input * areas[0]));
        WindowRows { rows: rows_of_plane(pool), planes: planes.collect(), areas }
    }
}

fn rows_of_plane(pool: &Pool) -> Vec<WindowRow> {
    let window = &pool.window;
    let mut rows = Vec::new();
    for (output_row, input_row) in meetings(pool, 1) {
        for column in 0..window.kernel[2] {
            let outputs = outputs_inside(pool, 2, column);
            if outputs.is_empty() {
                continue;
            }
            let input_column = outputs.start * window.stride[2] + column * window.dilation[2]
                - window.padding[2][0];
            rows.push(WindowRow {
                output: output_row * pool.output_size[2] + outputs.start,
                len: outputs.len(),
                input: input_row * pool.input_size[2] + input_column,
                stride: window.stride[2],
            });
        }
    }
    rows
}

/// Each output along an axis with each place in the input that its window meets, in order.
fn meetings(pool: &Pool, axis: usize) -> Vec<(usize, usize)> {
    let window = &pool.window;
    let place = |output: usize, element: usize| {
        output * window.stride[axis] + element * window.dilation[axis] - window.padding[axis][0]
    };
    let outputs = 0..pool.output_size[axis];
    outputs
        .flat_map(|output| (0..window.kernel[axis]).map(move |element| (output, element)))
        .filter(|&(output, element)| outputs_inside(pool, axis, element).contains(&output))
        .map(|(output, element)| (output, place(output, element)))
        .collect()
}

/// The outputs whose window element `element` lies in the input, along one axis.
fn outputs_inside(pool: &Pool, axis: usize, element: usize) -> std::ops::Range<usize> {
    let window = &pool.window;
    let (stride, before) = (window.stride[axis], window.padding[axis][0]);
    let offset = element * window.dilation[axis];
    // Input coordinate of output `o`: `o * stride + offset - before`.
    let first = before.saturating_sub(offset).div_ceil(stride);
    let end = (pool.input_size[axis] + before).saturating_sub(offset).div_ceil(stride);
    let end = end.min(pool.output_size[axis]);
    first.min(end)..end
}
