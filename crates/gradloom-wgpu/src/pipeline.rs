//! [`Pipelines`]: compiled shaders by their source, shared by all plans.

use std::collections::BTreeSet;
use std::sync::Arc;

use gradloom_tensor::Result;
use rustc_hash::FxHashMap;

use crate::codegen::Dispatch;
use crate::codegen::bindings::{Binding, Resource};
use crate::codegen::variant::Variant;
use crate::gpu::Gpu;
use crate::pipeline_file::PipelineFile;
use crate::profile::Watched;

/// A compiled shader and the layout of what it binds.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// A shader that was compiled, to look at and for tests that translate it to other languages.
#[derive(Clone, Debug)]
pub struct Shader {
    /// How many were compiled before it.
    pub number: u64,
    /// The kernel for which it was compiled first: its kind and shape.
    pub kernel: String,
    /// Its WGSL.
    pub source: Arc<str>,
}

/// Pipelines that no plan uses are forgotten from so many on, plans from so many in use. Each takes up
/// to a megabyte of the driver's memory.
const PIPELINES_MAX: usize = 512;

/// Compiled shaders by source, layouts by the kinds of their bindings.
#[derive(Debug)]
pub(crate) struct Pipelines {
    file: Option<PipelineFile>,
    by_source: FxHashMap<Arc<str>, Entry>,
    layouts: FxHashMap<Vec<Kind>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    /// Number of pipelines compiled so far.
    pub(crate) compiled: u64,
    clock: u64,
}

/// The type of a binding, and whether its offset is given with the dispatch.
type Kind = (wgpu::BufferBindingType, bool);

#[derive(Debug)]
struct Entry {
    pipeline: Arc<Pipeline>,
    number: u64,
    kernel: String,
    variant: Variant,
    /// When a plan was compiled that uses it.
    used: u64,
}

impl Pipelines {
    pub(crate) fn new(gpu: &Gpu) -> Pipelines {
        Pipelines {
            file: PipelineFile::open(gpu),
            by_source: FxHashMap::default(),
            layouts: FxHashMap::default(),
            compiled: 0,
            clock: 0,
        }
    }

    /// The pipeline of a dispatch, compiled if its source is new.
    pub(crate) fn get(&mut self, gpu: &Gpu, dispatch: &Dispatch) -> Result<Arc<Pipeline>> {
        self.clock += 1;
        if let Some(entry) = self.by_source.get_mut(dispatch.source.as_str()) {
            entry.used = self.clock;
            return Ok(Arc::clone(&entry.pipeline));
        }
        if self.by_source.len() >= PIPELINES_MAX {
            self.forget_unused();
        }
        let (layout, pipeline_layout) = self.layout(gpu, &dispatch.bindings)?;
        let kept = self.file.as_mut().map(PipelineFile::cache);
        let raw = compile(gpu, dispatch, &pipeline_layout, kept).inspect_err(|_| {
            if std::env::var_os("GRADLOOM_DUMP_WGSL").is_some() {
                eprintln!("{}", dispatch.source);
            }
        })?;
        let pipeline = Arc::new(Pipeline { raw, layout });
        let entry = Entry {
            pipeline: Arc::clone(&pipeline),
            number: self.compiled,
            kernel: dispatch.label.clone(),
            variant: dispatch.variant.clone(),
            used: self.clock,
        };
        self.by_source.insert(dispatch.source.as_str().into(), entry);
        self.compiled += 1;
        Ok(pipeline)
    }

    /// Writes what was compiled to its file, if it is time to.
    pub(crate) fn save_if_due(&mut self) {
        if let Some(file) = &mut self.file {
            file.save_if_due();
        }
    }

    /// True if plans use more pipelines than are good for a driver.
    pub(crate) fn are_crowded(&self) -> bool {
        self.by_source.len() >= PIPELINES_MAX
    }

    /// Forgets the half of the pipelines that no plan uses which was used least recently.
    pub(crate) fn forget_unused(&mut self) {
        let unused = |entry: &Entry| Arc::strong_count(&entry.pipeline) == 1;
        let mut uses: Vec<u64> =
            self.by_source.values().filter(|entry| unused(entry)).map(|entry| entry.used).collect();
        uses.sort_unstable();
        let Some(&middle) = uses.get(uses.len() / 2) else { return };
        self.by_source.retain(|_, entry| !unused(entry) || entry.used > middle);
    }

    /// Forgets all pipelines; plans keep those that they use.
    pub(crate) fn forget_all(&mut self) {
        self.by_source.clear();
    }

    /// The shaders from number `first` on that are not forgotten, in the order of their first use.
    pub(crate) fn shaders(&self, first: u64) -> Vec<Shader> {
        let wanted = self.by_source.iter().filter(|(_, entry)| entry.number >= first);
        let mut shaders: Vec<Shader> = wanted
            .map(|(source, entry)| {
                let (number, kernel) = (entry.number, entry.kernel.clone());
                Shader { number, kernel, source: Arc::clone(source) }
            })
            .collect();
        shaders.sort_unstable_by_key(|shader| shader.number);
        shaders
    }

    /// The time of the last use, for [`Pipelines::variants`].
    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// The variants of the shaders that plans were compiled with after that time.
    pub(crate) fn variants(&self, after: u64) -> BTreeSet<Variant> {
        let used = self.by_source.values().filter(|entry| entry.used > after);
        used.map(|entry| entry.variant.clone()).collect()
    }

    fn layout(
        &mut self,
        gpu: &Gpu,
        bindings: &[Binding],
    ) -> Result<(wgpu::BindGroupLayout, wgpu::PipelineLayout)> {
        let kinds: Vec<Kind> = bindings.iter().map(kind).collect();
        if let Some(found) = self.layouts.get(&kinds) {
            return Ok(found.clone());
        }
        let entries: Vec<wgpu::BindGroupLayoutEntry> = kinds
            .iter()
            .zip(0..)
            .map(|(&(ty, has_dynamic_offset), binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
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

fn kind(binding: &Binding) -> Kind {
    let ty = match binding.uniform {
        true => wgpu::BufferBindingType::Uniform,
        false => wgpu::BufferBindingType::Storage { read_only: !binding.writable },
    };
    (ty, binding.resource == Resource::Turn)
}

fn compile(
    gpu: &Gpu,
    dispatch: &Dispatch,
    layout: &wgpu::PipelineLayout,
    kept: Option<&wgpu::PipelineCache>,
) -> Result<wgpu::ComputePipeline> {
    let watched = Watched::begin();
    let compiled = gpu.scoped(&dispatch.label, || {
        let module = shader_module(gpu, dispatch);
        gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&dispatch.label),
            layout: Some(layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: dispatch.foreign,
                ..Default::default()
            },
            cache: kept,
        })
    });
    Watched::end(watched, gpu, "shader", &dispatch.label, 0);
    compiled
}

/// The module, without run-time checks where its text is ours.
#[expect(unsafe_code, reason = "run-time checks cost up to a third of a kernel's time")]
fn shader_module(gpu: &Gpu, dispatch: &Dispatch) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(&dispatch.label),
        source: wgpu::ShaderSource::Wgsl(dispatch.source.as_str().into()),
    };
    if dispatch.foreign {
        return gpu.device.create_shader_module(descriptor);
    }
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
