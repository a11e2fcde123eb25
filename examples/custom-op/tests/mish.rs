//! The op on the processor and on every GPU adapter.

use custom_op::mish;
use gradloom::prelude::*;

fn close(found: &[f32], expected: &[f32]) {
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-5);
    assert!(near && found.len() == expected.len(), "{found:?}, not {expected:?}");
}

#[test]
fn it_is_computed_differentiated_batched_and_replayed() -> Result<()> {
    let gpus = Device::gpus();
    let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(!required || !gpus.is_empty(), "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
    for device in [Device::cpu()].into_iter().chain(gpus) {
        let x = Tensor::new([[-2.0f32, 0.0], [0.5, 3.0]], &device)?;
        let expected = [-0.252_501_5, 0.0, 0.375_245_3, 2.986_535];
        close(&mish(&x).to_vec::<f32>()?, &expected);
        // Formulas around it, its first and its second derivative.
        let first = &grad(&(mish(&x) * 2.0).sum(..), &[&x])[0];
        close(&first.to_vec::<f32>()?, &[-0.216_710_2, 1.2, 1.772_848_8, 2.042_213_8]);
        let second = &grad(&first.sum(..), &[&x])[0];
        let step = 1e-2;
        let slope = |x: &Tensor| grad(&(mish(x) * 2.0).sum(..), &[x])[0].clone();
        let difference = (slope(&(&x + step)) - slope(&(&x - step))) / (2.0 * step);
        for (a, b) in second.to_vec::<f32>()?.iter().zip(difference.to_vec::<f32>()?) {
            assert!((a - b).abs() < 2e-3, "{a} {b} on {}", device.name());
        }
        let rows = vmap(|x: &[Tensor]| mish(&x[0]).sum(..), 0, 0).call(&[x.clone()]);
        close(&rows.to_vec::<f32>()?, &[expected[0] + expected[1], expected[2] + expected[3]]);
        let before = device.statistics();
        let y = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &device)?;
        close(&mish(&y).to_vec::<f32>()?[..1], &[0.865_098_4]);
        assert_eq!(device.statistics().since(&before).plans, 0, "a plan serves other elements");
    }
    Ok(())
}
