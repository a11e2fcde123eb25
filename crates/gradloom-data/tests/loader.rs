//! Loaders: order, errors, panics and early ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gradloom_data::sampler::{BatchSampler, Bucketed, Sampler, WeightedSampler};
use gradloom_data::text::LengthGroups;
use gradloom_data::transform::{Identity, RandomCrop, RandomFlip, Scale};
use gradloom_data::{Batch, Dataset, Error, ImageDataset, InMemory, Labelled, Loader, Result};
use gradloom_tensor::Key;

fn images(count: usize) -> ImageDataset {
    let pixels = (0..count * 2 * 9).map(|i| (i * 31 % 256) as u8).collect();
    ImageDataset::new(pixels, [2, 3, 3], (0..count as i32).collect()).unwrap()
}

/// Numbers that stand for samples; slow at one, failing at one, panicking at one.
struct Numbers {
    len: usize,
    fail_at: Option<usize>,
    panic_at: Option<usize>,
    read: Arc<AtomicUsize>,
}

impl Numbers {
    fn new(len: usize) -> Self {
        Numbers { len, fail_at: None, panic_at: None, read: Arc::default() }
    }
}

impl Dataset for Numbers {
    type Item = usize;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<usize> {
        self.read.fetch_add(1, Ordering::SeqCst);
        if index.is_multiple_of(7) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(self.panic_at != Some(index), "number {index} is cursed");
        if self.fail_at == Some(index) {
            return Err(Error::invalid("the number is missing"));
        }
        Ok(index)
    }
}

fn gather(samples: Vec<usize>) -> Result<Vec<usize>> {
    Ok(samples)
}

#[test]
fn batches_are_the_same_with_any_number_of_workers() {
    let epochs = |workers: usize| -> Vec<Batch> {
        let transform = (RandomCrop::new(3, 3, 1), RandomFlip::default(), Scale);
        let loader = Loader::images(images(53), transform)
            .batch_size(8)
            .shuffle(Key::new(11))
            .workers(workers);
        (0..3).flat_map(|epoch| loader.epoch(epoch)).collect::<Result<_>>().unwrap()
    };
    let expected = epochs(0);
    assert_eq!(expected.len(), 21);
    assert_eq!(expected[6].shape, [5, 2, 3, 3]);
    for workers in 1..=4 {
        assert!(epochs(workers) == expected, "{workers} workers");
    }
}

#[test]
fn an_epoch_has_every_sample_once_and_epochs_differ_in_order() {
    let loader = Loader::new(Numbers::new(100), Identity, gather)
        .batch_size(9)
        .shuffle(Key::new(5))
        .workers(3);
    let epoch = |number| loader.epoch(number).flat_map(|batch| batch.unwrap()).collect::<Vec<_>>();
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    assert_eq!(first, epoch(0));
    for mut numbers in [first, second] {
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..100));
    }
}

#[test]
fn drop_last_leaves_out_the_rest() {
    let loader = Loader::new(Numbers::new(10), Identity, gather).batch_size(4);
    assert_eq!(loader.batch_count(), 3);
    let batches: Vec<_> = loader.epoch(0).map(Result::unwrap).collect();
    assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    let loader = loader.drop_last(true);
    assert_eq!((loader.batch_count(), loader.epoch(0).count()), (2, 2));
    let empty = Loader::new(Numbers::new(0), Identity, gather).workers(2);
    assert_eq!(empty.epoch(0).count(), 0);
}

#[test]
fn an_error_names_the_sample_and_ends_the_epoch() {
    for workers in 0..=3 {
        let numbers = Numbers { fail_at: Some(17), ..Numbers::new(60) };
        let loader = Loader::new(numbers, Identity, gather).batch_size(4).workers(workers);
        let results: Vec<_> = loader.epoch(0).collect();
        assert_eq!(results.len(), 5, "{workers} workers");
        let message = results[4].as_ref().unwrap_err().to_string();
        assert_eq!(message, "loader: sample 17: the number is missing");
        assert!(results[..4].iter().all(Result::is_ok));
    }
}

#[test]
fn a_panic_in_a_worker_becomes_an_error() {
    for workers in 0..=2 {
        let numbers = Numbers { panic_at: Some(6), ..Numbers::new(20) };
        let loader = Loader::new(numbers, Identity, gather).batch_size(4).workers(workers);
        let results: Vec<_> = loader.epoch(0).collect();
        assert_eq!(results.len(), 2);
        let error = results[1].as_ref().unwrap_err();
        assert!(error.is_worker_panic());
        assert!(error.to_string().contains("number 6 is cursed"), "{error}");
    }
}

#[test]
fn dropping_an_epoch_stops_its_workers() {
    let numbers = Numbers::new(1_000_000);
    let read = Arc::clone(&numbers.read);
    let loader = Loader::new(numbers, Identity, gather).batch_size(10).workers(4);
    let mut epoch = loader.epoch(0);
    assert_eq!(epoch.next().unwrap().unwrap().len(), 10);
    drop(epoch);
    // The drop has joined every worker, so nothing reads after it, and queues are short.
    let count = read.load(Ordering::SeqCst);
    assert!(count <= 10 * 4 * 5, "{count} samples read");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(read.load(Ordering::SeqCst), count);
    drop(loader.epoch(0));
}

#[test]
fn rows_of_a_table_make_batches() {
    let rows: Vec<Labelled<Vec<f32>>> =
        (0..5).map(|i| Labelled { input: vec![i as f32; 3], label: i }).collect();
    let loader = Loader::images(InMemory(rows), Identity).batch_size(2);
    let batches: Vec<Batch> = loader.epoch(0).collect::<Result<_>>().unwrap();
    assert_eq!(batches[1].shape, [2, 3]);
    assert_eq!(batches[1].images, [2.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(batches[2].labels, [4]);
}

#[test]
fn a_sampler_gives_the_order_and_what_it_repeats_is_transformed_anew() {
    let weights: Vec<f64> = (0..20).map(|i| if i == 3 { 1.0 } else { 0.0 }).collect();
    let sampler = WeightedSampler::new(&weights).unwrap().count(50);
    let noise = |sample: usize, key: Key| Ok((sample, key.words()));
    let gather = |samples: Vec<(usize, [u32; 2])>| Ok(samples);
    let loader = |workers| {
        Loader::new(Numbers::new(20), noise, gather)
            .batch_size(8)
            .workers(workers)
            .sampler(sampler.clone(), Key::new(4))
    };
    assert_eq!(loader(0).batch_count(), 7);
    let all: Vec<_> = loader(0).epoch(1).flat_map(|batch| batch.unwrap()).collect();
    assert_eq!((all.len(), all.iter().filter(|(sample, _)| *sample == 3).count()), (50, 50));
    let keys: std::collections::HashSet<_> = all.iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 50);
    assert_eq!(loader(3).epoch(1).flat_map(|batch| batch.unwrap()).collect::<Vec<_>>(), all);
    assert_eq!(loader(0).drop_last(true).batch_count(), 6);
}

#[test]
fn batches_of_about_one_length_cover_the_dataset() {
    let lengths: Vec<usize> = (0..100).map(|i| 1 + i * 37 % 60).collect();
    let sampler = Bucketed::new(LengthGroups::new([20, 40, 60], 8), lengths.clone());
    let loader = Loader::new(Numbers::new(100), Identity, |samples: Vec<usize>| Ok(samples))
        .batch_sampler(sampler, Key::new(4));
    let batches: Vec<Vec<usize>> = loader.epoch(0).map(Result::unwrap).collect();
    assert_eq!(batches.len(), loader.batch_count());
    let mut seen = batches.concat();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..100));
    assert_ne!(batches, loader.epoch(1).map(Result::unwrap).collect::<Vec<_>>());
    let full = &batches[..batches.len() - 1];
    let range = |batch: &Vec<usize>| {
        let of = |index: &usize| lengths[*index].div_ceil(20);
        batch.iter().map(of).max().unwrap() - batch.iter().map(of).min().unwrap()
    };
    // What is left over of a length joins the next, so a few batches have two.
    assert!(full.iter().filter(|batch| range(batch) > 0).count() <= 2);
}

#[test]
fn a_sampler_that_does_not_fit_is_an_error_of_the_epoch() {
    struct Wrong(usize);
    impl Sampler for Wrong {
        fn order(&self, samples: usize, _key: Key, _epoch: u32) -> Result<Vec<usize>> {
            Ok((self.0..self.0 + samples).collect())
        }
    }
    impl BatchSampler for Wrong {
        fn batch_count(&self, _samples: usize) -> usize {
            2
        }
        fn batches(&self, _samples: usize, _key: Key, _epoch: u32) -> Result<Vec<Vec<usize>>> {
            Ok(vec![vec![0]; self.0])
        }
    }
    let loader = || Loader::new(Numbers::new(10), Identity, |samples: Vec<usize>| Ok(samples));
    let mut epoch = loader().sampler(Wrong(1), Key::new(0)).epoch(0);
    let error = epoch.next().unwrap().unwrap_err();
    assert!(error.is_index_out_of_range(), "{error}");
    assert!(epoch.next().is_none());
    let short = WeightedSampler::new(&[1.0]).unwrap();
    assert!(loader().sampler(short, Key::new(0)).epoch(0).next().unwrap().is_err());
    let error = loader().batch_sampler(Wrong(3), Key::new(0)).epoch(0).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("gave 3 batches, but had said 2"), "{error}");
}

#[test]
fn a_batch_larger_than_the_dataset_is_no_silent_epoch_of_nothing() {
    let loader = Loader::new(Numbers::new(40), Identity, |samples: Vec<usize>| Ok(samples));
    let loader = loader.batch_size(50);
    assert_eq!(loader.epoch(0).count(), 1);
    let message = loader.drop_last(true).epoch(0).next().unwrap().unwrap_err().to_string();
    assert!(message.contains("no batch of 50 among 40 samples"), "{message}");
    let empty = Loader::new(Numbers::new(0), Identity, |samples: Vec<usize>| Ok(samples));
    assert_eq!(empty.drop_last(true).epoch(0).count(), 0);
}

#[test]
fn an_epoch_that_begins_late_has_the_same_batches_with_any_number_of_workers() {
    for workers in [0, 1, 3] {
        let loader = Loader::new(Numbers::new(53), Identity, gather)
            .batch_size(4)
            .shuffle(Key::new(3))
            .workers(workers);
        let whole: Vec<Vec<usize>> = loader.epoch(2).map(Result::unwrap).collect();
        for first in [0, 1, 5, 13, 14, 99] {
            let late: Vec<Vec<usize>> = loader.epoch_from(2, first).map(Result::unwrap).collect();
            assert_eq!(late, whole[first.min(whole.len())..], "{workers} workers, from {first}");
        }
    }
    let read = Arc::new(AtomicUsize::new(0));
    let numbers = Numbers { read: Arc::clone(&read), ..Numbers::new(40) };
    assert_eq!(Loader::new(numbers, Identity, gather).batch_size(4).epoch_from(0, 8).count(), 2);
    assert_eq!(read.load(Ordering::SeqCst), 8);
}
