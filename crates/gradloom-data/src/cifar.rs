//! CIFAR-10 and CIFAR-100 in their binary versions: records of one label byte (two for CIFAR-100:
//! coarse, then fine) and 3 x 32 x 32 pixel bytes.

use std::path::Path;

use crate::{ImageDataset, Result, Source, Split, error};

const SIZE: [usize; 3] = [3, 32, 32];
const IMAGE_LEN: usize = 3 * 32 * 32;

/// Which CIFAR dataset, and for CIFAR-100 which of its two labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cifar {
    /// 10 classes.
    Cifar10,
    /// CIFAR-100's 100 classes.
    Cifar100Fine,
    /// CIFAR-100's 20 groups of classes.
    Cifar100Coarse,
}

impl Cifar {
    /// The classes of CIFAR-10.
    pub const CIFAR10_CLASSES: [&'static str; 10] =
        ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    /// Number of classes.
    pub fn class_count(self) -> usize {
        match self {
            Cifar::Cifar10 => 10,
            Cifar::Cifar100Fine => 100,
            Cifar::Cifar100Coarse => 20,
        }
    }

    /// Reads one binary file, plain or gzipped.
    ///
    /// # Errors
    /// If its length is no multiple of a record's, a label is out of range, or it is larger than the
    /// source's limit.
    pub fn read<'a>(self, source: impl Into<Source<'a>>) -> Result<ImageDataset> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        self.append(source.into(), &mut pixels, &mut labels)?;
        self.dataset(pixels, labels)
    }

    /// Loads the published files from a folder: `data_batch_1.bin` to `data_batch_5.bin` and
    /// `test_batch.bin` of CIFAR-10, `train.bin` and `test.bin` of CIFAR-100; each may end in `.gz`.
    ///
    /// # Errors
    /// As [`read`](Cifar::read), and if a file is missing, has no records, or has another number of them than the
    /// first, as one has that was cut off between two records.
    pub fn load(self, folder: impl AsRef<Path>, split: Split) -> Result<ImageDataset> {
        let names: &[&str] = match (self, split) {
            (Cifar::Cifar10, Split::Train) => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            (Cifar::Cifar10, Split::Test) => &["test_batch.bin"],
            (_, Split::Train) => &["train.bin"],
            (_, Split::Test) => &["test.bin"],
        };
        let advice = "unpack the dataset's binary version into this folder";
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let mut first = None;
        for name in names {
            let before = labels.len();
            let source = Source::published(folder.as_ref(), name, advice)?;
            // The largest published file has 50,000 records; four times that is not CIFAR.
            let limit = 200_000 * (IMAGE_LEN + 2) as u64;
            self.append(source.limit(limit), &mut pixels, &mut labels)?;
            let (count, expected) = (labels.len() - before, *first.get_or_insert(labels.len()));
            if count == 0 || count != expected {
                let file = folder.as_ref().join(name).display().to_string();
                let message = format!("{count} records, where {} has {expected}", names[0]);
                let message = if expected == 0 { "there are no records".into() } else { message };
                return Err(error::truncated(&file, 0, message));
            }
        }
        self.dataset(pixels, labels)
    }

    fn append(self, source: Source<'_>, pixels: &mut Vec<u8>, labels: &mut Vec<i32>) -> Result<()> {
        let (label_bytes, label_at) = match self {
            Cifar::Cifar10 => (1, 0),
            Cifar::Cifar100Coarse => (2, 0),
            Cifar::Cifar100Fine => (2, 1),
        };
        let record_len = label_bytes + IMAGE_LEN;
        let mut input = source.open()?;
        let bytes = input.rest()?;
        if bytes.len() % record_len != 0 {
            return Err(error::truncated(
                input.name(),
                input.position(),
                format!("records have {record_len} bytes and the last one has fewer"),
            ));
        }
        pixels.reserve_exact(bytes.len() / record_len * IMAGE_LEN);
        for (index, record) in bytes.chunks_exact(record_len).enumerate() {
            let label = record[label_at];
            if usize::from(label) >= self.class_count() {
                return Err(error::malformed(
                    input.name(),
                    (index * record_len + label_at) as u64,
                    format!(
                        "record {index}: label {label}, expected 0..{}; is this another dataset?",
                        self.class_count()
                    ),
                ));
            }
            labels.push(i32::from(label));
            pixels.extend_from_slice(&record[label_bytes..]);
        }
        Ok(())
    }

    fn dataset(self, pixels: Vec<u8>, labels: Vec<i32>) -> Result<ImageDataset> {
        let dataset = ImageDataset::new(pixels, SIZE, labels)?;
        match self {
            Cifar::Cifar10 => dataset.with_class_names(Cifar::CIFAR10_CLASSES),
            Cifar::Cifar100Fine | Cifar::Cifar100Coarse => {
                dataset.with_class_names((0..self.class_count()).map(|class| class.to_string()))
            }
        }
    }
}
