//! [`WgpuBackend`]: the backend trait on one GPU adapter.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradloom_plan::{Checks, Limits, Plan, Planner};
use gradloom_tensor::{
    Backend, BoxFuture, Buffer, BytesSource, Capabilities, DType, Error, Result, Retention, Scalar,
    Statistics, Tensor,
};

use crate::adoption::Adoption;
use crate::codegen::unit::Fault;
use crate::codegen::variant::Variant;
use crate::codegen::{self, Target};
use crate::evaluation::{Run, Runner};
use crate::executor::{Executor, target_of};
use crate::gpu::Gpu;
use crate::info::AdapterInfo;
use crate::pipeline::Shader;
use crate::pool::{Memory, Pool};
use crate::profile::Watched;
use crate::self_test::report::{Examined, SelfTest};
use crate::status::CheckSite;
use crate::transfer::{self, Staging};
use crate::wait::{Wait, finish};

/// Evaluates graphs on one GPU adapter. Made by [`device`](crate::device).
#[derive(Debug)]
pub struct WgpuBackend {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    staging: Arc<Staging>,
    adoption: Adoption,
    planner: Planner,
    /// Makes plans that write nothing in place, for evaluations that are looked at.
    careful_planner: Planner,
    check_finite: AtomicBool,
    executor: Mutex<Executor>,
    counters: Mutex<Counters>,
    self_test: Option<SelfTest>,
    /// When the case of a self-test began.
    case: AtomicU64,
}

#[derive(Debug, Default)]
struct Counters {
    bytes_moved: u64,
    plans: u64,
    replays: u64,
    downloads: u64,
}

impl WgpuBackend {
    pub(crate) fn new(examined: Examined) -> Self {
        let Examined { gpu, verdict, report } = examined;
        let target = target_of(&gpu, Arc::new(verdict));
        // The arguments and the status of index checks take a binding each.
        let storage = gpu.limits.max_storage_buffers_per_shader_stage as usize;
        let limits = Limits {
            buffers_max: storage.saturating_sub(2).max(4),
            products: Some(codegen::product_forms(&target)),
            ..Limits::default()
        };
        let pool = Pool::new(Arc::clone(&gpu));
        let staging = Arc::new(Staging::new(Arc::clone(&gpu)));
        let executor =
            Executor::new(target, Arc::clone(&gpu), Arc::clone(&pool), Arc::clone(&staging));
        WgpuBackend {
            adoption: Adoption::new(Arc::clone(&gpu), Arc::clone(&pool)),
            staging,
            careful_planner: Planner::new(Limits { in_place: false, ..limits }),
            planner: Planner::new(limits),
            check_finite: AtomicBool::new(Checks::from_environment().nan),
            executor: Mutex::new(executor),
            counters: Mutex::default(),
            self_test: report,
            case: AtomicU64::new(0),
            gpu,
            pool,
        }
    }

    /// What is known of the adapter.
    pub fn adapter(&self) -> &AdapterInfo {
        &self.gpu.info
    }

    /// What the self-test of this adapter and driver has found; none if `GRADLOOM_SELF_TEST=off`, and in
    /// browsers.
    pub fn self_test(&self) -> Option<&SelfTest> {
        self.self_test.as_ref()
    }

    /// Makes this the device of a self-test, with a fault of its driver if one is feigned.
    pub(crate) fn examine(&self, fault: Option<Fault>) {
        self.poison(true);
        self.check_finite(false);
        self.executor().target().fault = fault;
    }

    /// Begins a case of a self-test. Devices of all sizes take the same forms of kernels then.
    pub(crate) fn begin_case(&self, adjust: fn(&mut Target)) {
        let mut executor = self.executor();
        let target = executor.target();
        let (verdict, fault) = (Arc::clone(&target.verdict), target.fault.take());
        *target = Target { fault, busy_workgroups: 16, ..target_of(&self.gpu, verdict) };
        adjust(target);
        self.case.store(executor.pipelines().clock(), Ordering::Relaxed);
    }

    /// The variants of the shaders that were compiled for the case.
    pub(crate) fn variants_of_case(&self) -> BTreeSet<Variant> {
        self.executor().pipelines().variants(self.case.load(Ordering::Relaxed))
    }

    /// True once the driver has given the device up; [`device`](crate::device) then opens it anew.
    pub fn is_lost(&self) -> bool {
        self.gpu.is_lost()
    }

    /// What the planner knows of this device.
    pub fn limits(&self) -> &Limits {
        self.planner.limits()
    }

    /// Runs a plan on buffers of this device: what [`Backend::evaluate`] does after planning, for
    /// tools and tests that make plans by hand. `sites` says where a node was made. What the plan writes in
    /// place is not kept, whatever [`check_finite`](WgpuBackend::check_finite) finds.
    ///
    /// # Errors
    /// As [`Backend::evaluate`].
    pub fn run(
        &self,
        plan: &Plan,
        inputs: &[Buffer],
        arguments: &[Scalar],
        sites: &(dyn Fn(usize) -> CheckSite + Sync),
    ) -> Result<Vec<Buffer>> {
        self.gpu.check()?;
        let check_finite = self.check_finite.load(Ordering::Relaxed);
        finish(async {
            let inputs = &self.in_memory(inputs, |_, error| error, Wait::Blocking).await?;
            let run = Run { plan, inputs, arguments, sites, check_finite };
            self.runner(Wait::Blocking).run(run).await
        })
    }

    /// The inputs of a plan, with those in the device's memory that were outside of it. `said` says of an
    /// error which input it is of.
    async fn in_memory<'a>(
        &self,
        inputs: &'a [Buffer],
        said: impl Fn(usize, Error) -> Error,
        wait: Wait,
    ) -> Result<Cow<'a, [Buffer]>> {
        if !inputs.iter().any(Adoption::has) {
            return Ok(inputs.into());
        }
        let mut all = Vec::with_capacity(inputs.len());
        for (input, buffer) in inputs.iter().enumerate() {
            let own = match self.adoption.in_memory(buffer, wait).await {
                Err(error) if error.is_out_of_memory() => {
                    self.trim();
                    self.adoption.in_memory(buffer, wait).await
                }
                other => other,
            };
            all.push(own.map_err(|error| said(input, error))?);
        }
        Ok(all.into())
    }

    async fn uploaded(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        let mut buffer = self.upload(dtype, bytes)?;
        let mut reported = self.gpu.reports().await;
        if reported.as_ref().is_err_and(Error::is_out_of_memory) {
            // Only a browser says so now. What it has no memory for must not come back from the pool.
            drop(buffer);
            self.trim();
            buffer = self.upload(dtype, bytes)?;
            reported = self.gpu.reports().await;
        }
        if let Err(error) = reported {
            drop(buffer);
            self.trim();
            return Err(error);
        }
        self.adoption.count(bytes.len() as u64);
        self.adoption.wait_for_uploads(Wait::Awaiting).await?;
        Ok(buffer)
    }

    async fn downloaded(&self, buffer: &Buffer, wait: Wait) -> Result<Vec<u8>> {
        let watched = Watched::begin();
        self.gpu.check()?;
        let buffer = &self.adoption.in_memory(buffer, wait).await?;
        let memory = buffer.storage::<Memory>().ok_or_else(|| {
            Error::backend(format!("download: {buffer:?} does not live on {}", self.name()))
        })?;
        self.gpu.check()?;
        let (dtype, len) = (buffer.dtype(), buffer.len());
        let (host, submissions) = self.staging.download(&memory.raw, dtype, len, wait).await?;
        self.gpu.reports().await?;
        self.counters().downloads += submissions;
        Watched::end(watched, &self.gpu, "download", "", host.len());
        Ok(host)
    }

    async fn synchronized(&self, wait: Wait) -> Result<()> {
        self.gpu.check()?;
        self.gpu.done(wait).await?;
        self.gpu.reports().await
    }

    async fn evaluated(&self, roots: &[Tensor], retention: Retention, wait: Wait) -> Result<()> {
        self.gpu.check()?;
        let check_finite = self.check_finite.load(Ordering::Relaxed);
        let planner = if check_finite { &self.careful_planner } else { &self.planner };
        let prepared = planner.prepare(roots, retention)?;
        {
            let mut counters = self.counters();
            counters.plans += u64::from(!prepared.cached);
            counters.replays += u64::from(prepared.cached);
            counters.bytes_moved += prepared.plan.bytes() as u64;
        }
        let site = |node: usize| {
            let (op, node) = (prepared.op_name(node), &prepared.nodes[node]);
            CheckSite { op, shape: *node.shape(), origin: node.origin() }
        };
        let said = |input, error| prepared.error_of_input(input, error);
        let inputs = &self.in_memory(&prepared.inputs, said, wait).await?;
        let (plan, arguments) = (&*prepared.plan, &prepared.arguments[..]);
        let run = Run { plan, inputs, arguments, sites: &site, check_finite };
        prepared.complete(self.runner(wait).run(run).await?);
        if !prepared.cached {
            self.make_room();
        }
        Ok(())
    }

    /// Fails for elements that the device cannot have.
    fn check_dtype(&self, dtype: DType) -> Result<()> {
        let (what, narrow) = match dtype {
            DType::F64 => ("floats", "cast to f32"),
            DType::I64 => ("integers", "convert to i32"),
            _ => return Ok(()),
        };
        Err(Error::unsupported(format!(
            "upload: {} has no 64-bit {what}; {narrow}, or use the CPU device",
            self.name()
        )))
    }

    /// The shaders compiled so far, from number `first` on, in the order of their first use, without those
    /// that were forgotten.
    pub fn shaders(&self, first: u64) -> Vec<Shader> {
        self.executor().pipelines().shaders(first)
    }

    /// Fails evaluations at the first kernel that makes a NaN or an infinity, as `GRADLOOM_CHECK=nan`
    /// does: each kernel's results are downloaded and looked at, and every tensor is left as it was.
    pub fn check_finite(&self, check: bool) {
        self.check_finite.store(check, Ordering::Relaxed);
    }

    /// Fills memory with NaN before it is used, as `GRADLOOM_POISON=1` does: what no kernel writes then
    /// shows.
    pub fn poison(&self, poison: bool) {
        self.pool.poison.set(poison);
    }

    /// Forgets plans where they use too many pipelines.
    fn make_room(&self) {
        if self.executor().pipelines().are_crowded() {
            self.planner.forget_half();
            self.careful_planner.forget_half();
            self.executor().pipelines().forget_unused();
        }
    }

    fn runner(&self, wait: Wait) -> Runner<'_> {
        let WgpuBackend { gpu, pool, staging, executor, .. } = self;
        Runner { gpu, pool, staging, executor, wait }
    }

    /// Never held while something is waited for.
    fn executor(&self) -> MutexGuard<'_, Executor> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for WgpuBackend {
    fn name(&self) -> String {
        self.gpu.name()
    }

    fn capabilities(&self) -> Capabilities {
        let limits = &self.gpu.limits;
        Capabilities {
            host: false,
            f16: true,
            f64: false,
            i64: false,
            buffer_bytes_max: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size),
            subgroup_size: self.gpu.info.subgroups.map(|(smallest, _)| smallest),
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        self.gpu.check()?;
        self.check_dtype(dtype)?;
        let len = bytes.len() / dtype.size();
        let memory = self.pool.take(transfer::device_bytes(dtype, len))?;
        let words = transfer::to_device(dtype, &bytes[..len * dtype.size()]);
        if !words.is_empty() {
            self.gpu.scoped("upload", || self.gpu.queue.write_buffer(&memory.raw, 0, &words))?;
        }
        Ok(Buffer::new(memory, dtype, len))
    }

    fn adopt(&self, dtype: DType, source: Arc<dyn BytesSource>) -> Result<Buffer> {
        self.gpu.check()?;
        self.check_dtype(dtype)?;
        Ok(self.adoption.adopt(dtype, source))
    }

    fn upload_async<'a>(&'a self, dtype: DType, bytes: &'a [u8]) -> BoxFuture<'a, Result<Buffer>> {
        Box::pin(self.uploaded(dtype, bytes))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        finish(self.downloaded(buffer, Wait::Blocking))
    }

    fn download_async<'a>(&'a self, buffer: &'a Buffer) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.downloaded(buffer, Wait::Awaiting))
    }

    fn evaluate(&self, roots: &[Tensor], retention: Retention) -> Result<()> {
        finish(self.evaluated(roots, retention, Wait::Blocking))
    }

    fn evaluate_async<'a>(
        &'a self,
        roots: &'a [Tensor],
        retention: Retention,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.evaluated(roots, retention, Wait::Awaiting))
    }

    fn synchronize(&self) -> Result<()> {
        finish(self.synchronized(Wait::Blocking))
    }

    fn synchronize_async(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.synchronized(Wait::Awaiting))
    }

    fn statistics(&self) -> Statistics {
        let plan_bytes = self.planner.bytes() + self.careful_planner.bytes();
        let mut executor = self.executor();
        let counters = self.counters();
        Statistics {
            kernels: executor.kernels,
            submissions: executor.submissions + counters.downloads,
            bytes_moved: counters.bytes_moved,
            plans: counters.plans,
            replays: counters.replays,
            shaders: executor.pipelines().compiled,
            plan_bytes: plan_bytes as u64,
            bytes_outside: self.adoption.bytes_outside(),
            ..self.pool.statistics()
        }
    }

    fn trim(&self) {
        self.executor().forget_bind_groups();
        self.staging.trim();
        self.pool.trim();
    }

    fn set_memory_budget(&self, bytes: Option<u64>) -> Result<()> {
        self.pool.set_budget(bytes);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use gradloom_tensor::{Backend as _, DType, Error, Tensor, scan};

    use super::WgpuBackend;

    /// One test loses the device that they share.
    static DEVICE: Mutex<()> = Mutex::new(());

    #[test]
    fn products_of_bytes_are_the_same_without_an_instruction_for_them() {
        let _alone = DEVICE.lock();
        let Ok(device) = crate::device("") else {
            eprintln!("SKIPPED: no adapter on this machine");
            return;
        };
        let backend: &WgpuBackend = device.backend().as_any().downcast_ref().unwrap();
        let [m, k, n] = [40, 70, 36];
        let bytes = |count: i32| -> Vec<i8> { (0..count).map(|i| (i * 89) as i8).collect() };
        let (x, y) = (bytes((m * k) as i32), bytes((k * n) as i32));
        let exact: Vec<i32> = (0..m * n)
            .map(|at| {
                (0..k).map(|i| i32::from(x[at / n * k + i]) * i32::from(y[i * n + at % n])).sum()
            })
            .collect();
        let x = Tensor::from_vec(x, [m, k], &device).unwrap();
        let y = Tensor::from_vec(y, [k, n], &device).unwrap();
        for packed_dot in [true, false] {
            backend.planner.forget_half();
            backend.planner.forget_half();
            let packed_dot = packed_dot && backend.gpu.info.packed_dot;
            backend.executor().target().packed_dot = packed_dot;
            let first = backend.statistics().shaders;
            let product = x.matmul_as(&y, DType::I32);
            assert_eq!(product.to_vec::<i32>().unwrap(), exact);
            let shaders = backend.shaders(first);
            let uses = |name: &str| shaders.iter().any(|shader| shader.source.contains(name));
            assert!(uses("fn lhs_words") && uses("dot4I8Packed") == packed_dot);
        }
    }

    /// The steps are recorded, not compiled: many take the shaders and the plan of few.
    #[test]
    fn a_loop_of_any_length_is_compiled_once() {
        let _alone = DEVICE.lock();
        let Ok(device) = crate::device("") else {
            eprintln!("SKIPPED: no adapter on this machine");
            return;
        };
        let backend: &WgpuBackend = device.backend().as_any().downcast_ref().unwrap();
        let run = |steps: usize| {
            let x = Tensor::from_vec(vec![0.5f32; steps * 3], [steps, 3], &device).unwrap();
            let start = Tensor::from_vec(vec![1f32; 3], [3], &device).unwrap();
            let (last, _) = scan(start, x, |sum, x| ((&sum * &x).sin() + x, ()));
            last.eval().unwrap();
            device.statistics()
        };
        let before = device.statistics();
        let few = run(20);
        let many = run(2000);
        assert_eq!(many.since(&few).shaders, 0, "{:?}", backend.shaders(few.shaders));
        let bytes = [few.plan_bytes - before.plan_bytes, many.plan_bytes - few.plan_bytes];
        assert!(bytes[1] < 2 * bytes[0], "{bytes:?}");
        assert_eq!(run(2000).since(&many).plans, 0);
    }

    #[test]
    fn a_lost_device_gives_errors_and_is_opened_anew() {
        let _alone = DEVICE.lock();
        let Ok(device) = crate::device("") else {
            eprintln!("SKIPPED: no adapter on this machine");
            return;
        };
        let backend: &WgpuBackend = device.backend().as_any().downcast_ref().unwrap();
        let buffer = backend.upload(DType::F32, &[0; 16]).unwrap();
        let mut begun = backend.download_async(&buffer);
        let mut context = Context::from_waker(Waker::noop());
        assert!(begun.as_mut().poll(&mut context).is_pending());
        backend.gpu.device.destroy();
        // It may be done before, but it ends.
        let ended = pollster::block_on(begun);
        assert!(ended.as_ref().map_or_else(Error::is_device_lost, |b| b.len() == 16), "{ended:?}");
        let lost = (0..10).find_map(|_| backend.download(&buffer).err()).unwrap();
        assert!(lost.is_device_lost(), "{lost}");
        assert!(backend.upload(DType::F32, &[0; 16]).unwrap_err().is_device_lost());
        assert!(backend.synchronize().unwrap_err().is_device_lost());
        let awaited = pollster::block_on(backend.download_async(&buffer));
        assert!(awaited.unwrap_err().is_device_lost());
        let awaited = pollster::block_on(backend.synchronize_async());
        assert!(awaited.unwrap_err().is_device_lost());

        let again = crate::device("").unwrap();
        assert_ne!(device, again);
        assert!(again.backend().upload(DType::F32, &[0; 16]).is_ok());
    }
}
