//! Waiting for a device, by one code for threads that may block and for those that must not: what waits is
//! an `async` function that is told how to ([`Wait`]) and ends in a [`Signal`].
//!
//! A thread that blocks polls the device itself, so its futures are never pending. Where a future is
//! awaited, a thread of the [`Poller`] polls the device and wakes it; in a browser the event loop does.

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gradloom_tensor::{Error, Result};

/// How an `async` function waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It blocks the thread and is never pending: for [`finish`].
    Blocking,
    /// It is pending until it is woken.
    Awaiting,
}

/// The result of a function that waits by [`Wait::Blocking`].
///
/// # Errors
/// Those of the function, and where no thread may block.
pub(crate) fn finish<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    if cfg!(target_family = "wasm") {
        return Err(cannot_block());
    }
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(cannot_block()),
    }
}

/// The error of blocking where the device needs the thread to go on.
pub(crate) fn cannot_block() -> Error {
    Error::unsupported(
        "a GPU cannot be waited for on this thread: the browser answers only when it goes on; await the \
         async form (`gpu_async`, `to_vec_async`, `eval_async`, `commit_async`)",
    )
}

/// Something that a driver reports once, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    reported: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<()>>,
    waker: Option<Waker>,
}

impl Signal {
    /// Reports; later reports are not heard.
    pub(crate) fn set(&self, result: Result<()>) {
        let mut state = self.state();
        state.result.get_or_insert(result);
        let waker = state.waker.take();
        drop(state);
        self.reported.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// True once there is a report, which is waited for so long.
    pub(crate) fn is_set_within(&self, time: Duration) -> bool {
        let unset = |state: &mut State| state.result.is_none();
        let waited = self.reported.wait_timeout_while(self.state(), time, unset);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.result.is_some()
    }

    /// The report, or a note to wake who asks.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Result<()>> {
        let mut state = self.state();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a signal waits for: a submission, or all that were made before it is looked at.
pub(crate) type After = Option<wgpu::SubmissionIndex>;

/// A thread that polls the device while somebody awaits a signal, and sleeps otherwise. It is started by
/// the first of them and ends with the device.
#[derive(Debug, Default)]
pub(crate) struct Poller(Mutex<Option<mpsc::Sender<(Arc<Signal>, After)>>>);

impl Poller {
    /// Has the device polled until the signal is set. `poll` does so and is `None` when the device is gone;
    /// that of the first call is kept.
    pub(crate) fn watch(
        &self,
        signal: &Arc<Signal>,
        after: After,
        poll: impl Fn(&Signal, After) -> Option<Result<()>> + Send + 'static,
    ) -> std::io::Result<()> {
        if cfg!(target_family = "wasm") {
            return Ok(());
        }
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &mut *sender {
            Some(sender) => sender,
            none => none.insert(start(poll)?),
        };
        let gone = |_| std::io::Error::other("its thread is gone");
        sender.send((Arc::clone(signal), after)).map_err(gone)
    }
}

fn start(
    poll: impl Fn(&Signal, After) -> Option<Result<()>> + Send + 'static,
) -> std::io::Result<mpsc::Sender<(Arc<Signal>, After)>> {
    let (sender, receiver) = mpsc::channel::<(Arc<Signal>, After)>();
    let run = move || {
        for (signal, after) in receiver {
            let Some(polled) = poll(&signal, after) else { break };
            if let Err(error) = polled {
                signal.set(Err(error));
            }
        }
    };
    std::thread::Builder::new().name("gradloom gpu".to_owned()).spawn(run)?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_heard_once_by_who_waits_or_comes_later() {
        let signal = Arc::new(Signal::default());
        let context = Context::from_waker(Waker::noop());
        assert!(signal.poll(&context).is_pending());
        assert!(!signal.is_set_within(Duration::ZERO));
        let other = Arc::clone(&signal);
        let thread = std::thread::spawn(move || other.set(Err(Error::backend("first"))));
        assert!(signal.is_set_within(Duration::from_secs(60)));
        thread.join().unwrap();
        signal.set(Ok(()));
        let Poll::Ready(Err(error)) = signal.poll(&context) else { panic!("the first report") };
        assert!(error.to_string().contains("first"));
    }

    #[test]
    fn what_would_be_pending_is_an_error_for_who_blocks() {
        assert_eq!(finish(std::future::ready(Ok(7))).unwrap(), 7);
        let error = finish(std::future::pending::<Result<()>>()).unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains("to_vec_async"), "{error}");
    }
}
