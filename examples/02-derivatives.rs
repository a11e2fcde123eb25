//! Derivatives: gradients, gradients of gradients, Jacobian- and Hessian-vector products, and a Newton
//! step that uses them.
//!
//! `cargo run --release --example 02-derivatives`, which takes less than a second
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::Arguments;
use gradloom::prelude::*;

/// Rosenbrock's valley: its minimum 0 lies at (1, 1).
fn rosenbrock(p: &Tensor) -> Tensor {
    let (x, y) = (p.index(0, 0), p.index(0, 1));
    (1.0 - &x).square() + (y - x.square()).square() * 100.0
}

fn main() -> Result<(), Failure> {
    Arguments::read(include_str!("02-derivatives.rs"), &[])?;
    // f64 lives on the CPU.
    let device = Device::cpu();
    let x = Tensor::new([0.5f64, 1.0, 1.5], &device)?;

    let y = x.sin().sum(..);
    let first = grad(&y, &[&x]).swap_remove(0);
    let second = grad(&first.sum(..), &[&x]).swap_remove(0);
    let third = grad(&second.sum(..), &[&x]).swap_remove(0);
    println!(
        "x           = {x}\nsin'(x)     = {first}\nsin''(x)    = {second}\nsin'''(x)   = {third}\n"
    );

    // How softmax moves when the input moves along a direction.
    let direction = Tensor::new([1.0f64, 0.0, 0.0], &device)?;
    println!("d softmax(x) along the first axis = {}\n", jvp(&x.softmax(-1), &[&x], &[&direction]));

    // A gradient of one's own: rounding that lets gradients through.
    let rounded = custom_grad(&x.round(), std::slice::from_ref(&x), |_, _, gradient| {
        vec![Some(gradient.clone())]
    });
    println!("straight-through gradient of round: {}\n", grad(&rounded.sum(..), &[&x])[0]);

    // Newton's method: the 2x2 Hessian from two Hessian-vector products, in a few steps to (1, 1).
    let mut p = Tensor::new([-1.2f64, 1.0], &device)?;
    for step in 0..8 {
        let value = rosenbrock(&p);
        let gradient = grad(&value, &[&p]).swap_remove(0);
        let column = |unit: [f64; 2]| -> Result<Vec<f64>, Failure> {
            Ok(hvp(&value, &p, &Tensor::new(unit, &device)?).to_vec()?)
        };
        let (a, b) = (column([1.0, 0.0])?, column([0.0, 1.0])?);
        let g = gradient.to_vec::<f64>()?;
        println!(
            "step {step}: f({p}) = {:.3e}, |gradient| = {:.3e}",
            value.item()?,
            gradient.norm(..).item()?
        );
        let determinant = a[0] * b[1] - a[1] * b[0];
        let move_x = (b[1] * g[0] - b[0] * g[1]) / determinant;
        let move_y = (a[0] * g[1] - a[1] * g[0]) / determinant;
        p = (&p - Tensor::new([move_x, move_y], &device)?).detach();
    }
    println!("minimum at {p}");
    Ok(())
}
