//! Text in, text out: what ties tokenizers and chat templates to models. Feature `text`.

mod chat;
mod gguf;
mod stream;

pub use chat::Chat;
pub use gguf::vocabulary;
pub use stream::TextStream;
