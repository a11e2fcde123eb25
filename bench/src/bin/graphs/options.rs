//! The command line of `graphs`.

use gradloom::prelude::*;
use gradloom_cpu::CpuBackend;
use gradloom_cpu::Level;
use gradloom_wgpu::WgpuBackend;

const USAGE: &str = "\
usage: graphs [--count N] [--seed S] [--device NAME] [--level avx512|avx2|baseline] [--threads N]
              [--gradients-only] [--few-shapes] [--alone] [--shrink N] [--limit SECONDS]

  --count N         how many graphs (10000)
  --seed S          the seed of the first; the others follow (1)
  --device NAME     cpu (default), gpus for each adapter, or a name as Device::named takes it
  --level NAME      vector instructions of the processor; all of them in turn without it
  --threads N       how many graphs at a time (2)
  --gradients-only  only graphs with gradients
  --few-shapes      few sizes and short graphs, so that a GPU's shaders repeat
  --alone           every node by itself: finds faults of kernels, not of the planner
  --shrink N        how many failures of one kind are shrunk (4)
  --limit SECONDS   a graph that takes longer hangs (60)";

/// What is asked for.
pub(crate) struct Options {
    pub(crate) count: u64,
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) level: Option<String>,
    pub(crate) threads: usize,
    pub(crate) gradients_only: bool,
    pub(crate) few_shapes: bool,
    pub(crate) alone: bool,
    pub(crate) shrink: usize,
    pub(crate) limit_seconds: u64,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            count: 10_000,
            seed: 1,
            device: "cpu".into(),
            level: None,
            threads: 2,
            gradients_only: false,
            few_shapes: false,
            alone: false,
            shrink: 4,
            limit_seconds: 60,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| USAGE.to_string());
            match word.as_str() {
                "--count" => options.count = number(&value()?)?,
                "--seed" => options.seed = number(&value()?)?,
                "--device" => options.device = value()?,
                "--level" => options.level = Some(value()?),
                "--threads" => options.threads = number(&value()?)?.max(1) as usize,
                "--gradients-only" => options.gradients_only = true,
                "--few-shapes" => options.few_shapes = true,
                "--alone" => options.alone = true,
                "--shrink" => options.shrink = number(&value()?)? as usize,
                "--limit" => options.limit_seconds = number(&value()?)?,
                _ => return Err(USAGE.to_string()),
            }
        }
        Ok(options)
    }

    /// The devices to be tested, one after another: each is made anew by each thread.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, String> {
        match self.device.as_str() {
            "cpu" => {}
            "gpus" => return Ok(Device::gpus().into_iter().map(Target::Shared).collect()),
            name => {
                let device = Device::named(name).map_err(|error| error.to_string())?;
                return Ok(vec![Target::Shared(device)]);
            }
        }
        let levels: Vec<Level> = Level::available()
            .into_iter()
            .filter(|level| self.level.as_deref().is_none_or(|name| name == level.name()))
            .collect();
        match levels.is_empty() {
            true => Err(format!("this processor has no level {:?}", self.level)),
            false => Ok(levels.into_iter().map(Target::Level).collect()),
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is no number\n\n{USAGE}"))
}

/// A device to be tested.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The processor with these instructions: a device of its own for each thread.
    Level(Level),
    /// A device that threads share.
    Shared(Device),
}

impl Target {
    /// The device, with memory and plans of its own where it is a processor.
    pub(crate) fn device(&self, threads: usize) -> gradloom::Result<Device> {
        match self {
            Target::Level(level) => {
                Ok(CpuBackend::with_level(Some(threads), *level)?.into_device())
            }
            Target::Shared(device) => Ok(device.clone()),
        }
    }

    /// How many shaders a GPU has compiled; none are there on a processor.
    pub(crate) fn shaders(&self) -> Option<usize> {
        match self {
            Target::Level(_) => None,
            Target::Shared(device) => {
                let is_gpu = device.backend().as_any().is::<WgpuBackend>();
                is_gpu.then(|| device.statistics().shaders as usize)
            }
        }
    }
}
