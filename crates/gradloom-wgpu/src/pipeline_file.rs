//! [`PipelineFile`]: compiled pipelines kept between runs, where the driver gives them out: a
//! `wgpu::PipelineCache` with a file for each adapter and driver.
//!
//! A file that is damaged, of another version or out of reach costs a line on standard error and the
//! time to compile, never more.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::gpu::Gpu;

/// First bytes of a file, with the version of its layout.
const MAGIC: &[u8; 8] = b"GLPIPES1";
/// Magic, length and check sum.
const HEADER: usize = 24;
/// A longer file is begun anew: drivers only add to it.
const BYTES_MAX: usize = 256 << 20;
/// Saving takes at most one part in so many of the time.
const TIME_SHARE: u32 = 20;

/// The driver's cache of pipelines, and where it is kept.
#[derive(Debug)]
pub(crate) struct PipelineFile {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    /// Check sum of what the file holds.
    saved: Option<u64>,
    /// Whether pipelines were compiled since.
    dirty: bool,
    /// When saving may be worth its time again.
    next: Instant,
}

impl PipelineFile {
    /// The pipelines of earlier runs on this adapter, if the driver takes such, and the environment names a
    /// folder or the system has one for caches.
    pub(crate) fn open(gpu: &Gpu) -> Option<PipelineFile> {
        if !gpu.features.contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = file_of(gpu, "pipelines")?;
        let data = match read(&path) {
            Ok(data) => data.filter(|data| data.len() <= BYTES_MAX),
            Err(error) => {
                warn(&path, &error.to_string());
                None
            }
        };
        let cache = match create(gpu, data.as_deref()) {
            Ok(cache) => cache,
            Err(reason) => {
                warn(&path, &reason);
                create(gpu, None).ok()?
            }
        };
        let saved = data.as_deref().map(check_sum);
        Some(PipelineFile { cache, path, saved, dirty: false, next: Instant::now() })
    }

    /// For the creation of pipelines: finds what is known, and remembers what is new.
    pub(crate) fn cache(&mut self) -> &wgpu::PipelineCache {
        self.dirty = true;
        &self.cache
    }

    /// Writes the file if pipelines were compiled since and enough time has passed.
    pub(crate) fn save_if_due(&mut self) {
        let begin = Instant::now();
        if !self.dirty || begin < self.next {
            return;
        }
        self.save();
        self.next = begin + begin.elapsed() * TIME_SHARE;
    }

    fn save(&mut self) {
        self.dirty = false;
        let Some(data) = self.cache.get_data() else { return };
        let sum = check_sum(&data);
        if self.saved == Some(sum) {
            return;
        }
        match write(&self.path, &data) {
            Ok(()) => self.saved = Some(sum),
            Err(error) => {
                warn(&self.path, &error.to_string());
                // It will not get better.
                self.next += Duration::from_secs(1 << 30);
            }
        }
    }
}

impl Drop for PipelineFile {
    fn drop(&mut self) {
        if self.dirty {
            self.save();
        }
    }
}

#[expect(unsafe_code, reason = "drivers trust the data of a cache")]
fn create(gpu: &Gpu, data: Option<&[u8]>) -> Result<wgpu::PipelineCache, String> {
    let descriptor =
        wgpu::PipelineCacheDescriptor { label: Some("gradloom pipelines"), data, fallback: false };
    gpu.scoped("the pipelines of earlier runs", || {
        // SAFETY: the data is what an earlier run got from the same call for the same adapter and driver,
        // as the check sum and the names in the file's name show; wgpu checks the driver's key again.
        unsafe { gpu.device.create_pipeline_cache(&descriptor) }
    })
    .map_err(|error| error.to_string())
}

fn warn(path: &Path, reason: &str) {
    eprintln!(
        "gradloom: shaders are not kept in {}: {reason}; set GRADLOOM_SHADER_CACHE to another folder, or \
         to `off`",
        path.display()
    );
}

/// Where files of this kind are: what `GRADLOOM_SHADER_CACHE` says, or the system's folder for caches.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    match variable("GRADLOOM_SHADER_CACHE") {
        Some(text) if text.is_empty() || text == "off" || text == "0" => return None,
        Some(text) => return Some(PathBuf::from(text)),
        None => {}
    }
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = if cfg!(target_os = "windows") {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("gradloom"))
}

/// A file of an adapter, its driver and this version, in the folder of files of this kind.
pub(crate) fn file_of(gpu: &Gpu, ending: &str) -> Option<PathBuf> {
    Some(folder(|name| std::env::var_os(name))?.join(file_name(gpu, ending)))
}

/// A name that tells adapters, their drivers, and versions of the shaders apart.
fn file_name(gpu: &Gpu, ending: &str) -> String {
    let info = &gpu.info;
    let key = [&info.backend, &info.name, &info.driver, env!("CARGO_PKG_VERSION")].join("\n");
    let name: String =
        info.name.chars().filter(char::is_ascii_alphanumeric).take(24).collect::<String>();
    format!("{}-{name}-{:016x}.{ending}", info.backend, check_sum(key.as_bytes()))
}

/// The data of a file; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file is damaged");
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(damaged)
    };
    let (len, sum) = (word(8)?, word(16)?);
    let data = &bytes[HEADER..];
    if !bytes.starts_with(MAGIC) || len != data.len() as u64 || sum != check_sum(data) {
        return Err(damaged());
    }
    bytes.drain(..HEADER);
    Ok(Some(bytes))
}

/// Writes data with its header.
fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEADER + data.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(data.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&check_sum(data).to_le_bytes());
    bytes.extend_from_slice(data);
    replace(path, &bytes)
}

/// Writes a file so that whoever reads it, whenever, finds the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension(format!("{}.temporary", std::process::id()));
    let written =
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// FNV-1a in 64 bits: against damage, not against malice.
pub(crate) fn check_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use super::{HEADER, folder, read, write};

    /// A folder of this test alone, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("gradloom-pipelines-{name}-{}", std::process::id());
            Folder(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = Folder::new("written");
        let path = folder.0.join("below/file.pipelines");
        assert!(read(&path).unwrap().is_none());
        for data in [&b"some pipelines"[..], b"", b"others"] {
            write(&path, data).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(data));
        }
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "no temporary file is left");
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let folder = Folder::new("damaged");
        let path = folder.0.join("file.pipelines");
        write(&path, b"some pipelines").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            assert!(read(&path).is_err(), "byte {position}");
            std::fs::write(&path, &whole[..position]).unwrap();
            assert!(read(&path).is_err(), "cut at {position}");
        }
        assert!(whole.len() > HEADER);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let folder = Folder::new("blocked");
        let path = folder.0.join("file.pipelines");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        assert!(read(&path).is_err());
        assert!(write(&path, b"data").is_err());
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_environment_names_the_folder_or_switches_it_off() {
        let with = |own: Option<&str>, home: Option<&str>| {
            folder(|name| match name {
                "GRADLOOM_SHADER_CACHE" => own.map(OsString::from),
                "HOME" | "LOCALAPPDATA" => home.map(OsString::from),
                _ => None,
            })
        };
        assert_eq!(with(Some("/a/b"), None).as_deref(), Some(Path::new("/a/b")));
        assert_eq!(with(Some("off"), Some("/home/x")), None);
        assert_eq!(with(Some(""), Some("/home/x")), None);
        assert_eq!(with(None, None), None);
        assert_eq!(with(None, Some("relative")), None);
        let found = with(None, Some("/home/x"));
        if cfg!(unix) {
            assert!(found.unwrap().starts_with("/home/x"));
        }
    }
}
