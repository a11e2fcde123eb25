//! [`Pipelines`]: compiled shaders by their source, shared by all plans.

use std::sync::Arc;

use gradloom_tensor::Result;
use rustc_hash::FxHashMap;

use crate::codegen::Dispatch;
use crate::codegen::bindings::Binding;
use crate::gpu::Gpu;

/// A compiled shader and the layout of what it binds.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// Compiled shaders by source, layouts by the kinds of their bindings.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    by_source: FxHashMap<Arc<str>, Arc<Pipeline>>,
    /// The same sources in the order of their first use.
    sources: Vec<Arc<str>>,
    layouts: FxHashMap<Vec<wgpu::BufferBindingType>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
}

impl Pipelines {
    /// The pipeline of a dispatch, compiled if its source is new.
    pub(crate) fn get(&mut self, gpu: &Gpu, dispatch: &Dispatch) -> Result<Arc<Pipeline>> {
        if let Some(pipeline) = self.by_source.get(dispatch.source.as_str()) {
            return Ok(Arc::clone(pipeline));
        }
        let (layout, pipeline_layout) = self.layout(gpu, &dispatch.bindings)?;
        let raw = gpu.scoped(&dispatch.label, || {
            let module = shader_module(gpu, dispatch);
            gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&dispatch.label),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes its workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        });
        let raw = raw.inspect_err(|_| {
            if std::env::var_os("GRADLOOM_DUMP_WGSL").is_some() {
                eprintln!("{}", dispatch.source);
            }
        })?;
        let pipeline = Arc::new(Pipeline { raw, layout });
        let source: Arc<str> = dispatch.source.as_str().into();
        self.sources.push(Arc::clone(&source));
        self.by_source.insert(source, Arc::clone(&pipeline));
        Ok(pipeline)
    }

    /// Source text of every pipeline from number `first` on, in the order of their first use.
    pub(crate) fn sources(&self, first: usize) -> Vec<Arc<str>> {
        self.sources.get(first..).unwrap_or_default().to_vec()
    }

    fn layout(
        &mut self,
        gpu: &Gpu,
        bindings: &[Binding],
    ) -> Result<(wgpu::BindGroupLayout, wgpu::PipelineLayout)> {
        let kinds: Vec<wgpu::BufferBindingType> = bindings.iter().map(kind).collect();
        if let Some(found) = self.layouts.get(&kinds) {
            return Ok(found.clone());
        }
        let entries: Vec<wgpu::BindGroupLayoutEntry> = kinds
            .iter()
            .zip(0..)
            .map(|(&ty, binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let made = gpu.scoped("making a bind group layout", || {
            let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
            let layout = gpu.device.create_bind_group_layout(&descriptor);
            let pipeline_layout =
                gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: None,
                    bind_group_layouts: &[Some(&layout)],
                    immediate_size: 0,
                });
            (layout, pipeline_layout)
        })?;
        self.layouts.insert(kinds, made.clone());
        Ok(made)
    }
}

fn kind(binding: &Binding) -> wgpu::BufferBindingType {
    if binding.uniform {
        return wgpu::BufferBindingType::Uniform;
    }
    wgpu::BufferBindingType::Storage { read_only: !binding.writable }
}

/// The module without run-time checks of its own.
#[expect(unsafe_code, reason = "run-time checks cost up to a third of a kernel's time")]
fn shader_module(gpu: &Gpu, dispatch: &Dispatch) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(&dispatch.label),
        source: wgpu::ShaderSource::Wgsl(dispatch.source.as_str().into()),
    };
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: the source is generated here and keeps three rules. Bounds: `Unit::new` checks that every
    // view stays inside its buffer and `Executor::run` that buffers have the planned lengths; threads
    // beyond an iteration space leave before they touch memory; indices that come from data are clamped
    // or skipped. Sizes, strides and offsets are words that a plan uploads once, of the same views that
    // were checked. Loops: each has a bound that is a constant of the shader or one of these words.
    // Integer division: divisors in addresses are sizes of non-empty axes; those from data go through
    // gl_div and gl_rem, which handle zero and the least integer by -1.
    unsafe { gpu.device.create_shader_module_trusted(descriptor, checks) }
}
