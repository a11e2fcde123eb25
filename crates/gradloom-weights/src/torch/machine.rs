//! [`Machine`]: walks through a pickle and notes the objects that it describes.
//!
//! A pickle is a program for a machine with a stack and a memo. This machine knows no functions but
//! those of [`rebuild`](super::rebuild), which only take notes; what anything else would give is an
//! inert [`Object::Opaque`]. Protocol 0's textual opcodes are absent on purpose: PyTorch never writes
//! them.

use std::collections::HashMap;

use super::value::{Global, Id, Object, Value};
use crate::reader::Reader;

/// The largest pickle, in bytes. State dicts of thousands of tensors take some hundred kilobytes.
pub(super) const PICKLE_BYTES_MAX: usize = 1 << 28;

/// The largest number of opcodes of all pickles of a file, and so of values.
const OPERATIONS_MAX: usize = 1 << 22;

/// The longest text that names a global, in bytes.
const GLOBAL_BYTES_MAX: usize = 1 << 10;

/// The state of the machine.
pub(super) struct Machine<'a> {
    pub(super) objects: Vec<Object<'a>>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    operations_left: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new() -> Self {
        Machine {
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            operations_left: OPERATIONS_MAX,
        }
    }

    /// Runs one pickle to its end and gives back its value. Objects of earlier ones stay.
    pub(super) fn run(&mut self, reader: &mut Reader<'a>) -> Result<Value<'a>, String> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let at = reader.at();
            let opcode = reader.u8()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.spend(1)?;
            self.step(opcode, reader)
                .map_err(|message| format!("the pickle at byte {at}: {message}"))?;
        }
    }

    /// Takes some of the work that a file may cause.
    pub(super) fn spend(&mut self, operations: usize) -> Result<(), String> {
        let left = self.operations_left.checked_sub(operations);
        self.operations_left = left.ok_or_else(|| {
            format!("more than {OPERATIONS_MAX} operations; save only the state dict")
        })?;
        Ok(())
    }

    pub(super) fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(Id(index)) => self.objects.get(index as usize),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, object: Object<'a>) -> Value<'a> {
        // As many objects as operations at most, so the number fits.
        let id = Id(self.objects.len() as u32);
        self.objects.push(object);
        Value::Object(id)
    }

    fn step(&mut self, opcode: u8, reader: &mut Reader<'a>) -> Result<(), String> {
        let value = match opcode {
            // Protocol and frames say nothing that the opcodes do not.
            0x80 => return reader.u8().map(drop),
            0x95 => return reader.u64().map(drop),
            b'(' | b'0' | b'1' | b'2' => return self.stack_only(opcode),
            b'q' | b'r' | 0x94 | b'h' | b'j' => return self.memo(opcode, reader),
            b'a' | b'e' | 0x90 | b's' | b'u' | b'b' => return self.change(opcode),
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(reader.i32()?.into()),
            b'K' => Value::Int(reader.u8()?.into()),
            b'M' => Value::Int(reader.u16()?.into()),
            0x8a => {
                let len = reader.u8()?;
                long(reader.take(len.into())?)
            }
            0x8b => {
                let len = reader.u32()?;
                long(reader.take(len.into())?)
            }
            b'G' => Value::Float(reader.f64_big_endian()?),
            b'X' | b'T' | 0x8c | b'U' | 0x8d => text(opcode, reader)?,
            b'B' | b'C' | 0x8e | 0x96 => bytes(opcode, reader)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(opcode)?,
            b']' | 0x8f => self.add(Object::List(Vec::new())),
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.add(Object::List(items))
            }
            b'}' => self.add(Object::Dict(Vec::new())),
            b'd' => {
                let items = pairs(&self.pop_mark()?)?;
                self.add(Object::Dict(items))
            }
            b'c' | 0x93 => self.global(opcode, reader)?,
            b'R' | 0x81 | 0x92 => self.construct(opcode)?,
            b'Q' => {
                let id = self.pop()?;
                self.persistent(id)?
            }
            _ => return Err(format!("opcode {opcode:#04x} is not supported")),
        };
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".to_owned());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn top(&self) -> Result<Value<'a>, String> {
        self.stack.last().copied().ok_or_else(|| "the stack is empty".to_owned())
    }

    /// Everything above the last mark, which is removed.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        let mark = self.marks.pop().ok_or("no mark is on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn stack_only(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            _ => self.stack.push(self.top()?),
        }
        Ok(())
    }

    fn memo(&mut self, opcode: u8, reader: &mut Reader<'a>) -> Result<(), String> {
        let index = match opcode {
            b'q' | b'h' => reader.u8()?.into(),
            b'r' | b'j' => reader.u32()?,
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self.memo.get(&index).ok_or_else(|| format!("memo {index} is empty"))?;
            self.stack.push(*value);
        } else {
            self.memo.insert(index, self.top()?);
        }
        Ok(())
    }

    fn tuple(&mut self, opcode: u8) -> Result<Value<'a>, String> {
        let items = match opcode {
            b')' => Vec::new(),
            b't' => self.pop_mark()?,
            _ => {
                let mut items = Vec::new();
                for _ in 0x85..=opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                items
            }
        };
        Ok(self.add(Object::Tuple(items)))
    }

    fn global(&mut self, opcode: u8, reader: &mut Reader<'a>) -> Result<Value<'a>, String> {
        let (module, name) = if opcode == b'c' {
            let mut line = || {
                let line = reader.line()?;
                std::str::from_utf8(line).map_err(|_| "a global's name is no UTF-8".to_owned())
            };
            (line()?, line()?)
        } else {
            match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => (module, name),
                _ => return Err("a global's name is no text".to_owned()),
            }
        };
        if module.len() + name.len() > GLOBAL_BYTES_MAX {
            return Err("a global's name is absurdly long".to_owned());
        }
        Ok(self.add(Object::Global(Global { module, name })))
    }

    /// Calls and constructors, which differ only in their operands here.
    fn construct(&mut self, opcode: u8) -> Result<Value<'a>, String> {
        if opcode == 0x92 {
            // Arguments by name; no class that tensors need has any.
            self.pop()?;
        }
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.call(callable, arguments)
    }

    /// Adds to the object on top of the stack, or sets its state.
    fn change(&mut self, opcode: u8) -> Result<(), String> {
        let mut items = match opcode {
            b'e' | 0x90 | b'u' => self.pop_mark()?,
            b'a' | b'b' => vec![self.pop()?],
            _ => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
        };
        let Value::Object(Id(index)) = self.top()? else {
            return Err("items are added to what cannot have any".to_owned());
        };
        let object = self.objects.get_mut(index as usize).ok_or("an object is missing")?;
        match (opcode, object) {
            (b'b', Object::Opaque { state, .. }) => *state = items.pop(),
            // Attributes of dicts and tensors say nothing about elements.
            (b'b', _) => {}
            (b'a' | b'e' | 0x90, Object::List(list)) => list.append(&mut items),
            // Subclasses of lists are opaque.
            (b'a' | b'e' | 0x90, Object::Opaque { .. }) => {}
            (b's' | b'u', Object::Dict(dict) | Object::Opaque { items: dict, .. }) => {
                dict.append(&mut pairs(&items)?);
            }
            _ => return Err("items are added to what cannot have any".to_owned()),
        }
        Ok(())
    }
}

/// Keys and values that alternate.
fn pairs<'a>(items: &[Value<'a>]) -> Result<Vec<(Value<'a>, Value<'a>)>, String> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a key has no value".to_owned()),
    }
}

/// An integer in two's complement of any length.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

fn text<'a>(opcode: u8, reader: &mut Reader<'a>) -> Result<Value<'a>, String> {
    let len = match opcode {
        0x8c | b'U' => reader.u8()?.into(),
        0x8d => reader.u64()?,
        _ => reader.u32()?.into(),
    };
    let bytes = reader.take(len)?;
    match (std::str::from_utf8(bytes), opcode) {
        (Ok(text), _) => Ok(Value::Text(text)),
        // Strings of Python 2 may be anything.
        (Err(_), b'T' | b'U') => Ok(Value::Bytes),
        (Err(_), _) => Err("a text is no UTF-8".to_owned()),
    }
}

fn bytes<'a>(opcode: u8, reader: &mut Reader<'a>) -> Result<Value<'a>, String> {
    let len = match opcode {
        b'C' => reader.u8()?.into(),
        b'B' => reader.u32()?.into(),
        _ => reader.u64()?,
    };
    reader.take(len)?;
    Ok(Value::Bytes)
}
