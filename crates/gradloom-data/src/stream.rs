//! [`Stream`]: samples of files that together are larger than memory, in a random order that can be gone
//! on with.
//!
//! Files (shards) come in a random order of the epoch's own, and their samples pass through a buffer from
//! which a random one is taken each time: near the whole permutation if files are many or the buffer is
//! large. The order depends on the key, the epoch, the files and the size of the buffer only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::csv::CsvReader;
use crate::random::{RandomStream, permutation};
use crate::source::Input;
use crate::table::Table;
use crate::{Error, Result, Source, error};
use gradloom_tensor::Key;

/// The longest line; a file without line ends would otherwise take all memory.
const LINE_BYTES_MAX: usize = 1 << 26;

type Samples<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// Samples of several files, one after another. PyTorch: `IterableDataset`; Hugging Face: `IterableDataset`
/// with `shuffle(buffer_size)`.
///
/// ```no_run
/// use gradloom_data::stream::Stream;
/// use gradloom_tensor::Key;
///
/// let stream = Stream::lines(["part-0.jsonl.gz", "part-1.jsonl.gz"])?.shuffle(10_000, Key::new(1));
/// let mut epoch = stream.epoch(0);
/// for batch in epoch.by_ref().take(3) {
///     println!("{}", batch?);
/// }
/// // Saved with a checkpoint; the same samples follow.
/// let again = stream.epoch_from(0, epoch.position());
/// # Ok::<(), gradloom_data::Error>(())
/// ```
pub struct Stream<T> {
    shards: Arc<[PathBuf]>,
    open: Arc<dyn Fn(&Path) -> Result<Samples<T>> + Send + Sync>,
    shuffle: Option<(Key, usize)>,
}

impl Stream<String> {
    /// The lines of text files, plain or gzipped, without their ends and without blank lines.
    ///
    /// # Errors
    /// If there are no files.
    pub fn lines<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Result<Self> {
        Stream::new(files, |path| {
            let input = Source::from_path(path).limit(u64::MAX).open()?;
            Ok(Box::new(Lines { input, piece: Vec::new(), next: 0, number: 0, done: false }))
        })
    }
}

impl Stream<Table> {
    /// Tables of at most `rows` rows of CSV files, plain or gzipped. Set the kinds of columns in `reader`:
    /// what is found out is found for each file by itself.
    ///
    /// # Errors
    /// If there are no files.
    ///
    /// # Panics
    /// If `rows` is zero.
    #[track_caller]
    pub fn csv<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
        reader: CsvReader,
        rows: usize,
    ) -> Result<Self> {
        assert!(rows > 0, "stream: chunks of no rows");
        Stream::new(files, move |path| {
            Ok(Box::new(reader.chunks(Source::from_path(path).limit(u64::MAX), rows)?))
        })
    }
}

impl<T: Send + 'static> Stream<T> {
    /// The samples that `open` reads from each file: any format. The same file must give the same samples
    /// each time.
    ///
    /// # Errors
    /// If there are no files.
    pub fn new<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
        open: impl Fn(&Path) -> Result<Samples<T>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let shards: Arc<[PathBuf]> = files.into_iter().map(Into::into).collect();
        if shards.is_empty() {
            return Err(Error::invalid("stream: there are no files to read"));
        }
        Ok(Stream { shards, open: Arc::new(open), shuffle: None })
    }

    /// Files in a random order, and their samples through a buffer of this many.
    ///
    /// # Panics
    /// If the buffer is empty.
    #[must_use]
    #[track_caller]
    pub fn shuffle(mut self, buffer: usize, key: Key) -> Self {
        assert!(buffer > 0, "stream: a buffer of no samples");
        self.shuffle = Some((key, buffer));
        self
    }

    /// The samples of an epoch.
    pub fn epoch(&self, epoch: u32) -> StreamEpoch<T> {
        let shards = self.shards.len();
        let (order, draws, buffer_len) = match self.shuffle {
            None => ((0..shards).collect(), None, 1),
            Some((key, buffer)) => {
                let key = key.fold(epoch);
                let draws = RandomStream::new(key.fold(1));
                (permutation(shards, key.fold(0)), Some(draws), buffer)
            }
        };
        StreamEpoch {
            stream: self.clone(),
            order: order.into_iter(),
            samples: None,
            buffer: Vec::new(),
            buffer_len,
            draws,
            position: 0,
            failed: false,
        }
    }

    /// As [`epoch`](Stream::epoch), after its first `position` samples. They are read again and thrown away:
    /// that is as fast as reading files is, and needs no state but the number.
    pub fn epoch_from(&self, epoch: u32, position: u64) -> StreamEpoch<T> {
        let mut samples = self.epoch(epoch);
        // An error among them is given when the epoch is read.
        while samples.position < position {
            match samples.advance() {
                Ok(Some(_)) => samples.position += 1,
                Ok(None) => break,
                Err(error) => {
                    samples.samples = Some(Box::new(std::iter::once(Err(error))));
                    samples.buffer.clear();
                    break;
                }
            }
        }
        samples
    }
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        let (shards, open) = (Arc::clone(&self.shards), Arc::clone(&self.open));
        Stream { shards, open, shuffle: self.shuffle }
    }
}

impl<T> std::fmt::Debug for Stream<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Stream({} files)", self.shards.len())
    }
}

/// The samples of one epoch of a [`Stream`]. The first error ends it.
pub struct StreamEpoch<T> {
    stream: Stream<T>,
    order: std::vec::IntoIter<usize>,
    samples: Option<Samples<T>>,
    buffer: Vec<T>,
    buffer_len: usize,
    draws: Option<RandomStream>,
    position: u64,
    failed: bool,
}

impl<T: Send + 'static> StreamEpoch<T> {
    /// How many samples it has given: what [`Stream::epoch_from`] goes on from.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The samples in batches of `size`; the last may have fewer.
    ///
    /// # Panics
    /// If the size is zero.
    #[track_caller]
    pub fn batches(self, size: usize) -> StreamBatches<T> {
        assert!(size > 0, "stream: batches of no samples");
        StreamBatches { samples: self, size }
    }

    /// The next sample of the files in their order.
    fn read(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(samples) = &mut self.samples {
                if let Some(sample) = samples.next() {
                    return sample.map(Some);
                }
                self.samples = None;
            }
            let Some(shard) = self.order.next() else { return Ok(None) };
            self.samples = Some((self.stream.open)(&self.stream.shards[shard])?);
        }
    }

    fn advance(&mut self) -> Result<Option<T>> {
        while self.buffer.len() < self.buffer_len {
            match self.read()? {
                Some(sample) => self.buffer.push(sample),
                None => break,
            }
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let place = self.draws.as_mut().map_or(0, |draws| draws.below(self.buffer.len()));
        Ok(Some(self.buffer.swap_remove(place)))
    }
}

impl<T: Send + 'static> Iterator for StreamEpoch<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.failed {
            return None;
        }
        let sample = self.advance().transpose();
        match sample {
            Some(Ok(_)) => self.position += 1,
            Some(Err(_)) => self.failed = true,
            None => {}
        }
        sample
    }
}

/// Batches of a [`StreamEpoch`].
pub struct StreamBatches<T> {
    samples: StreamEpoch<T>,
    size: usize,
}

impl<T: Send + 'static> StreamBatches<T> {
    /// How many samples were given.
    pub fn position(&self) -> u64 {
        self.samples.position()
    }
}

impl<T: Send + 'static> Iterator for StreamBatches<T> {
    type Item = Result<Vec<T>>;

    fn next(&mut self) -> Option<Result<Vec<T>>> {
        let batch: Result<Vec<T>> = self.samples.by_ref().take(self.size).collect();
        match batch {
            Ok(batch) if batch.is_empty() => None,
            batch => Some(batch),
        }
    }
}

/// Lines of an input, a piece at a time.
struct Lines {
    input: Input<'static>,
    piece: Vec<u8>,
    next: usize,
    number: u64,
    done: bool,
}

impl Lines {
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            if self.next == self.piece.len() {
                self.piece = self.input.piece(1 << 16)?;
                self.next = 0;
                if self.piece.is_empty() {
                    return if line.is_empty() { Ok(None) } else { self.text(line).map(Some) };
                }
            }
            let rest = &self.piece[self.next..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            self.next += end.map_or(rest.len(), |end| end + 1);
            if line.len() > LINE_BYTES_MAX {
                let message =
                    format!("row {}: a line of more than {LINE_BYTES_MAX} bytes", self.number + 1);
                return Err(error::too_large(self.input.name(), message));
            }
            if end.is_some() {
                let text = self.text(std::mem::take(&mut line))?;
                if !text.trim().is_empty() {
                    return Ok(Some(text));
                }
            }
        }
    }

    fn text(&mut self, mut line: Vec<u8>) -> Result<String> {
        self.number += 1;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if self.number == 1 && line.starts_with(&[0xef, 0xbb, 0xbf]) {
            line.drain(..3);
        }
        String::from_utf8(line).map_err(|_| {
            let message = "the text is not UTF-8; convert it";
            error::table(self.input.name(), self.number, None, message)
        })
    }
}

impl Iterator for Lines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        if self.done {
            return None;
        }
        let line = self.line().transpose();
        self.done = !matches!(line, Some(Ok(_)));
        line
    }
}
