//! Holds up Metal and Direct3D without their hardware: every kernel that a test compiles is translated.

use std::sync::Mutex;

use gradloom_wgpu::{Shader, WgpuBackend};

/// Translates what was compiled since the last call.
pub(crate) fn new_sources(backend: &WgpuBackend) {
    static DONE: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());
    let name = backend.adapter().to_string();
    let shaders = {
        let mut done = DONE.lock().unwrap();
        let position = done.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
            done.push((name, 0));
            done.len() - 1
        });
        let shaders = backend.shaders(done[position].1);
        done[position].1 = shaders.last().map_or(done[position].1, |shader| shader.number + 1);
        shaders
    };
    for Shader { source, .. } in shaders {
        translate(&source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    }
}

fn translate(source: &str) -> Result<(), String> {
    let module =
        naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let capabilities = naga::valid::Capabilities::SHADER_FLOAT16
        | naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let flags = naga::valid::ValidationFlags::all();
    let info = naga::valid::Validator::new(flags, capabilities)
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;

    let metal = naga::back::msl::Options { lang_version: (2, 4), ..Default::default() };
    naga::back::msl::write_string(&module, &info, &metal, &Default::default())
        .map_err(|error| format!("Metal: {error}"))?;

    let hlsl = naga::back::hlsl::Options {
        shader_model: naga::back::hlsl::ShaderModel::V6_2,
        ..Default::default()
    };
    let mut text = String::new();
    naga::back::hlsl::Writer::new(&mut text, &hlsl, &Default::default())
        .write(&module, &info, None)
        .map_err(|error| format!("HLSL: {error}"))?;
    Ok(())
}
