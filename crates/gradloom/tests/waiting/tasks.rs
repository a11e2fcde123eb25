//! Just enough of an executor: a thread that sleeps until it is woken and counts how often it polls, several
//! futures at once, and futures that are given up.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use gradloom::BoxFuture;

struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The result of a future, and how often it was polled. A future that wakes nobody hangs the test.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> (T, usize) {
    let waker = Waker::from(Arc::new(Sleeper(std::thread::current())));
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (result, polls);
        }
        std::thread::park();
    }
    unreachable!("the loop returns")
}

/// The results of all, polled by one thread.
pub(crate) async fn join<T>(futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(Some).collect();
    let mut results: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in running.iter_mut().zip(&mut results) {
            if let Some(Poll::Ready(ready)) = future.as_mut().map(|f| f.as_mut().poll(context)) {
                *result = Some(ready);
                *future = None;
            }
        }
        if running.iter().any(Option::is_some) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    results.into_iter().map(|result| result.expect("all are ready")).collect()
}

/// Polls a future so often, with time for the device in between, and drops it. True if it was ready.
pub(crate) fn give_up<T>(mut future: BoxFuture<'_, T>, polls: usize) -> bool {
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
