//! The wire format of protocol buffers: enough of it to write and read events.

use crate::{Error, ErrorKind, Result};

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    pub(crate) fn integer(mut self, field: u32, number: i64) -> Self {
        self.key(field, 0);
        self.varint(number as u64);
        self
    }

    pub(crate) fn double(mut self, field: u32, number: f64) -> Self {
        self.key(field, 1);
        self.bytes.extend(number.to_le_bytes());
        self
    }

    /// As everywhere but in a choice of fields, where a zero is a choice.
    pub(crate) fn unless_zero(self, field: u32, number: i64) -> Self {
        if number == 0 { self } else { self.integer(field, number) }
    }

    /// As [`unless_zero`](Message::unless_zero). Negative zero is no zero here.
    pub(crate) fn double_unless_zero(self, field: u32, number: f64) -> Self {
        if number.to_bits() == 0 { self } else { self.double(field, number) }
    }

    pub(crate) fn float(mut self, field: u32, number: f32) -> Self {
        self.key(field, 5);
        self.bytes.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn slice(mut self, field: u32, bytes: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, field: u32, text: &str) -> Self {
        self.slice(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u32, message: &Message) -> Self {
        self.slice(field, &message.bytes)
    }

    pub(crate) fn doubles(self, field: u32, numbers: &[f64]) -> Self {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.slice(field, &bytes)
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// Fields of a message, in their order, with their numbers. Each is a part of the input, so nothing is
/// allocated for what a length only claims.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Fields { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(malformed("a field ends beyond its message"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(malformed("a number of more than ten bytes"))
    }

    fn field(&mut self) -> Result<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Integer(self.varint()?),
            1 => {
                let bytes = self.take(8)?.try_into().map_err(|_| malformed("a double"))?;
                Field::Double(f64::from_le_bytes(bytes))
            }
            2 => {
                let len = usize::try_from(self.varint()?)
                    .map_err(|_| malformed("a field ends beyond its message"))?;
                Field::Bytes(self.take(len)?)
            }
            5 => {
                let bytes = self.take(4)?.try_into().map_err(|_| malformed("a float"))?;
                Field::Float(f32::from_le_bytes(bytes))
            }
            wire => return Err(malformed(&format!("a field of wire type {wire}"))),
        };
        Ok((key >> 3, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

pub(super) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("event file: {what}"))
}
