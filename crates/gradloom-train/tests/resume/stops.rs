//! Runs that stop at every step in turn.

use std::path::Path;

use gradloom_train::{Fit, Result};

use crate::runs::{Kind, files, run};

/// Stops at each step in turn.
fn stopped_anywhere(kind: Kind, steps: u64) {
    let what = format!("{kind:?}");
    let fit = stopped(&what, 1..steps, &|folder, stop| run(kind, folder, stop, 0));
    assert_eq!(fit.steps, steps, "{kind:?}");
}

/// Stops at each of the steps; what goes on from there leaves the same files, byte by byte.
pub(crate) fn stopped(
    what: &str,
    stops: impl IntoIterator<Item = u64>,
    run: &dyn Fn(&Path, Option<u64>) -> Result<Fit>,
) -> Fit {
    let whole = tempfile::tempdir().unwrap();
    let fit = run(whole.path(), None).unwrap();
    let expected = files(whole.path());
    assert!(
        expected.contains_key("last.safetensors") && expected.contains_key("final.safetensors")
    );
    for stop in stops {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), Some(stop)).unwrap();
        assert_eq!((first.steps, first.stopped.as_deref()), (stop, Some("here")));
        let rest = run(folder.path(), None).unwrap();
        let same = (rest.history, rest.steps) == (fit.history.clone(), fit.steps);
        assert!(same, "{what} stopped at {stop}: another history");
        let found = files(folder.path());
        assert!(expected.keys().eq(found.keys()), "{:?}", found.keys());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "{what} stopped at {stop}: {name} differs");
        }
    }
    fit
}

#[test]
fn bf16_with_accumulation_and_averages_goes_on_with_the_same_bits() {
    stopped_anywhere(Kind::Bf16, 16);
}

#[test]
fn f16_with_a_scaler_and_a_plateau_goes_on_with_the_same_bits() {
    stopped_anywhere(Kind::F16, 24);
}

#[test]
fn averaged_epochs_go_on_with_the_same_bits() {
    stopped_anywhere(Kind::Swa, 24);
}

#[test]
fn a_run_at_its_end_has_nothing_left_to_do() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let fit = run(Kind::Swa, folder.path(), None, 0)?;
    let before = files(folder.path());
    let again = run(Kind::Swa, folder.path(), None, 0)?;
    assert_eq!((again.steps, again.history), (fit.steps, fit.history));
    assert!(before == files(folder.path()));
    Ok(())
}
