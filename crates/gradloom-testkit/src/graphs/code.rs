//! A recipe as Rust that can be pasted as a test.

use gradloom_tensor::{DType, Tensor};

use super::fill::values;
use super::{Recipe, Scenario, Step, catch};
use crate::storage;

/// Leaves up to this many elements are written out.
const ELEMENTS_SHOWN: usize = 64;

/// The recipe as the lines of a test: `device` is what it is evaluated on.
pub fn rust(recipe: &Recipe) -> String {
    let needed = recipe.needed();
    let tensors = catch(|| recipe.build(&storage::device())).unwrap_or_default();
    let mut lines = Vec::new();
    for (number, step) in recipe.steps.iter().enumerate() {
        if needed[number] {
            lines.push(format!("let t{number} = {};", call(step, &tensors)));
        }
    }
    let list = |steps: &[usize]| {
        let names: Vec<String> = steps.iter().map(|step| format!("&t{step}")).collect();
        format!("[{}]", names.join(", "))
    };
    let roots = list(&recipe.roots);
    lines.push(match &recipe.scenario {
        Scenario::Together => format!("eval({roots})?;"),
        Scenario::Stepwise => format!("for each node: node.eval()?; // then {roots}"),
        Scenario::Before(steps) => format!("each of {}.eval()?; eval({roots})?;", list(steps)),
        Scenario::Replay(times) => {
            format!("eval({roots})?; // {times} times, arguments larger by one each time")
        }
        Scenario::Threads => format!("three threads evaluate {roots}, each in another order"),
        Scenario::Release => format!("commit(&mut vec!{roots})?; // owned, other handles dropped"),
        Scenario::Gradient { order, inputs } => format!(
            "let loss = weighted sum of {roots}; grad(&loss, &{}) // order {order}",
            list(inputs)
        ),
        Scenario::Descent { rounds, weights } => format!(
            "{rounds} rounds: loss = weighted sum of {roots}; w -= rate * grad(&loss, &{}); commit",
            list(weights)
        ),
    });
    lines.join("\n")
}

fn call(step: &Step, tensors: &[Tensor]) -> String {
    let p = &step.parameters;
    let mut text = step.row.text.to_owned();
    let mut put = |from: &str, to: &str| {
        if text.contains(from) {
            text = text.replace(from, to);
        }
    };
    for (position, operand) in step.operands.iter().enumerate() {
        put(&format!("{{{position}}}"), &format!("t{operand}"));
    }
    let all: Vec<String> = step.operands.iter().map(|operand| format!("&t{operand}")).collect();
    put("{all}", &format!("[{}]", all.join(", ")));
    put("{axes}", &format!("{:?}", p.axes));
    put("{sizes}", &format!("{:?}", p.sizes));
    put("{axis}", &p.axes.first().map_or_else(String::new, ToString::to_string));
    put("{seed}", &p.seed.to_string());
    put("{dtype}", &format!("DType::{:?}", p.dtype));
    let operand = step.operands.first().and_then(|&operand| tensors.get(operand));
    let dtype = operand.map_or(p.dtype, Tensor::dtype);
    put("{number}", &number(p.number, dtype));
    for (position, size) in p.sizes.iter().enumerate() {
        put(&format!("{{s{position}}}"), &size.to_string());
    }
    let pairs: Vec<String> =
        p.sizes.chunks(2).map(|pair| format!("({}, {})", pair[0], pair[pair.len() - 1])).collect();
    put("{pads}", &format!("[{}]", pairs.join(", ")));
    let ranges: Vec<String> = p
        .sizes
        .chunks(3)
        .filter(|range| range.len() == 3)
        .map(|range| format!("{}..{};{}", range[0], range[1], range[2]))
        .collect();
    put("{slice}", &ranges.join(", "));
    put("{leaf}", &leaf(step));
    text
}

fn number(value: f64, dtype: DType) -> String {
    match dtype.is_float() {
        true if value.is_nan() => "f64::NAN".to_owned(),
        true => format!("{value:?}"),
        false => format!("{}", value as i64),
    }
}

fn leaf(step: &Step) -> String {
    let p = &step.parameters;
    let count: usize = p.sizes.iter().product();
    if count > ELEMENTS_SHOWN {
        let (fill, seed, sizes, dtype) = (p.fill, p.seed, &p.sizes, p.dtype);
        return format!("filled(Fill::{fill:?}, {seed}, &{sizes:?}, DType::{dtype:?}, &device)");
    }
    let shown: Vec<String> = values(p.fill, p.seed, count, p.dtype)
        .into_iter()
        .map(|value| match value {
            value if value.is_nan() => "f64::NAN".to_owned(),
            value if value == f64::INFINITY => "f64::INFINITY".to_owned(),
            value if value == f64::NEG_INFINITY => "f64::NEG_INFINITY".to_owned(),
            value => format!("{value:?}"),
        })
        .collect();
    format!("leaf(&[{}], &{:?}, DType::{:?}, &device)", shown.join(", "), p.sizes, p.dtype)
}
