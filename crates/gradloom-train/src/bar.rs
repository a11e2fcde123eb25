//! [`Bar`]: a line in a terminal that is written over; absent without the feature `progress` and where there is no
//! terminal.

/// A bar in a terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    #[cfg(all(feature = "progress", not(target_family = "wasm")))]
    bar: indicatif::ProgressBar,
}

#[cfg(all(feature = "progress", not(target_family = "wasm")))]
impl Bar {
    /// Of so many steps; `None` where there is no terminal.
    pub(crate) fn new(total: Option<u64>) -> Option<Self> {
        use indicatif::{ProgressBar, ProgressStyle};
        use std::io::IsTerminal;
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let (bar, template) = match total {
            Some(total) => {
                let template = "{elapsed_precise} [{bar:30}] {pos}/{len}  {msg}  {eta} left";
                (ProgressBar::new(total), template)
            }
            None => (ProgressBar::new_spinner(), "{elapsed_precise} {pos}  {msg}"),
        };
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Some(Bar { bar })
    }

    pub(crate) fn show(&self, step: u64, message: String) {
        self.bar.set_position(step);
        self.bar.set_message(message);
    }

    /// A line above the bar.
    pub(crate) fn line(&self, text: &str) {
        self.bar.println(text);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(not(all(feature = "progress", not(target_family = "wasm"))))]
impl Bar {
    pub(crate) fn new(_total: Option<u64>) -> Option<Self> {
        None
    }

    pub(crate) fn show(&self, _step: u64, _message: String) {}

    pub(crate) fn line(&self, _text: &str) {}

    pub(crate) fn finish(&self) {}
}
