//! [`Fields`]: the fields of a message of Protocol Buffers, as they lie in its bytes.
//!
//! Nothing is allocated and nothing recurses; a message within another is a slice that its caller reads in turn.

/// One field: its number and what it holds.
pub(super) enum Field<'a> {
    /// Integers, truth values, enumerations.
    Number(u64),
    /// Four bytes.
    Word([u8; 4]),
    /// Texts, bytes, messages.
    Bytes(&'a [u8]),
    /// Eight bytes, which no field here has.
    Long,
}

/// Walks over the fields of a message; the last item is an error if the bytes are damaged.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Long
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Word(self.take(4)?.try_into().ok()?),
            // Groups are not used any more.
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or("a field is damaged or cut short; get the file again"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields};

    #[test]
    fn damaged_messages_end_with_one_error() {
        for bytes in
            [&[0x0a][..], &[0x0a, 5, 1], &[0x08, 0xff], &[0xff; 40], &[0x0b], &[0x0d, 1, 2]]
        {
            let fields: Vec<_> = Fields::new(bytes).collect();
            assert!(fields.len() == 1 && fields[0].is_err());
        }
        let message = [0x08, 0x96, 0x01, 0x12, 1, b'x', 0x1d, 0, 0, 0x80, 0x3f];
        let fields: Vec<_> = Fields::new(&message).map(Result::unwrap).collect();
        assert!(matches!(fields[0], (1, Field::Number(150))));
        assert!(matches!(fields[1], (2, Field::Bytes(b"x"))));
        assert!(matches!(fields[2], (3, Field::Word([0, 0, 0x80, 0x3f]))));
    }
}
