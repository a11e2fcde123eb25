//! What a new op needs: a function of floats one entry in each of four places, of which the compiler finds a
//! forgotten one; an op with a kernel of its own five.

/// Prints what to add for a function of floats.
pub(crate) fn run(name: &str) -> Result<(), String> {
    let variant = variant(name)?;
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

/// Prints what to add for an op with a kernel of its own.
pub(crate) fn structured(name: &str) -> Result<(), String> {
    let variant = variant(name)?;
    println!(
        "\
1. crates/gradloom-tensor/src/ops/{name}.rs, as `search.rs`:
     struct {variant} {{ .. }}, which is Debug + Clone + PartialEq + Eq + Hash
     impl CustomOp for {variant} {{ name, results, run, wgsl, derivative, vmap }}
     impl Tensor {{ pub fn {name}(&self, ..) -> Tensor }}, which ends with `custom_op`
2. crates/gradloom-tensor/src/ops/mod.rs:
     mod {name};
3. crates/gradloom-testkit/src/cases/, rows:
     Case::new(\"{name}\", |x| x[0].{name}(..)).float(&[3, 5]),
4. crates/gradloom-testkit/src/graphs/generate/, a draw:
     call!(c => c.x[0].{name}(..)),
5. crates/gradloom/tests/backends/, its values, edges and errors.
Then `cargo xtask test`. docs/adding-an-op.md says more."
    );
    Ok(())
}

/// The name of an op as that of a type.
fn variant(name: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !name.split('_').all(is_word) {
        return Err(format!("new-op: {name:?} is not a snake_case name"));
    }
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    Ok(name.split('_').map(capital).collect())
}
