//! Attention maps by layer and head, and what they come to over all layers.

use gradloom_tensor::{Error, Result, Tensor};

use crate::{Forward, Inputs};

/// The attention weights `[B, H, T, S]` of each layer that shows them, with its name, in the order of the run:
/// all taps named `attention`, alone or as the last part of a name.
///
/// # Errors
/// If the model shows none.
pub fn attention_maps(forward: &Forward, inputs: &Inputs) -> Result<Vec<(String, Tensor)>> {
    let run = forward.run_tapped(&inputs.all())?;
    let names: Vec<String> = run.taps.iter().map(|(name, _)| name.clone()).collect();
    let is_map = |(name, tensor): &(String, Tensor)| {
        name.rsplit('.').next() == Some("attention") && tensor.rank() == 4
    };
    let maps: Vec<(String, Tensor)> = run.taps.into_iter().filter(is_map).collect();
    if maps.is_empty() {
        return Err(Error::invalid(format!(
            "attention_maps: the model taps no attention of [B, H, T, S]; it taps {}",
            names.join(", ")
        )));
    }
    Ok(maps)
}

/// How much each place of the last layer draws from each place of the input, `[B, T, T]`: the product over
/// layers of the mean of the heads, half of which is the residual connection.
///
/// Abnar, Zuidema, "Quantifying attention flow in transformers", 2020.
///
/// # Errors
/// If there are no maps, or they are not `[B, H, T, T]` of one B and T.
pub fn attention_rollout(maps: &[Tensor]) -> Result<Tensor> {
    let Some(first) = maps.first() else {
        return Err(Error::invalid("attention_rollout: no maps; give those of attention_maps"));
    };
    let mut flow: Option<Tensor> = None;
    for map in maps {
        let square = matches!(map.shape()[..], [_, heads, t, s] if heads > 0 && t == s);
        if !square || map.shape()[0] != first.shape()[0] || map.shape()[2] != first.shape()[2] {
            return Err(Error::shape(format!(
                "attention_rollout: a map of shape {}, the first {}; all must be [B, H, T, T]",
                map.shape(),
                first.shape()
            )));
        }
        let eye = Tensor::eye(map.shape()[2], map.dtype(), map.device());
        let mixed = map.mean(1).add(eye).mul(0.5);
        let mixed = mixed.div(mixed.sum_keepdim(-1));
        flow = Some(match flow {
            Some(flow) => mixed.matmul(&flow),
            None => mixed,
        });
    }
    Ok(flow.expect("there is a map"))
}
