//! [`Reference`]: a backend that computes one node at a time, in f64, with the plainest loops.
//!
//! It shares no code with the planner or the real backends, so that agreement means something. Halves
//! are rounded at each op, f32 is not, so its values are what an exact machine would give, and other
//! backends are held to them within a tolerance.
//!
//! [`bounded`] makes one that carries beside each element how far from it an honest device may be.

mod bounds;
mod elementwise;
mod integers;
mod lines;
mod looping;
mod sequences;
mod structured;
mod views;

use std::any::Any;
use std::sync::Arc;

use gradloom_tensor::op::Call;
use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Element, Error, Key, Op, Result, Retention,
    Scalar, Shape, Statistics, Tensor, bf16, f16, rounding,
};

use crate::woven::Woven;
pub use bounds::Arithmetic;
pub(crate) use integers::{element, whole};
use looping::Frame;

/// The reference backend.
#[derive(Debug, Default)]
pub struct Reference {
    /// Whose errors are bounded, if any.
    arithmetic: Option<Arithmetic>,
}

/// A device on the reference backend.
pub fn device() -> Device {
    Device::new(Arc::new(Reference::default()))
}

/// A device on the reference backend that bounds the error of devices of a kind.
pub fn bounded(arithmetic: Arithmetic) -> Device {
    Device::new(Arc::new(Reference { arithmetic: Some(arithmetic) }))
}

/// The elements of a tensor of a [`bounded`] device, and for each how far from it an honest device may
/// be: infinitely where rounding decides between far values.
///
/// # Errors
/// What the evaluation reports.
pub fn elements_and_errors(tensor: &Tensor) -> Result<(Values, Values)> {
    // A matrix in blocks is evaluated as its blocks; what a reshape of it has is its numbers.
    let numbers = tensor.is_quantized().then(|| tensor.reshape([tensor.count()]));
    let tensor = numbers.as_ref().unwrap_or(tensor);
    tensor.eval()?;
    let known = tensor.value().map(stored).transpose()?;
    let known = known.ok_or_else(|| Error::backend("reference: a root without a value"))?;
    Ok((known.values, known.errors))
}

/// Elements of a node, all as f64, those of i64 as its bits.
pub type Values = Arc<Vec<f64>>;

/// What is known of a node: its elements, and in a [`bounded`] reference their errors.
#[derive(Clone)]
struct Known {
    values: Values,
    errors: Values,
}

impl Known {
    fn is_exact(&self) -> bool {
        self.errors.iter().all(|&error| error == 0.0)
    }
}

fn stored(buffer: &Buffer) -> Result<Known> {
    let known: Option<&Known> = buffer.storage();
    known.cloned().ok_or_else(|| Error::backend("reference: a foreign buffer"))
}

impl Backend for Reference {
    fn name(&self) -> String {
        "reference".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: true,
            f64: true,
            i64: true,
            buffer_bytes_max: u64::MAX,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        let values = decode(dtype, bytes);
        let len = values.len();
        let errors = Arc::new(vec![0.0; len]);
        Ok(Buffer::new(Arc::new(Known { values: Arc::new(values), errors }), dtype, len))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        Ok(encode(buffer.dtype(), &stored(buffer)?.values))
    }

    fn evaluate(&self, roots: &[Tensor], _: Retention) -> Result<()> {
        let mut frame = Frame::default();
        self.resolve(roots, &mut frame)?;
        let known = frame.known;
        for root in roots.iter().filter(|root| root.value().is_none()) {
            let value = known[&root.id()].clone();
            root.set_value(Buffer::new(Arc::new(value), root.dtype(), root.count()));
        }
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn trim(&self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Reference {
    /// Computes nodes and all that they are made from.
    fn resolve(&self, roots: &[Tensor], frame: &mut Frame) -> Result<()> {
        let mut stack: Vec<(Tensor, bool)> =
            roots.iter().map(|root| (root.clone(), false)).collect();
        while let Some((tensor, ready)) = stack.pop() {
            if frame.known.contains_key(&tensor.id()) {
                continue;
            }
            // In a body a node has another value at every step.
            if let Some(value) = tensor.value().filter(|_| frame.steps.is_empty()) {
                frame.known.insert(tensor.id(), stored(value)?);
                continue;
            }
            let operands: Vec<Tensor> = match tensor.op() {
                Op::Detach(source) => source.source().into_iter().collect(),
                Op::Custom(_) | Op::Barrier => tensor.inputs()[..1].to_vec(),
                _ => tensor.inputs().to_vec(),
            };
            if !ready {
                stack.push((tensor, true));
                stack.extend(operands.into_iter().map(|operand| (operand, false)));
                continue;
            }
            let inputs: Vec<Known> =
                operands.iter().map(|operand| frame.known[&operand.id()].clone()).collect();
            let node = match tensor.op() {
                Op::Loop(result) => self.loop_result(&tensor, result, &inputs, frame)?,
                _ => self.node(&tensor, &operands, &inputs, &frame.steps)?,
            };
            frame.known.insert(tensor.id(), node);
        }
        Ok(())
    }

    fn node(
        &self,
        tensor: &Tensor,
        operands: &[Tensor],
        inputs: &[Known],
        steps: &[u32],
    ) -> Result<Known> {
        let values: Vec<Values> = inputs.iter().map(|input| input.values.clone()).collect();
        let shapes: Vec<Shape> = operands.iter().map(|operand| *operand.shape()).collect();
        let result = compute(tensor, &values, &shapes, operands, steps)?;
        assert_eq!(result.len(), tensor.count(), "reference: {}", tensor.op().name());
        Ok(match self.arithmetic {
            Some(arithmetic) => {
                let node = bounds::Node { tensor, operands, shapes: &shapes };
                bounds::compute(arithmetic, &node, inputs, result)
            }
            None => Known { values: Arc::new(halved(tensor, result)), errors: Values::default() },
        })
    }
}

/// One node's elements from its operands'; `steps` are the numbers of the steps of the loops around it.
fn compute(
    tensor: &Tensor,
    values: &[Values],
    shapes: &[Shape],
    operands: &[Tensor],
    steps: &[u32],
) -> Result<Vec<f64>> {
    let shape = *tensor.shape();
    let count = shape.count();
    Ok(match tensor.op() {
        Op::Buffer => return Err(Error::backend("reference: a leaf without a value")),
        Op::Placeholder | Op::Transfer => {
            return Err(Error::placeholder(tensor.shape(), tensor.origin()));
        }
        Op::Constant(value) | Op::Argument(value) => {
            let dtype = tensor.dtype();
            let number = match dtype.is_float() {
                true => round(dtype, value.as_f64()),
                false => integers::scalar(dtype, *value),
            };
            vec![number; count]
        }
        Op::Iota { axis } => {
            (0..count).map(|index| coordinate(&shape, index)[*axis] as f64).collect()
        }
        Op::Random { key } => {
            let key = steps.iter().fold(Key::from_words(*key), |key, &step| key.fold(step)).words();
            let word = |index| gradloom_tensor::random::threefry(key, [index, 0])[0];
            (0..count).map(|index| f64::from(word(index as u32))).collect()
        }
        Op::Loop(_) => return Err(Error::backend("reference: a loop is no node of its own")),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast => {
            elementwise::compute(tensor, values, operands)
        }
        Op::CheckIndex { size, op } => {
            for &index in values[0].iter() {
                let index = integers::whole(tensor.dtype(), index);
                if !(0..*size as i64).contains(&index) {
                    return Err(Error::index_out_of_range(op, index, *size, tensor.origin()));
                }
            }
            values[0].to_vec()
        }
        Op::Reshape | Op::Detach(_) | Op::Custom(_) | Op::Barrier => values[0].to_vec(),
        Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_)
        | Op::Concat { .. } => views::compute(tensor, values, shapes),
        Op::Reduce(..)
        | Op::ArgReduce(..)
        | Op::Scan { .. }
        | Op::Matmul
        | Op::Convolution(..)
        | Op::ConvolutionInput(..)
        | Op::ConvolutionWeight(..)
        | Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::Gather { .. }
        | Op::ScatterAdd { .. }
        | Op::ArgSort { .. } => structured::compute(tensor, values, shapes),
        Op::Call(call) => match Woven::of(call) {
            // Exact: operands are known better than their dtypes hold them.
            Some(woven) => woven.weave(&values.iter().map(|of| &of[..]).collect::<Vec<_>>()),
            None => called(call, values)
                .map_err(|error| error.of_op(tensor.op().name(), &shape, tensor.origin()))?,
        },
        Op::Write { .. } | Op::Dequantize(_) | Op::Attention(_) => {
            sequences::compute(tensor, values, shapes)
        }
    })
}

/// What an op from outside gives for operands as their dtypes hold them.
fn called(call: &Call, values: &[Values]) -> Result<Vec<f64>> {
    let pairs = call.operands().iter().zip(values);
    let operands: Vec<Vec<u8>> = pairs.map(|(of, values)| encode(of.dtype, values)).collect();
    let operands: Vec<&[u8]> = operands.iter().map(Vec::as_slice).collect();
    Ok(decode(call.node().dtype, &call.run_anywhere(&operands)?))
}

/// Coordinates of a linear index.
pub(crate) fn coordinate(shape: &Shape, mut index: usize) -> Vec<usize> {
    let mut result = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        result[axis] = index % shape[axis];
        index /= shape[axis];
    }
    result
}

/// Linear index of coordinates.
pub(crate) fn linear(shape: &Shape, coordinate: &[usize]) -> usize {
    shape.iter().zip(coordinate).fold(0, |index, (&size, &position)| index * size + position)
}

/// Where an element of a shape goes when the axes that `to` has with size one are reduced.
fn reduced_index(from: &Shape, to: &Shape, index: usize) -> usize {
    let mut at = coordinate(from, index);
    for (axis, position) in at.iter_mut().enumerate() {
        if to[axis] == 1 {
            *position = 0;
        }
    }
    linear(to, &at)
}

/// Halves rounded, as a value of their dtype.
fn halved(tensor: &Tensor, mut values: Vec<f64>) -> Vec<f64> {
    if matches!(tensor.dtype(), DType::F16 | DType::BF16) {
        values.iter_mut().for_each(|value| *value = round(tensor.dtype(), *value));
    }
    values
}

/// A value as `dtype` stores it, except that f32 keeps the precision of f64.
pub(crate) fn round(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F32 | DType::F64 => value,
        DType::F16 => rounding::to_f16(value).to_f64(),
        DType::BF16 => rounding::to_bf16(value).to_f64(),
        DType::I32 | DType::I8 | DType::U32 | DType::U8 => dtype.wrap(value as i64) as f64,
        // As it is: these are bits.
        DType::I64 => value,
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

fn decode(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn all<T: Element>(bytes: &[u8]) -> Vec<f64> {
        T::from_bytes(bytes).into_iter().map(|value| Into::<Scalar>::into(value).as_f64()).collect()
    }
    match dtype {
        DType::F32 => all::<f32>(bytes),
        DType::F64 => all::<f64>(bytes),
        DType::F16 => all::<f16>(bytes),
        DType::BF16 => all::<bf16>(bytes),
        DType::I32 => all::<i32>(bytes),
        DType::I64 => f64::from_bytes(bytes),
        DType::I8 => all::<i8>(bytes),
        DType::U32 => all::<u32>(bytes),
        DType::U8 => all::<u8>(bytes),
        DType::Bool => all::<bool>(bytes),
    }
}

fn encode(dtype: DType, values: &[f64]) -> Vec<u8> {
    fn all<T: Element>(values: &[f64], convert: impl Fn(f64) -> T) -> Vec<u8> {
        let converted: Vec<T> = values.iter().map(|&value| convert(value)).collect();
        T::to_bytes(&converted).into_owned()
    }
    match dtype {
        DType::F32 => all(values, |value| value as f32),
        DType::F64 => all(values, |value| value),
        DType::F16 => all(values, rounding::to_f16),
        DType::BF16 => all(values, rounding::to_bf16),
        DType::I32 => all(values, |value| value as i32),
        DType::I64 => all(values, |value| value),
        DType::I8 => all(values, |value| value as i8),
        DType::U32 => all(values, |value| value as u32),
        DType::U8 => all(values, |value| value as u8),
        DType::Bool => all(values, |value| value != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use gradloom_tensor::BlockFormat;
    use gradloom_tensor::op::Window;
    use gradloom_tensor::ops::attention::AttentionOptions;

    use super::*;

    #[test]
    fn a_window_of_padding_has_no_maximum() {
        let device = bounded(Arithmetic::Host);
        let window = Window::new([1, 2]).padding([[0, 0], [2, 0]]);
        let input = Tensor::from_vec(vec![3.0f32, 5.0], [1, 1, 1, 2], &device).unwrap();
        let ones = Tensor::ones([1, 1, 1, 3], DType::F32, &device);
        let scattered = Tensor::pool_max_scatter(&input, &ones, window);
        assert_eq!(scattered.to_vec::<f32>().unwrap(), [1.0, 1.0]);
        let gathered = Tensor::pool_max_gather(&input, &input, window);
        assert_eq!(gathered.to_vec::<f32>().unwrap(), [0.0, 3.0, 5.0]);
        let empty = Tensor::zeros([1, 1, 1, 0], DType::F32, &device);
        let padded = Window::new([1, 1]).padding([[0, 0], [1, 0]]);
        let gathered = Tensor::pool_max_gather(&empty, &empty, padded);
        assert_eq!(gathered.to_vec::<f32>().unwrap(), [0.0]);
    }

    #[test]
    fn keys_that_a_mask_hides_all_count_the_same() {
        let device = bounded(Arithmetic::Host);
        let query = Tensor::ones([1, 1, 2, 1], DType::F32, &device);
        let value = Tensor::from_vec(vec![1.0f32, 3.0], [1, 1, 2, 1], &device).unwrap();
        let mask = Tensor::from_vec(vec![false, false, true, false], [2, 2], &device).unwrap();
        let options = AttentionOptions::default().mask(&mask);
        let result = Tensor::attention(&query, &query, &value, &options);
        let (values, errors) = elements_and_errors(&result).unwrap();
        assert_eq!(values[..], [2.0, 1.0]);
        assert!(errors.iter().all(|&error| error < 1e-5), "{errors:?}");
    }

    #[test]
    fn a_matrix_in_blocks_can_be_a_root() {
        let device = bounded(Arithmetic::Host);
        let matrix = Tensor::ones([2, 32], DType::F32, &device);
        let matrix = matrix.quantize(BlockFormat::Q8_0).unwrap();
        let (values, errors) = elements_and_errors(&matrix).unwrap();
        assert_eq!((values.len(), errors.len()), (64, 64));
    }
}
