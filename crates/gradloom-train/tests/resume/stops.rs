//! Runs that stop at every step in turn.

use gradloom_train::Result;

use crate::runs::{Kind, files, run};

/// Stops at each step in turn; what goes on from there leaves the same files, byte by byte.
fn stopped_anywhere(kind: Kind, steps: u64) {
    let whole = tempfile::tempdir().unwrap();
    let fit = run(kind, whole.path(), None, 0).unwrap();
    assert_eq!(fit.steps, steps, "{kind:?}");
    let expected = files(whole.path());
    assert!(
        expected.contains_key("last.safetensors") && expected.contains_key("final.safetensors")
    );
    for stop in 1..steps {
        let folder = tempfile::tempdir().unwrap();
        let first = run(kind, folder.path(), Some(stop), 0).unwrap();
        assert_eq!((first.steps, first.stopped.as_deref()), (stop, Some("here")));
        let rest = run(kind, folder.path(), None, 0).unwrap();
        assert_eq!((rest.history, rest.steps), (fit.history.clone(), steps), "stopped at {stop}");
        let found = files(folder.path());
        assert!(expected.keys().eq(found.keys()), "{:?}", found.keys());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "{kind:?} stopped at {stop}: {name} differs");
        }
    }
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
