//! Folders of pictures and texts, and streams of files larger than memory.

use std::path::Path;

use gradloom_data::format::csv::CsvReader;
use gradloom_data::format::text::{read_lines, read_text, read_text_folder};
use gradloom_data::stream::Stream;
use gradloom_data::transform::{Resize, Scale};
use gradloom_data::{Dataset, Image, ImageFolder, Loader, Result, Source};
use gradloom_tensor::Key;

fn picture(path: &Path, value: u8, size: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Image::new(vec![value; 3 * size * size], [3, size, size]).unwrap().save_png(path).unwrap();
}

#[test]
fn folders_are_classes_and_pictures_become_batches() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for index in 0..5u8 {
        picture(&root.join(format!("dog/{index}.png")), 200, 5 + usize::from(index));
        picture(&root.join(format!("cat/deep/{index}.PNG")), 100, 6);
    }
    std::fs::write(root.join("dog/notes.txt"), "no picture").unwrap();
    std::fs::write(root.join("dog/.hidden.png"), "no picture").unwrap();
    std::fs::write(root.join("readme.png"), "no class").unwrap();
    let images = ImageFolder::open(root).unwrap().check(2).unwrap();
    assert_eq!(
        (images.len(), images.class_names()),
        (10, &["cat".to_owned(), "dog".to_owned()][..])
    );
    assert_eq!(images.labels(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(images.get(7).unwrap().input.size(), [3, 7, 7]);
    assert!(images.get(10).unwrap_err().is_index_out_of_range());

    let loader = Loader::images(images.clone(), (Resize::new(4, 4), Scale)).batch_size(10);
    let batch = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(batch.shape, [10, 3, 4, 4]);
    let message = Loader::images(images, Scale).epoch(0).next().unwrap().unwrap_err().to_string();
    assert!(message.contains("crop or resize them to one size"), "{message}");
}

#[test]
fn unreadable_pictures_are_counted_named_and_skipped_only_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for index in 0..40u8 {
        picture(&root.join(format!("a/{index:02}.png")), index, 4);
    }
    for index in [3, 17, 18, 20, 21, 22, 39] {
        std::fs::write(root.join(format!("a/{index:02}.png")), "broken").unwrap();
    }
    let images = ImageFolder::open(root).unwrap();
    let found: Vec<usize> = images.unreadable(3).iter().map(|bad| bad.index).collect();
    assert_eq!(found, [3, 17, 18, 20, 21, 22, 39]);
    let message = images.clone().check(2).unwrap_err().to_string();
    assert!(message.contains("7 of 40 pictures cannot be read"), "{message}");
    assert!(message.contains("03.png") && message.contains("and 2 more"), "{message}");
    let (kept, skipped) = images.skip_unreadable(2).unwrap();
    assert_eq!((kept.len(), skipped.len()), (33, 7));
    assert_eq!(kept.get(3).unwrap().input.pixels()[0], 4);
    assert!(skipped[0].path.ends_with("a/03.png"));
    // What is asked for is not what is there: an error of that sample.
    std::fs::remove_file(root.join("a/00.png")).unwrap();
    assert!(kept.get(0).unwrap_err().is_not_found());
}

#[test]
fn folders_without_pictures_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = ImageFolder::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("each class needs one"), "{message}");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let message = ImageFolder::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("empty has no files of the kinds"), "{message}");
    assert!(ImageFolder::open(folder.path().join("none")).unwrap_err().is_not_found());
    std::fs::write(folder.path().join("empty/a.png"), "broken").unwrap();
    let all = ImageFolder::open(folder.path()).unwrap().skip_unreadable(1);
    assert!(all.unwrap_err().to_string().contains("1 of 1 pictures"));
}

#[test]
fn texts_are_read_whole_by_lines_and_by_class() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.txt");
    std::fs::write(&path, "\u{feff}one\r\n\r\ntwo").unwrap();
    assert_eq!(read_lines(&path).unwrap(), ["one", "", "two"]);
    let message = read_text(Source::from_bytes("t", b"ab\xff")).unwrap_err().to_string();
    assert!(message.starts_with("t: byte 2: the text is not UTF-8"), "{message}");
    for (class, text) in [("pos", "good"), ("neg", "bad")] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::fs::write(folder.path().join(class).join("1.txt"), text).unwrap();
    }
    let table = read_text_folder(folder.path()).unwrap();
    assert_eq!(table.labels("label").unwrap().labels(), [0, 1]);
    assert_eq!(table.texts("text").unwrap()[1].as_deref(), Some("good"));
}

#[test]
fn a_stream_has_every_line_once_and_goes_on_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for shard in 0..5 {
        let path = folder.path().join(format!("{shard}.txt"));
        let lines: Vec<String> = (0..shard * 40).map(|line| format!("{shard} {line}")).collect();
        std::fs::write(&path, lines.join("\r\n") + "\n\n").unwrap();
        files.push(path);
    }
    let plain = Stream::lines(files.clone()).unwrap();
    let in_order: Vec<String> = plain.epoch(0).collect::<Result<_>>().unwrap();
    assert_eq!(
        (in_order.len(), in_order[0].as_str(), in_order[399].as_str()),
        (400, "1 0", "4 159")
    );
    let stream = plain.shuffle(64, Key::new(3));
    let all: Vec<String> = stream.epoch(2).collect::<Result<_>>().unwrap();
    let mut sorted = all.clone();
    sorted.sort();
    let mut expected = in_order.clone();
    expected.sort();
    assert_eq!(sorted, expected);
    assert_ne!(all, in_order);
    assert_ne!(all, stream.epoch(3).collect::<Result<Vec<_>>>().unwrap());
    for position in [0, 1, 37, 333, 400, 1000] {
        let rest: Vec<String> = stream.epoch_from(2, position).collect::<Result<_>>().unwrap();
        assert_eq!(rest, all[(position as usize).min(400)..]);
    }
    let batches: Vec<Vec<String>> = stream.epoch(2).batches(64).collect::<Result<_>>().unwrap();
    assert_eq!((batches.len(), batches[6].len()), (7, 400 - 6 * 64));
    assert_eq!(batches.concat(), all);
}

#[test]
fn faults_of_a_stream_end_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
    std::fs::write(&good, "one\ntwo\n").unwrap();
    std::fs::write(&bad, b"three\n\xff\n").unwrap();
    let stream = Stream::lines([good.clone(), bad.clone()]).unwrap();
    let all: Vec<Result<String>> = stream.epoch(0).collect();
    assert_eq!(all.len(), 4);
    assert!(all[3].as_ref().unwrap_err().to_string().contains("b.txt: row 2"));
    assert!(stream.epoch_from(0, 10).next().unwrap().is_err());
    let missing = Stream::lines([folder.path().join("none")]).unwrap();
    assert!(missing.epoch(0).next().unwrap().unwrap_err().is_not_found());
    assert!(Stream::lines(Vec::<&str>::new()).is_err());
    std::fs::write(&good, "n\n1\n2\n3\n").unwrap();
    let tables = Stream::csv([good], CsvReader::new(), 2).unwrap();
    let lens: Vec<usize> = tables.epoch(0).map(|table| table.unwrap().len()).collect();
    assert_eq!(lens, [2, 1]);
}
