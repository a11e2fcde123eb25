//! Every permutation is valid WGSL and translates to SPIR-V, Metal and HLSL.

use gradloom_shaders::{FILES, expand, permutations};

#[test]
fn every_permutation_translates_for_every_api() {
    for permutation in permutations::all() {
        let source = expand(permutation.template, &permutation.options)
            .unwrap_or_else(|error| panic!("{}: {error}", permutation.name));
        translate(&source).unwrap_or_else(|error| {
            panic!("{}: {error}\n{source}", permutation.name);
        });
    }
}

#[test]
fn every_template_has_a_permutation() {
    let used: Vec<&str> =
        permutations::all().iter().map(|permutation| permutation.template).collect();
    for (file, _) in FILES.iter().filter(|(file, _)| !file.starts_with("shared/")) {
        assert!(used.contains(file), "{file} is in no permutation");
    }
}

#[test]
fn every_file_opens_with_a_comment() {
    for (file, text) in FILES {
        assert!(text.starts_with("// "), "{file} says nothing about itself");
    }
}

fn translate(source: &str) -> Result<(), String> {
    let module =
        naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let mut validator = naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        // For unpack2x16float, which every API has.
        naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    );
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(source))?;

    let spirv = naga::back::spv::Options::default();
    naga::back::spv::write_vec(&module, &info, &spirv, None)
        .map_err(|error| format!("SPIR-V: {error}"))?;

    let metal = naga::back::msl::Options { lang_version: (2, 4), ..Default::default() };
    naga::back::msl::write_string(&module, &info, &metal, &Default::default())
        .map_err(|error| format!("Metal: {error}"))?;

    let hlsl = naga::back::hlsl::Options {
        shader_model: naga::back::hlsl::ShaderModel::V6_0,
        ..Default::default()
    };
    let mut text = String::new();
    let pipeline = naga::back::hlsl::PipelineOptions::default();
    naga::back::hlsl::Writer::new(&mut text, &hlsl, &pipeline)
        .write(&module, &info, None)
        .map_err(|error| format!("HLSL: {error}"))?;
    Ok(())
}
