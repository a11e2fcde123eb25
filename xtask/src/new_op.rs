//! What a new elementwise op needs: one row in each of four places. The compiler finds a forgotten one,
//! because no match on the op has a `_` arm.

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
1. crates/gradloom-tensor/src/elementwise.rs, a row of the table:
     /// What it computes.
     {variant}, \"{name}\", |a| /* in f64 */, \"gl_{name}(a)\";
   and a method `{name}` in crates/gradloom-tensor/src/ops/elementwise.rs.
2. crates/gradloom-autodiff/src/rules/elementwise.rs, its derivative:
     Unary::{variant} => g * /* derivative of y by x */,
3. The vector code in crates/gradloom-cpu, and `fn gl_{name}` in shaders/shared/math.wgsl.
4. crates/gradloom-testkit/src/cases/elementwise.rs, a row:
     Case::new(\"{name}\", |x| x[0].{name}()).float(s),
Then `cargo xtask codegen` and `cargo xtask test`. docs/adding-an-op.md says more."
    );
    Ok(())
}
