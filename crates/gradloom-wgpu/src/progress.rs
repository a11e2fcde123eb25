//! [`Progress`]: says on a terminal that shaders are being compiled, where that takes long enough to
//! wonder. It leaves nothing behind.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// Shorter waits are not worth a word.
const PATIENCE: Duration = Duration::from_millis(500);
/// To the beginning of the line, and nothing on it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// How much of a plan is compiled.
pub(crate) struct Progress<W: Write = std::io::Stderr> {
    /// Where it is shown, if anybody sees it.
    output: Option<W>,
    /// None where nobody sees it: a browser's clock is not `std`'s.
    begin: Option<Instant>,
    patience: Duration,
    done: usize,
    total: usize,
    shown: bool,
}

impl Progress {
    /// Nothing of `total` kernels yet.
    pub(crate) fn new(total: usize) -> Progress {
        let stderr = std::io::stderr();
        let output = stderr.is_terminal().then_some(stderr);
        Progress::on(output, total, PATIENCE)
    }
}

impl<W: Write> Progress<W> {
    fn on(output: Option<W>, total: usize, patience: Duration) -> Progress<W> {
        let begin = output.is_some().then(Instant::now);
        Progress { output, begin, patience, done: 0, total, shown: false }
    }

    /// One more kernel is compiled.
    pub(crate) fn advance(&mut self) {
        self.done += 1;
        if let (Some(output), Some(begin)) = (&mut self.output, self.begin)
            && begin.elapsed() >= self.patience
        {
            let (done, total) = (self.done, self.total);
            // Whether it can be shown changes nothing else.
            let _ = write!(
                output,
                "{CLEAR_LINE}gradloom: compiling shaders, {done} of {total} kernels"
            );
            let _ = output.flush();
            self.shown = true;
        }
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if let (true, Some(output)) = (self.shown, &mut self.output) {
            let _ = write!(output, "{CLEAR_LINE}");
            let _ = output.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;

    fn shown(patience: Duration) -> String {
        let mut output = Vec::new();
        let mut progress = Progress::on(Some(&mut output), 2, patience);
        progress.advance();
        progress.advance();
        drop(progress);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn only_long_waits_are_told_and_the_line_is_cleared() {
        assert_eq!(shown(Duration::MAX), "");
        let text = shown(Duration::ZERO);
        assert!(text.contains("1 of 2") && text.contains("2 of 2"), "{text:?}");
        assert!(text.ends_with("kernels\r\u{1b}[2K"), "{text:?}");
    }
}
