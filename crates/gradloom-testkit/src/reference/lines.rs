//! Lines of elements along an axis.

use gradloom_tensor::Shape;

/// Applies `function` to the element indices of every line along an axis; its results stand along the
/// same axis.
pub(crate) fn lines(
    shape: &Shape,
    axis: usize,
    function: impl Fn(&[usize]) -> Vec<f64>,
) -> Vec<f64> {
    let size = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut results = Vec::new();
    for o in 0..outer {
        let lists: Vec<Vec<f64>> = (0..inner)
            .map(|i| {
                let line: Vec<usize> = (0..size).map(|k| (o * size + k) * inner + i).collect();
                function(&line)
            })
            .collect();
        let len = lists.first().map_or(0, Vec::len);
        for position in 0..len {
            results.extend(lists.iter().map(|list| list[position]));
        }
    }
    results
}
