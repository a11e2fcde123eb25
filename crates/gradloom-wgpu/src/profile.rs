//! [`Timestamps`]: when each dispatch of an evaluation ran, while somebody profiles and the device has
//! timestamps. Each dispatch then has a pass of its own, so totals are higher than without. And
//! [`Watched`]: what else takes time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gradloom_plan::Plan;
use gradloom_plan::profile::{self, KernelRun, Profile};
use gradloom_tensor::Result;

use crate::gpu::Gpu;
use crate::status::Sites;
use crate::wait::{Wait, finish};

/// Something besides kernels that takes time, while somebody profiles.
#[derive(Debug)]
pub(crate) struct Watched {
    profile: Arc<Profile>,
    start: Instant,
}

impl Watched {
    pub(crate) fn begin() -> Option<Watched> {
        let profile = profile::active()?;
        Some(Watched { profile, start: Instant::now() })
    }

    /// Notes it, if it is watched. What waits for other work before it counts that too.
    pub(crate) fn end(
        watched: Option<Watched>,
        gpu: &Gpu,
        what: &'static str,
        detail: &str,
        bytes: usize,
    ) {
        if let Some(Watched { profile, start }) = watched {
            profile.other(&gpu.name(), what, detail, start, bytes as u64);
        }
    }
}

/// What profiles call the place where dispatches run.
const QUEUE: &str = "queue";

/// Queries that are used again by every evaluation.
#[derive(Debug, Default)]
pub(crate) struct Timestamps {
    queries: Option<Queries>,
}

#[derive(Debug)]
struct Queries {
    set: wgpu::QuerySet,
    capacity: usize,
    resolved: wgpu::Buffer,
    readable: wgpu::Buffer,
}

/// Timestamps of a query set at most, by WebGPU.
const QUERIES_MAX: usize = 4096;

impl Timestamps {
    /// Makes room for the timestamps of `count` dispatches.
    pub(crate) fn begin(&mut self, gpu: &Gpu, count: usize) {
        let capacity = (count * 2).next_power_of_two().min(QUERIES_MAX);
        let timed = gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY);
        let enough = self.queries.as_ref().is_some_and(|queries| queries.capacity >= capacity);
        if !timed || enough {
            return;
        }
        let bytes = capacity as u64 * 8;
        let buffer = |usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gradloom timestamps"),
                size: bytes,
                usage,
                mapped_at_creation: false,
            })
        };
        self.queries = Some(Queries {
            set: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: capacity as u32,
            }),
            capacity,
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readable: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        });
    }

    /// The pass of dispatch `position`.
    pub(crate) fn pass(&self, position: usize) -> wgpu::ComputePassDescriptor<'_> {
        let timestamp_writes =
            self.queries.as_ref().filter(|queries| position * 2 + 1 < queries.capacity).map(
                |queries| wgpu::ComputePassTimestampWrites {
                    query_set: &queries.set,
                    beginning_of_pass_write_index: Some(position as u32 * 2),
                    end_of_pass_write_index: Some(position as u32 * 2 + 1),
                },
            );
        wgpu::ComputePassDescriptor { label: None, timestamp_writes }
    }

    /// Copies the timestamps to where the host reads them.
    pub(crate) fn resolve(&self, encoder: &mut wgpu::CommandEncoder, count: usize) {
        if let Some(queries) = &self.queries {
            let used = (count * 2).min(queries.capacity) as u32;
            encoder.resolve_query_set(&queries.set, 0..used, &queries.resolved, 0);
            let bytes = u64::from(used) * 8;
            encoder.copy_buffer_to_buffer(&queries.resolved, 0, &queries.readable, 0, bytes);
        }
    }

    /// Notes the kernels of a piece that was just submitted: `kernels` says of each dispatch whose it is.
    /// Gives the time of each kernel of the plan that has one.
    pub(crate) fn note(
        &self,
        gpu: &Arc<Gpu>,
        profile: &Profile,
        (plan, sites): (&Plan, Sites<'_>),
        kernels: &[usize],
    ) -> Result<Vec<Option<Duration>>> {
        let device = &gpu.name();
        let submitted = Instant::now();
        let stamps = self.stamps(gpu, kernels.len())?;
        let mut times = vec![None; plan.kernels.len()];
        // A kernel is as long as its dispatches; those beyond the last timestamp have none.
        let mut runs: Vec<(usize, Duration, Option<Duration>)> = Vec::new();
        for (position, &index) in kernels.iter().enumerate() {
            let stamp = stamps.get(position);
            let time = stamp.map(|[begin, end]| end.saturating_sub(*begin));
            match runs.last_mut().filter(|(last, ..)| *last == index) {
                Some((_, _, total)) => {
                    *total = total.and_then(|total| time.map(|time| total + time));
                }
                None => runs.push((index, stamp.map_or(Duration::ZERO, |stamp| stamp[0]), time)),
            }
        }
        let first = stamps.first().map_or(Duration::ZERO, |stamp| stamp[0]);
        let named = |node: usize| {
            let site = sites(node);
            (site.op, site.origin)
        };
        for (index, begin, time) in runs {
            let Some(time) = time else { continue };
            times[index] = Some(time);
            let start = submitted + begin.saturating_sub(first);
            let track = Some(QUEUE);
            let run = KernelRun { device, plan, index, start, time, track, in_parts: false };
            profile.kernel(Some(&named), run);
        }
        Ok(times)
    }

    /// Begin and end of each dispatch, from an arbitrary moment on.
    fn stamps(&self, gpu: &Arc<Gpu>, count: usize) -> Result<Vec<[Duration; 2]>> {
        let Some(queries) = &self.queries else { return Ok(Vec::new()) };
        let bytes = (count * 2).min(queries.capacity) as u64 * 8;
        let mapped = finish(gpu.mapped(&queries.readable, bytes, None, Wait::Blocking))?;
        let period = f64::from(gpu.queue.get_timestamp_period());
        let stamps: Vec<u64> = mapped.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        drop(mapped);
        queries.readable.unmap();
        let zero = stamps.iter().copied().min().unwrap_or(0);
        let since = |stamp: u64| Duration::from_nanos(((stamp - zero) as f64 * period) as u64);
        Ok(stamps.chunks_exact(2).map(|pair| [since(pair[0]), since(pair[1])]).collect())
    }
}
