//! [`Late`]: error scopes that a driver has not answered yet. Native drivers answer at once, a browser when
//! its event loop runs; until then the work is taken to be good.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gradloom_tensor::{Error, Result};

type Answer = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;

/// Scopes without an answer, each with what was done in it.
#[derive(Default)]
pub(crate) struct Late(Mutex<Vec<(String, Answer)>>);

impl Late {
    /// The answer to a scope, if it is there; otherwise it is kept.
    pub(crate) fn answer(
        &self,
        what: &str,
        scope: impl Future<Output = Option<wgpu::Error>> + Send + 'static,
    ) -> Option<wgpu::Error> {
        let mut answer: Answer = Box::pin(scope);
        match poll(&mut answer) {
            Poll::Ready(error) => error,
            Poll::Pending => {
                self.list().push((what.to_owned(), answer));
                None
            }
        }
    }

    /// The first error among the answers that have come meanwhile.
    pub(crate) fn look(&self) -> Result<()> {
        let mut first = Ok(());
        self.list().retain_mut(|(what, answer)| match poll(answer) {
            Poll::Ready(error) => {
                first = std::mem::replace(&mut first, Ok(())).and(named(what, error));
                false
            }
            Poll::Pending => true,
        });
        first
    }

    /// Waits for the answers to all scopes so far; the first error. If that is given up, the others keep
    /// theirs.
    pub(crate) async fn all(&self) -> Result<()> {
        let mut first = Ok(());
        let mut waited = Waited { late: self, list: std::mem::take(&mut *self.list()) };
        waited.list.reverse();
        while let Some((what, answer)) = waited.list.last_mut() {
            first = first.and(named(what, answer.await));
            waited.list.pop();
        }
        first
    }

    fn list(&self) -> MutexGuard<'_, Vec<(String, Answer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scopes that somebody waits for, back in the list if that is given up.
struct Waited<'a> {
    late: &'a Late,
    list: Vec<(String, Answer)>,
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        self.late.list().append(&mut self.list);
    }
}

fn poll(answer: &mut Answer) -> Poll<Option<wgpu::Error>> {
    answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn named(what: &str, error: Option<wgpu::Error>) -> Result<()> {
    error.map_or(Ok(()), |error| Err::<(), Error>(convert(what, error)))
}

impl std::fmt::Debug for Late {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Late({} scopes)", self.list().len())
    }
}

/// An error of the driver as one of ours.
pub(crate) fn convert(what: &str, error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::out_of_memory(format!(
            "{what}: the GPU has no memory left; use smaller batches or drop tensors"
        )),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::backend(format!("{what}: {description}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    /// Ready at its second poll, as a promise that the event loop has fulfilled.
    fn promise(error: Option<wgpu::Error>) -> impl Future<Output = Option<wgpu::Error>> {
        let (mut polled, mut error) = (false, error);
        poll_fn(move |context| match std::mem::replace(&mut polled, true) {
            true => Poll::Ready(error.take()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }

    fn full() -> wgpu::Error {
        wgpu::Error::OutOfMemory { source: "none left".into() }
    }

    #[test]
    fn an_answer_is_given_at_once_or_to_who_looks_or_waits() {
        let late = Late::default();
        assert!(late.answer("now", ready(Some(full()))).is_some());
        assert!(late.answer("later", promise(Some(full()))).is_none());
        assert!(late.answer("never", pending()).is_none());
        assert!(late.look().unwrap_err().is_out_of_memory());
        assert!(late.look().is_ok(), "an error is told once");
        assert_eq!(format!("{late:?}"), "Late(1 scopes)");

        let late = Late::default();
        assert!(late.answer("good", promise(None)).is_none());
        assert!(late.answer("bad", promise(Some(full()))).is_none());
        let error = pollster::block_on(late.all()).unwrap_err();
        assert!(error.is_out_of_memory() && error.to_string().contains("bad"), "{error}");
        assert!(pollster::block_on(late.all()).is_ok());

        assert!(late.answer("bad", promise(Some(full()))).is_none());
        assert!(late.answer("never", pending()).is_none());
        let mut waiting = Box::pin(late.all());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(waiting);
        assert_eq!(format!("{late:?}"), "Late(1 scopes)");
    }
}
