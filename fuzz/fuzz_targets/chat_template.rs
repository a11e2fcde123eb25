//! Any text as a chat template, rendered for two messages.

#![no_main]

use gradloom_text::{ChatMessage, ChatTemplate};

libfuzzer_sys::fuzz_target!(|source: &str| {
    let Ok(template) = ChatTemplate::new(source) else { return };
    let messages =
        [ChatMessage::new("system", "Be brief."), ChatMessage::new("user", "été 😀 'x'")];
    let _ = template.with_special_token("bos_token", "<s>").render(&messages, true);
});
