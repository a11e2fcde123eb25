//! [`Writer`]: writes checkpoints on a thread of its own, in order, one at a time.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::checkpoint::file::Snapshot;
use crate::{Error, Result, error};

/// A snapshot with the files that it becomes, and those that go once it is there.
struct Job {
    snapshot: Snapshot,
    files: Vec<PathBuf>,
    gone: Vec<PathBuf>,
}

/// Writes in the background. A snapshot shares its tensors with the run; the next step finds that somebody
/// holds them and writes elsewhere.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    failures: Receiver<Error>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start() -> Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(1);
        let (report, failures) = sync_channel::<Error>(1);
        let work = move || {
            for job in waiting {
                if let Err(failure) = write(&job) {
                    // Only the first one is told: the rest is the same disk.
                    let _ = report.try_send(failure);
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".into()).spawn(work);
        let thread = thread.map_err(|cause| error::io("checkpoint: no thread to write", cause))?;
        Ok(Writer { jobs: Some(jobs), failures, thread: Some(thread) })
    }

    /// Has files written. Waits while another one is.
    ///
    /// # Errors
    /// If an earlier one could not be written.
    pub(crate) fn write(
        &self,
        snapshot: Snapshot,
        files: Vec<PathBuf>,
        gone: Vec<PathBuf>,
    ) -> Result<()> {
        self.failure()?;
        let Some(jobs) = &self.jobs else { return Ok(()) };
        let job = Job { snapshot, files, gone };
        jobs.send(job).map_err(|_| error::invalid("checkpoint: the thread that writes is gone"))
    }

    fn failure(&self) -> Result<()> {
        self.failures.try_recv().map_or(Ok(()), Err)
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// If something could not be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        if !self.join() {
            return Err(error::invalid(
                "checkpoint: the thread that writes panicked; the last state was not saved",
            ));
        }
        self.failure()
    }

    /// False if the thread panicked, as a backend may; the files are whole or absent even then.
    fn join(&mut self) -> bool {
        drop(self.jobs.take());
        self.thread.take().is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}

fn write(job: &Job) -> Result<()> {
    for file in &job.files {
        job.snapshot.write(file)?;
    }
    for file in &job.gone {
        match std::fs::remove_file(file) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(error::io(format!("checkpoint: {}: removing", file.display()), cause));
            }
            _ => {}
        }
    }
    Ok(())
}
