//! Settings of a run as TensorBoard's `hparams` plugin wants them: messages of its `plugin_data.proto` and
//! `api.proto`.

use crate::event::{Message, Value};
use crate::{Setting, Settings};

const TEXT: i64 = 1;
const BOOL: i64 = 2;
const NUMBER: i64 = 3;

const SUCCESS: i64 = 1;
const FAILURE: i64 = 2;

fn plugin(tag: &str, field: u32, message: &Message) -> (String, Value) {
    let content = Message::default().message(field, message).bytes;
    (format!("_hparams_/{tag}"), Value::Plugin { name: "hparams".to_owned(), content })
}

/// Which settings and figures there are, and what the settings of this run are.
pub(crate) fn start(settings: &Settings, figures: &[&str], time: f64) -> Vec<(String, Value)> {
    let mut experiment = Message::default().double(3, time);
    let mut session = Message::default();
    for (name, setting) in settings {
        let (kind, value) = match setting {
            Setting::Bool(value) => (BOOL, Message::default().integer(4, i64::from(*value))),
            Setting::Number(value) => (NUMBER, Message::default().double(2, *value)),
            Setting::Text(value) => (TEXT, Message::default().text(3, value)),
        };
        experiment = experiment.message(4, &Message::default().text(1, name).integer(4, kind));
        session = session.message(1, &Message::default().text(1, name).message(2, &value));
    }
    for figure in figures {
        let name = Message::default().text(2, figure);
        experiment = experiment.message(5, &Message::default().message(1, &name));
    }
    let session = session.double(5, time);
    vec![plugin("experiment", 2, &experiment), plugin("session_start_info", 3, &session)]
}

/// How the run ended.
pub(crate) fn end(success: bool, time: f64) -> Vec<(String, Value)> {
    let status = if success { SUCCESS } else { FAILURE };
    let message = Message::default().integer(1, status).double(2, time);
    vec![plugin("session_end_info", 4, &message)]
}
