//! [`ChatTemplate`]: messages to the text that a chat model was trained on.
//!
//! Templates are Jinja as Hugging Face runs it: `trim_blocks`, `lstrip_blocks`, loop controls, Python's string
//! methods, `tojson`, `raise_exception` and `strftime_now`. They come with models and are not trusted: time,
//! depth and output are bounded.
//! Not bounded exactly is the memory of values in between: one operation makes at most 100 MB, but a template
//! can be written that joins a text with itself again and again. Load templates of strangers in a process of
//! their own if that matters.

mod date;
mod output;
mod python;
mod rewrite;
mod sequences;
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::Serialize;

use self::output::{OUTPUT_BYTES_MAX, Output};
use crate::special_tokens::{role_names, token_text};
use crate::{Error, Result, Tokenizer, error, files};

/// The longest published templates have 20 kB.
const SOURCE_BYTES_MAX: usize = 128 << 10;

/// Steps of one rendering; a hundred messages take a few thousand.
const STEPS_MAX: u64 = 5_000_000;

const DEPTH_MAX: usize = 100;

/// The engine walks and drops what is nested by recursion: expressions, as deep as the source is long (about
/// 400 bytes for each sign), and values, as deep as the steps allow. Only what is used is ever committed.
const STACK_BYTES: usize = 256 << 20;

/// One message of a conversation. Templates that want more (tool calls, parts of several kinds) take any
/// type that serialises to what they expect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatMessage {
    /// Who speaks: `system`, `user`, `assistant`, or `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message of this role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        ChatMessage { role: role.into(), content: content.into() }
    }
}

/// A chat template (`tokenizer.apply_chat_template` in Python).
///
/// ```
/// use gradloom_text::{ChatMessage, ChatTemplate};
///
/// # fn main() -> gradloom_text::Result<()> {
/// let template = ChatTemplate::new(
///     "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message.content.strip() }}\n\
///      {% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
/// )?;
/// let messages = [ChatMessage::new("user", "Hello ")];
/// assert_eq!(template.render(&messages, true)?, "<|user|>\nHello\n<|assistant|>\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// The template has a fault or is absurdly long.
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("{} bytes; at most {SOURCE_BYTES_MAX}", source.len());
            return Err(error::too_large("chat template", message));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| translate(&error))?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_recursion_limit(DEPTH_MAX);
        environment.set_fuel(Some(STEPS_MAX));
        python::install(&mut environment);
        sequences::install(&mut environment);
        let source = rewrite::rewrite(&source::without_generation_tags(source));
        on_large_stack(|| {
            let added = environment.add_template_owned("chat template", source);
            added.map_err(|error| translate(&error))
        })?;
        Ok(ChatTemplate { environment, special_tokens: BTreeMap::new() }.with_time(None))
    }

    /// Reads the bytes of a `tokenizer_config.json`: its only template, or the one called `default`. `name` is
    /// what messages call the file.
    ///
    /// # Errors
    /// The file has no template, or as of [`new`](Self::new).
    pub fn from_config(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::from_config_named(name, bytes, "default")
    }

    /// Reads one of the named templates of a `tokenizer_config.json`, such as `tool_use`.
    ///
    /// # Errors
    /// The file has no template of this name, or as of [`new`](Self::new).
    pub fn from_config_named(name: &str, bytes: &[u8], template: &str) -> Result<Self> {
        let config = files::object(name, bytes)?;
        let entry = config.get("chat_template").unwrap_or(&serde_json::Value::Null);
        let Some(source) = source::named(entry, template) else {
            let message = match source::names(entry) {
                names if names.is_empty() => "there is no chat template".to_owned(),
                names => format!("no chat template {template:?}; there are {}", names.join(", ")),
            };
            return Err(error::malformed(name, message));
        };
        let mut parsed = Self::new(source)?;
        for role in role_names() {
            if let Some(token) = config.get(role).and_then(token_text) {
                parsed = parsed.with_special_token(role, token);
            }
        }
        Ok(parsed)
    }

    /// Reads the template of a model's folder: `chat_template.jinja`, or the one in
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    /// The folder has no template, or as of [`new`](Self::new).
    pub fn from_folder(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let config = path.join("tokenizer_config.json");
        let own = path.join("chat_template.jinja");
        let source = match files::read(&own) {
            Err(error) if error.is_not_found() => {
                let bytes = files::read(&config)?;
                return Self::from_config(&config.display().to_string(), &bytes);
            }
            bytes => bytes?,
        };
        let name = own.display().to_string();
        let source = String::from_utf8(source).map_err(|_| error::malformed(&name, "not UTF-8"))?;
        let mut parsed = Self::new(&source)?;
        for (role, token) in files::config(&config)?.iter().flatten() {
            if let Some(token) = token_text(token).filter(|_| role_names().any(|name| name == role))
            {
                parsed = parsed.with_special_token(role, token);
            }
        }
        Ok(parsed)
    }

    /// Sets what a role such as `bos_token` stands for in the template.
    #[must_use]
    pub fn with_special_token(mut self, role: &str, token: &str) -> Self {
        self.special_tokens.insert(role.to_owned(), token.to_owned());
        self
    }

    /// Sets the roles that a tokenizer knows.
    #[must_use]
    pub fn with_tokenizer(mut self, tokenizer: &Tokenizer) -> Self {
        let tokens = tokenizer.special_tokens();
        let ids =
            [tokens.bos, tokens.eos, tokens.unk, tokens.pad, tokens.cls, tokens.sep, tokens.mask];
        for (role, id) in role_names().zip(ids) {
            if let Some(token) = id.and_then(|id| tokenizer.id_to_token(id)) {
                self = self.with_special_token(role, &token);
            }
        }
        self
    }

    /// Fixes the time that `strftime_now` writes; `None` is the time of the call, where the system has a
    /// clock (on wasm32 the template is told that there is none). Times are UTC.
    #[must_use]
    pub fn with_time(mut self, time: Option<SystemTime>) -> Self {
        self.environment.add_function("strftime_now", move |format: &str| {
            date::format(format, time.map_or_else(date::now, Ok)?)
        });
        self
    }

    /// Renders a conversation; `add_generation_prompt` opens the assistant's turn. The text has its special
    /// tokens: encode it without adding more.
    ///
    /// # Errors
    /// The template refuses the messages, does not fit them, or runs out of its bounds.
    pub fn render<T: Serialize + ?Sized>(
        &self,
        messages: &T,
        add_generation_prompt: bool,
    ) -> Result<String> {
        self.render_with(messages, add_generation_prompt, &BTreeMap::<String, String>::new())
    }

    /// Renders with further variables, such as `tools` and `documents`, which are none where they are not given,
    /// or a template's own switches.
    ///
    /// # Errors
    /// As of [`render`](Self::render).
    pub fn render_with<T: Serialize + ?Sized, V: Serialize + ?Sized>(
        &self,
        messages: &T,
        add_generation_prompt: bool,
        variables: &V,
    ) -> Result<String> {
        // Python gives templates these two whether there are any or not.
        let mut context: BTreeMap<String, Value> =
            ["tools", "documents"].map(|name| (name.to_owned(), Value::from(()))).into();
        for (role, token) in &self.special_tokens {
            context.insert(role.clone(), Value::from(token.as_str()));
        }
        let variables = Value::from(Serde(variables));
        for key in variables.try_iter().map_err(|error| translate(&error))? {
            let value = variables.get_item(&key).map_err(|error| translate(&error))?;
            context.insert(key.to_string(), value);
        }
        let messages = sequences::listed(Value::from(Serde(messages)));
        context.insert("messages".to_owned(), messages.map_err(|error| translate(&error))?);
        context.insert("add_generation_prompt".to_owned(), Value::from(add_generation_prompt));
        let context = Value::from(context);
        on_large_stack(|| self.render_context(context))
    }

    fn render_context(&self, context: Value) -> Result<String> {
        let mut output = Output::default();
        let template = self.environment.get_template("chat template");
        template
            .and_then(|template| template.render_captured_to(context, &mut output).map(drop))
            .map_err(|error| translate(&error))?;
        String::from_utf8(output.bytes).map_err(|_| error::template("the output is not UTF-8"))
    }
}

/// Runs the engine on a thread with [`STACK_BYTES`]; where there are no threads, on the caller's stack.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if cfg!(target_family = "wasm") {
        return work();
    }
    std::thread::scope(|scope| {
        let handle = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| error::template(format!("no thread to run on: {error}")))?;
        handle.join().unwrap_or_else(|_| Err(error::template("the template engine panicked")))
    })
}

/// This crate's error for one of the template engine.
fn translate(error: &minijinja::Error) -> Error {
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    if let Some(message) = python::raised(error) {
        return error::raised(format!("{line}refused the messages: {message}"));
    }
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::OutOfFuel => error::limit(format!("{line}did not end within {STEPS_MAX} steps")),
        ErrorKind::WriteFailure => {
            error::limit(format!("{line}wrote more than {OUTPUT_BYTES_MAX} bytes"))
        }
        _ if detail.contains("recursion limit") => {
            error::limit(format!("{line}nested deeper than {DEPTH_MAX}"))
        }
        kind if detail.is_empty() => error::template(format!("{line}{kind}")),
        kind => error::template(format!("{line}{kind}: {detail}")),
    }
}
