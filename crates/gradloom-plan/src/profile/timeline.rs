//! [`Timeline`]: events in the format that Perfetto and Chrome open, written while the program runs.
//!
//! The format allows a list without its end, so that a killed run leaves what it had.
//! ("Trace Event Format", JSON array form.)

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::thread::ThreadId;
use std::time::Duration;

use super::described::Described;
use super::run::Ceilings;

/// A file of events.
#[derive(Debug)]
pub(super) struct Timeline {
    path: PathBuf,
    file: BufWriter<File>,
    /// The tracks of a device, by its name.
    devices: HashMap<String, usize>,
    threads: HashMap<(usize, Track), usize>,
    /// What went wrong with the file: it is said once, and nothing more is written.
    failed: Option<io::Error>,
}

/// A line of a device: a thread, or a queue with a name.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Track {
    Thread(ThreadId),
    Named(&'static str),
}

/// Something that took time on the calling thread.
pub(super) struct Event<'a> {
    pub(super) device: &'a str,
    pub(super) name: &'a str,
    /// The category that viewers filter by.
    pub(super) kind: &'a str,
    pub(super) detail: &'a str,
    pub(super) bytes: u64,
    /// Since the recording began.
    pub(super) start: Duration,
    pub(super) time: Duration,
}

impl Timeline {
    pub(super) fn create(path: PathBuf) -> io::Result<Timeline> {
        let mut file = BufWriter::new(File::create(&path)?);
        file.write_all(b"[\n")?;
        file.flush()?;
        let (devices, threads) = (HashMap::new(), HashMap::new());
        Ok(Timeline { path, file, devices, threads, failed: None })
    }

    /// A kernel: its op as the name, all else as arguments. Tables leave out what is there in parts.
    pub(super) fn kernel(
        &mut self,
        kernel: &Described,
        (track, in_parts): (Option<&'static str>, bool),
        start: Duration,
        time: Duration,
    ) {
        let track = self.track(&kernel.device, track);
        let seconds = time.as_secs_f64().max(1e-9);
        let mut line = begin(track, &kernel.op, "kernel", start, time);
        let _ = writeln!(
            line,
            ",\"args\":{{\"kernel\":{},\"layer\":{},\"line\":{},\"flops\":{},\"bytes\":{},\
             \"GFLOP/s\":{:.3},\"GB/s\":{:.3},\"in_parts\":{in_parts}}}}},",
            quoted(&kernel.name),
            quoted(&kernel.layer()),
            quoted(&kernel.line),
            kernel.flops,
            kernel.bytes,
            kernel.flops as f64 / seconds / 1e9,
            kernel.bytes as f64 / seconds / 1e9,
        );
        self.append(&line);
    }

    /// What a device could do at most, for whoever makes tables of the file.
    pub(super) fn ceilings(&mut self, device: &str, ceilings: Ceilings) {
        let [process, thread] = self.track(device, None);
        let Ceilings { flops, bytes } = ceilings;
        self.append(&format!(
            "{{\"name\":\"ceilings\",\"ph\":\"M\",\"pid\":{process},\"tid\":{thread},\
             \"args\":{{\"flops\":{flops:.0},\"bytes\":{bytes:.0}}}}},\n"
        ));
    }

    pub(super) fn write(&mut self, event: Event<'_>) {
        let track = self.track(event.device, None);
        let mut line = begin(track, event.name, event.kind, event.start, event.time);
        let (detail, bytes) = (quoted(event.detail), event.bytes);
        let _ = writeln!(line, ",\"args\":{{\"detail\":{detail},\"bytes\":{bytes}}}}},");
        self.append(&line);
    }

    /// The device as a process and the track as a thread of it, both named at their first event.
    fn track(&mut self, device: &str, named: Option<&'static str>) -> [usize; 2] {
        let next = self.devices.len() + 1;
        let known = self.devices.get(device).copied();
        let process = known.unwrap_or(next);
        if known.is_none() {
            self.devices.insert(device.to_owned(), process);
            self.append(&name_event("process_name", [process, 0], device));
        }
        let current = std::thread::current();
        let track = named.map_or_else(|| Track::Thread(current.id()), Track::Named);
        let next = self.threads.len() + 1;
        let key = (process, track);
        let known = self.threads.get(&key).copied();
        let thread = known.unwrap_or(next);
        if known.is_none() {
            self.threads.insert(key, thread);
            let own = named.or(current.name());
            let name = own.map_or_else(|| format!("thread {thread}"), str::to_owned);
            self.append(&name_event("thread_name", [process, thread], &name));
        }
        [process, thread]
    }

    fn append(&mut self, line: &str) {
        if self.failed.is_none() {
            let written = self.file.write_all(line.as_bytes());
            self.note(written);
        }
    }

    /// Sees that what was written is in the file.
    pub(super) fn flush(&mut self) {
        if self.failed.is_none() {
            let written = self.file.flush();
            self.note(written);
        }
    }

    /// Ends the list.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        // An event without effect, because the list may not end with a comma.
        self.file.write_all(b"{\"name\":\"end\",\"ph\":\"M\",\"pid\":0,\"tid\":0}\n]\n")?;
        self.file.flush()
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            eprintln!("profile: {}: {error}; nothing more is written", self.path.display());
            self.failed = Some(error);
        }
    }
}

/// The beginning of a complete event, up to its arguments.
fn begin(track: [usize; 2], name: &str, kind: &str, start: Duration, time: Duration) -> String {
    format!(
        "{{\"name\":{},\"cat\":\"{kind}\",\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{:.3},\"dur\":{:.3}",
        quoted(name),
        track[0],
        track[1],
        start.as_secs_f64() * 1e6,
        time.as_secs_f64() * 1e6,
    )
}

fn name_event(what: &str, track: [usize; 2], name: &str) -> String {
    let [process, thread] = track;
    let name = quoted(name);
    format!(
        "{{\"name\":\"{what}\",\"ph\":\"M\",\"pid\":{process},\"tid\":{thread},\"args\":{{\"name\":{name}}}}},\n"
    )
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if (letter as u32) < 0x20 => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", letter as u32);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted_as_json_asks() {
        assert_eq!(quoted("a\"b\\c\n\u{e9}"), "\"a\\\"b\\\\c\\u000a\u{e9}\"");
    }
}
