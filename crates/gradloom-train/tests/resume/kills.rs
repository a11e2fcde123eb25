//! Runs in processes of their own that are killed at random moments.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gradloom_data::random::RandomStream;
use gradloom_tensor::Key;

use crate::runs::{Kind, files, run};

/// The folder of the run that a child process shall do.
const FOLDER: &str = "GRADLOOM_TEST_RUN_FOLDER";
/// Which run that is; the first kind unless said otherwise.
const KIND: &str = "GRADLOOM_TEST_RUN_KIND";
const KINDS: [Kind; 3] = [Kind::Bf16, Kind::F16, Kind::Swa];

/// Not a test by itself: the run of a child process.
#[test]
fn the_run_of_a_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let wanted = std::env::var(KIND).unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| format!("{kind:?}") == wanted).unwrap_or(Kind::Bf16);
    run(kind, Path::new(&folder), None, 8).unwrap();
}

fn start(kind: Kind, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::the_run_of_a_child", "--nocapture"])
        .env(FOLDER, folder)
        .env(KIND, format!("{kind:?}"))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills runs at random moments until one folder has seen so many kills in all, each folder to its end.
fn killed(kind: Kind, kills: usize) {
    let whole = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    assert!(start(kind, whole.path()).wait().unwrap().success());
    let length_ms = begin.elapsed().as_millis() as usize;
    let expected = files(whole.path());
    // The process's number, so that other runs of this test find other moments.
    let mut random = RandomStream::new(Key::new(u64::from(std::process::id())));
    let (mut done, mut ends, mut half_written) = (0, 0, 0);
    while done < kills {
        let folder = tempfile::tempdir().unwrap();
        loop {
            let mut child = start(kind, folder.path());
            if done < kills {
                // Shorter than the run, so that most are killed several times.
                std::thread::sleep(Duration::from_millis(random.below(length_ms / 2) as u64));
            }
            if done == kills || child.try_wait().unwrap().is_some() {
                assert!(child.wait().unwrap().success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            done += 1;
            let names = files(folder.path()).into_keys();
            half_written += names.filter(|name| name.starts_with(".gradloom-")).count();
        }
        ends += 1;
        let found = files(folder.path());
        assert!(expected.keys().eq(found.keys()), "{:?}", found.keys());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "after {done} kills: {name} differs");
        }
    }
    println!(
        "{kind:?}: {done} kills, {half_written} of them while a file was written, {ends} runs to the end, all with the \
         same bytes"
    );
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_with_the_same_bytes() {
    KINDS.into_iter().for_each(|kind| killed(kind, 4));
}

#[test]
#[ignore = "takes minutes: --ignored"]
fn a_hundred_kills_end_with_the_same_bytes() {
    KINDS.into_iter().zip([40, 30, 30]).for_each(|(kind, kills)| killed(kind, kills));
}
