//! Numbers between the host, where detectors choose, and the device.

use crate::{Error, Result};
use gradloom_tensor::{DType, Device, Tensor, eval};

/// Values of tensors on the host, computed at once.
pub(crate) fn read<const N: usize>(family: &str, tensors: [&Tensor; N]) -> Result<[Vec<f32>; N]> {
    let tensors = tensors.map(|tensor| tensor.detach().cast(DType::F32));
    eval(&tensors)?;
    let mut values = [const { Vec::new() }; N];
    for (values, tensor) in values.iter_mut().zip(&tensors) {
        *values = tensor.to_vec::<f32>()?;
        if values.iter().any(|value| !value.is_finite()) {
            let message =
                "what the network says is not finite; look for NaN in pictures and weights";
            return Err(Error::invalid(format!("{family}: {message}")));
        }
    }
    Ok(values)
}

/// Four numbers a box.
pub(crate) fn as_boxes(values: &[f32]) -> Vec<[f32; 4]> {
    values.chunks_exact(4).map(|side| [side[0], side[1], side[2], side[3]]).collect()
}

/// Boxes `[N, 4]` of this dtype.
pub(crate) fn box_tensor(boxes: &[[f32; 4]], dtype: DType, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(boxes.concat(), [boxes.len(), 4], device)?.cast(dtype))
}

/// Numbers of this dtype; devices without f64 get f32.
pub(crate) fn floats(
    values: &[f64],
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    if dtype == DType::F64 {
        return Tensor::from_slice(values, shape, device);
    }
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Ok(Tensor::from_vec(values, shape, device)?.cast(dtype))
}
