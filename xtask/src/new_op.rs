//! What a new function of floats needs: one entry in each of four places. The compiler finds a forgotten
//! one.

/// Prints the rows to add.
pub(crate) fn run(name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let first = letters.next().filter(char::is_ascii_lowercase);
    let Some(first) = first
        .filter(|_| name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()))
    else {
        return Err(format!("new-op: {name:?} is not a snake_case name"));
    };
    let variant: String = first.to_ascii_uppercase().to_string() + letters.as_str();
    println!(
        "\
1. crates/gradloom-tensor/src/elementwise.rs, a row among the `floats` of the table:
     /// What it computes. PyTorch: `{name}`.
     {variant} {name}, |a| /* in f64 */, \"gl_{name}(a)\", Nature::new(8, Elementary);
2. crates/gradloom-autodiff/src/rules/elementwise.rs, its derivative:
     Unary::{variant} => g * /* derivative of y by x */,
3. crates/gradloom-cpu/src/math/, its vector code:
     pub(crate) fn {name}<const FMA: bool>(x: f32) -> f32
4. shaders/shared/math.wgsl:
     fn gl_{name}(a: f32) -> f32
Then `cargo xtask test`: every row is tested, on every device. docs/adding-an-op.md says more."
    );
    Ok(())
}
