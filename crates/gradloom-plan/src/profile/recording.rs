//! [`Recording`]: a profile of a part of a program.

use std::io;
use std::path::Path;
use std::sync::Arc;

use gradloom_tensor::{Error, Result};

use super::active::{ACTIVE, Profile, from_environment, lock, switch};
use super::table::{By, Table, of_others};
use super::timeline::Timeline;

/// What runs from its beginning to its end is recorded, on every device and thread of the process.
///
/// PyTorch: `torch.profiler.profile`.
///
/// ```
/// use gradloom_plan::profile::{By, Recording};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let recording = Recording::start()?;
/// // .. steps of a training run ..
/// println!("{}", recording.table(By::Op));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recording {
    profile: Arc<Profile>,
}

impl Recording {
    /// Begins to record, for [`table`](Recording::table).
    ///
    /// # Errors
    /// When the process records already, by another recording or by `GRADLOOM_PROFILE`.
    pub fn start() -> Result<Recording> {
        Recording::begin(None)
    }

    /// As [`start`](Recording::start), and writes a timeline for Perfetto (`ui.perfetto.dev`) or
    /// `chrome://tracing`.
    ///
    /// # Errors
    /// As [`start`](Recording::start), and when the file cannot be made.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Recording> {
        let path = path.as_ref();
        let timeline = Timeline::create(path.to_owned()).map_err(|error| failed(path, &error))?;
        Recording::begin(Some(timeline))
    }

    fn begin(timeline: Option<Timeline>) -> Result<Recording> {
        if cfg!(target_family = "wasm") {
            return Err(Error::unsupported("profile: there is no clock here".to_owned()));
        }
        let mut active = lock(&ACTIVE);
        if active.is_none() {
            *active = from_environment();
        }
        if active.is_some() {
            switch(true);
            return Err(Error::unsupported(
                "profile: the process records already; end that recording, or unset GRADLOOM_PROFILE"
                    .to_owned(),
            ));
        }
        let profile = Arc::new(Profile::new(false, timeline));
        *active = Some(profile.clone());
        switch(true);
        Ok(Recording { profile })
    }

    /// Times so far, the longest first.
    pub fn table(&self, by: By) -> Table {
        self.profile.table(by)
    }

    /// Times so far of what is no kernel: planning, transfers, shaders.
    pub fn others(&self) -> Table {
        of_others(&lock(&self.profile.state))
    }

    /// Ends the recording and its file.
    ///
    /// # Errors
    /// When the file could not be written.
    pub fn stop(self) -> Result<()> {
        self.end()
            .map_err(|error| Error::unsupported(format!("profile: cannot be written: {error}")))
    }

    fn end(&self) -> io::Result<()> {
        let mut active = lock(&ACTIVE);
        if active.as_ref().is_some_and(|active| Arc::ptr_eq(active, &self.profile)) {
            *active = None;
            switch(false);
        }
        drop(active);
        match lock(&self.profile.state).timeline.take() {
            Some(timeline) => timeline.finish(),
            None => Ok(()),
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Who wants to know whether the file is whole calls `stop`.
        let _ = self.end();
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::unsupported(format!("profile: {}: {error}", path.display()))
}
