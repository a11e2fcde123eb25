//! The native twin: prints the losses of so many steps.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(10), |steps| steps.parse())?;
    if !wasm_training::now(wasm_training::sound())? {
        return Err("the small checks fail".into());
    }
    for loss in wasm_training::all_losses(steps, wasm_training::EPOCHS)? {
        println!("{loss}");
    }
    Ok(())
}
