//! [`Profile`]: with `GRADLOOM_PROFILE=1` every evaluation prints its dispatches, with times where the
//! device has timestamps. Each dispatch then has a pass of its own, so totals are higher than without.

use std::sync::Arc;

use gradloom_tensor::Result;

use crate::gpu::Gpu;
use crate::wait::{Wait, finish};

/// Prints the dispatches of evaluations.
#[derive(Debug)]
pub(crate) struct Profile {
    timed: bool,
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

impl Profile {
    /// A profile if the environment asks for one.
    pub(crate) fn from_environment(gpu: &Gpu) -> Option<Profile> {
        let asked = std::env::var("GRADLOOM_PROFILE").is_ok_and(|value| value == "1");
        let timed = gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY);
        asked.then_some(Profile { timed, queries: None })
    }

    /// Makes room for the timestamps of `count` dispatches.
    pub(crate) fn begin(&mut self, gpu: &Gpu, count: usize) {
        let capacity = (count * 2).next_power_of_two().min(QUERIES_MAX);
        let enough = self.queries.as_ref().is_some_and(|queries| queries.capacity >= capacity);
        if !self.timed || enough {
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

    /// Prints the dispatches of a plan that was just submitted.
    pub(crate) fn report(
        &self,
        gpu: &Arc<Gpu>,
        plan: u64,
        labels: &[(String, [u32; 2])],
    ) -> Result<()> {
        let times = self.times(gpu, labels.len())?;
        eprintln!("plan {plan}: {} dispatches", labels.len());
        let mut total = 0.0;
        for (position, (label, grid)) in labels.iter().enumerate() {
            match times.get(position) {
                Some(microseconds) => {
                    total += microseconds;
                    eprintln!("  {microseconds:>10.2} us  {label}  grid {}x{}", grid[0], grid[1]);
                }
                None => eprintln!("  {label}  grid {}x{}", grid[0], grid[1]),
            }
        }
        if !times.is_empty() {
            eprintln!("  {total:>10.2} us  in total");
        }
        Ok(())
    }

    fn times(&self, gpu: &Arc<Gpu>, count: usize) -> Result<Vec<f64>> {
        let Some(queries) = &self.queries else { return Ok(Vec::new()) };
        let bytes = (count * 2).min(queries.capacity) as u64 * 8;
        let mapped = finish(gpu.mapped(&queries.readable, bytes, None, Wait::Blocking))?;
        let period = f64::from(gpu.queue.get_timestamp_period()) / 1e3;
        let stamps: Vec<u64> = mapped.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        drop(mapped);
        queries.readable.unmap();
        Ok(stamps
            .chunks_exact(2)
            .map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period)
            .collect())
    }
}
