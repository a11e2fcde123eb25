//! Sequences as Python has them: slices, what may be looped over, lengths.

use minijinja::value::{Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::rewrite::{ITERABLE, SLICE};

/// Adds the functions that rewritten templates call, and filters that tell none from an empty list.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.add_function(ITERABLE, iterable);
    environment.add_filter("list", |value: Value| -> Result<Value, Error> {
        Ok(Value::from(iterable(value)?.try_iter()?.collect::<Vec<Value>>()))
    });
    for name in ["length", "count"] {
        environment.add_filter(name, length);
    }
}

fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if name != SLICE {
        return unknown_method_callback(state, value, name, arguments);
    }
    let [start, stop, rest @ ..] = arguments else {
        return Err(Error::from(ErrorKind::MissingArgument));
    };
    slice(value, start, stop, rest.first().unwrap_or(&Value::from(())))
}

/// Values in a list; an array of Rust is a tuple to the engine, which lists do not join.
pub(super) fn listed(value: Value) -> Result<Value, Error> {
    match value.downcast_object_ref::<Tuple>() {
        Some(_) => Ok(Value::from(value.try_iter()?.collect::<Vec<Value>>())),
        None => Ok(value),
    }
}

fn iterable(value: Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "none is not iterable"));
    }
    Ok(value)
}

fn length(value: &Value, rest: Rest<Value>) -> Result<usize, Error> {
    if !rest.is_empty() {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| {
        let message = format!("a value of kind {} has no length", value.kind());
        Error::new(ErrorKind::InvalidOperation, message)
    })
}

/// Python's `value[start:stop:step]`; undefined, as for any item that is not there, where the value has no
/// slices or what is between the colons is no integer.
fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let number = |value: &Value| match (value.is_none(), value.is_integer()) {
        (true, _) => Some(None),
        (false, true) => i64::try_from(value.clone()).ok().map(Some),
        (false, false) => None,
    };
    let (Some(start), Some(stop), Some(step)) = (number(start), number(stop), number(step)) else {
        return Ok(Value::UNDEFINED);
    };
    let step = step.unwrap_or(1);
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "a slice of an undefined value"));
    }
    if !matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Iterable) {
        return Ok(Value::UNDEFINED);
    }
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "the step of a slice is 0"));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        let taken = places(start, stop, step, characters.len()).map(|place| characters[place]);
        return Ok(Value::from(taken.collect::<String>()));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let taken = places(start, stop, step, items.len()).map(|place| items[place].clone());
    Ok(match value.downcast_object_ref::<Tuple>() {
        Some(_) => Value::from(Tuple::from(taken.collect::<Vec<Value>>())),
        None => Value::from(taken.collect::<Vec<Value>>()),
    })
}

/// Indices of a slice of `count` elements, as Python's `slice.indices` and `range` give them.
fn places(
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
    count: usize,
) -> impl Iterator<Item = usize> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let (lowest, highest) = if step < 0 { (-1, count - 1) } else { (0, count) };
    let within = |place: i64| {
        let place = if place < 0 { place.saturating_add(count) } else { place };
        place.clamp(lowest, highest)
    };
    let (first, last) = if step < 0 { (highest, lowest) } else { (lowest, highest) };
    let mut place = start.map_or(first, within);
    let stop = stop.map_or(last, within);
    std::iter::from_fn(move || {
        let taken = if step < 0 { place > stop } else { place < stop };
        let current = taken.then(|| usize::try_from(place).ok()).flatten();
        place = place.saturating_add(step);
        current
    })
}
