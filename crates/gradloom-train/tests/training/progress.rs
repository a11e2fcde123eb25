//! What a run says where there is no terminal: plain lines, one for each epoch.

use std::process::Command;

use gradloom_nn::Sgd;
use gradloom_train::Progress;
use gradloom_train::metrics::Accuracy;

use crate::sets::{plain, rows, trainer};

/// Says that the child process shall run, and how.
const SAYS: &str = "GRADLOOM_TEST_PROGRESS";

/// Not a test by itself: the run of a child process.
#[test]
fn the_run_that_speaks() {
    let Ok(says) = std::env::var(SAYS) else { return };
    let progress = if says == "silent" { Progress::Silent } else { Progress::Auto };
    let mut fitted =
        trainer(plain(), Sgd::new(0.1)).epochs(2).metric(Accuracy::new()).progress(progress);
    fitted.fit(&rows(16), &rows(8)).unwrap();
}

fn said(how: &str) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "progress::the_run_that_speaks", "--nocapture"])
        .env(SAYS, how)
        .output()
        .unwrap();
    assert!(child.status.success());
    String::from_utf8_lossy(&child.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn without_a_terminal_there_is_a_plain_line_for_each_epoch() {
    let lines = said("lines");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, epoch) in lines.iter().zip(["epoch 1/2  loss 0.", "epoch 2/2  loss 0."]) {
        assert!(line.starts_with(epoch), "{line}");
        for part in ["accuracy", "val_loss", "val_accuracy", "learning_rate 0.1", "samples/s"] {
            assert!(line.contains(part), "{line} lacks {part}");
        }
        assert!(line.chars().all(|letter| letter.is_ascii() && !letter.is_control()), "{line:?}");
    }
    assert_eq!(said("silent"), Vec::<String>::new());
}
