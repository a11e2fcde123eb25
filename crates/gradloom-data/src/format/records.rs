//! Records of delimited text (RFC 4180): cells, quotes and line ends, read a piece at a time.
//!
//! A quote that is never closed would swallow the rest of a file in silence, so it is an error, and so is
//! text after a closing quote. Escapes by backslash and comment lines are absent on purpose.

use crate::source::Input;
use crate::{Error, Result, error};

/// Bytes that are read at a time.
const PIECE: u64 = 1 << 16;

/// The longest record; a quote left open in a file without limit would otherwise take all memory.
const RECORD_BYTES_MAX: usize = 1 << 26;

/// The cells of one record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    line: u64,
    quoted: bool,
}

impl Record {
    /// The line that the record begins in, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The cells. They are valid UTF-8, which `Records::read` checks.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| std::str::from_utf8(&self.text[start..end]).unwrap_or_default())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before the first character of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote in a quoted cell: it ended, or the quote is doubled.
    Closed,
}

/// Records of an input, one after another.
pub(crate) struct Records<'a> {
    input: Input<'a>,
    delimiter: u8,
    piece: Vec<u8>,
    next: usize,
    line: u64,
    /// The last line ended in a carriage return, so a line feed belongs to it.
    after_return: bool,
    begun: bool,
}

impl<'a> Records<'a> {
    pub(crate) fn new(input: Input<'a>, delimiter: u8) -> Self {
        let (piece, next, line) = (Vec::new(), 0, 1);
        Records { input, delimiter, piece, next, line, after_return: false, begun: false }
    }

    pub(crate) fn name(&self) -> &str {
        self.input.name()
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if self.next == self.piece.len() {
            self.piece = self.input.piece(PIECE)?;
            self.next = 0;
            if !self.begun {
                self.begun = true;
                self.skip_mark()?;
            }
        }
        let byte = self.piece.get(self.next).copied();
        self.next += usize::from(byte.is_some());
        Ok(byte)
    }

    /// Skips the byte order mark that spreadsheets write before UTF-8, and refuses those of UTF-16.
    fn skip_mark(&mut self) -> Result<()> {
        if self.piece.starts_with(&[0xef, 0xbb, 0xbf]) {
            self.next = 3;
        }
        if self.piece.starts_with(&[0xff, 0xfe]) || self.piece.starts_with(&[0xfe, 0xff]) {
            let message = "the text is UTF-16; save it as UTF-8";
            return Err(error::malformed(self.input.name(), 0, message));
        }
        Ok(())
    }

    fn fault(&self, line: u64, message: impl Into<String>) -> Error {
        error::table(self.input.name(), line, None, message)
    }

    /// Reads the next record that is no blank line; false at the end.
    pub(crate) fn read(&mut self, record: &mut Record) -> Result<bool> {
        loop {
            if !self.read_line(record)? {
                return Ok(false);
            }
            // A blank line is one empty cell without quotes.
            if record.len() > 1 || !record.text.is_empty() || record.quoted {
                break;
            }
        }
        let text = std::str::from_utf8(&record.text);
        // A cell could begin or end within a character only if the delimiter were part of one.
        let whole =
            text.is_ok_and(|text| record.ends.iter().all(|&end| text.is_char_boundary(end)));
        if !whole {
            return Err(self.fault(record.line, "the text is not UTF-8; convert it"));
        }
        Ok(true)
    }

    fn read_line(&mut self, record: &mut Record) -> Result<bool> {
        record.text.clear();
        record.ends.clear();
        record.quoted = false;
        let mut state = State::Start;
        let mut cell_start = 0;
        let mut quote_line = 0;
        let mut seen = false;
        loop {
            let byte = self.byte()?;
            if std::mem::take(&mut self.after_return) && byte == Some(b'\n') {
                continue;
            }
            let Some(byte) = byte else {
                if state == State::Quoted {
                    let message = "a quote is opened and never closed";
                    return Err(self.fault(quote_line, message));
                }
                if !seen {
                    return Ok(false);
                }
                end_cell(record, &mut cell_start, state);
                return Ok(true);
            };
            if !seen {
                record.line = self.line;
                seen = true;
            }
            if record.text.len() > RECORD_BYTES_MAX {
                let message = format!("a record of more than {RECORD_BYTES_MAX} bytes");
                return Err(error::too_large(
                    self.input.name(),
                    format!("row {}: {message}", record.line),
                ));
            }
            let line_end = byte == b'\n' || byte == b'\r';
            self.line += u64::from(line_end);
            match (state, byte) {
                (State::Quoted, b'"') => state = State::Closed,
                (State::Quoted, b'\r') => {
                    // A line feed that follows is part of the text, but no line of its own.
                    record.text.push(byte);
                    self.line -= u64::from(self.peek()? == Some(b'\n'));
                }
                (State::Quoted, _) => record.text.push(byte),
                (State::Closed, b'"') => {
                    record.text.push(b'"');
                    state = State::Quoted;
                }
                _ if line_end => {
                    self.after_return = byte == b'\r';
                    end_cell(record, &mut cell_start, state);
                    return Ok(true);
                }
                _ if byte == self.delimiter => {
                    end_cell(record, &mut cell_start, state);
                    state = State::Start;
                }
                (State::Start, b'"') => {
                    (state, quote_line) = (State::Quoted, self.line);
                    record.quoted = true;
                }
                (State::Start | State::Closed, b' ' | b'\t') => {}
                (State::Closed, _) => {
                    let message = "text after a closing quote; a quote within quotes is doubled";
                    return Err(self.fault(self.line, message));
                }
                (State::Start | State::Plain, _) => {
                    record.text.push(byte);
                    state = State::Plain;
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        let byte = self.byte()?;
        self.next -= usize::from(byte.is_some());
        Ok(byte)
    }
}

/// Ends a cell; blanks around text without quotes are no part of it.
fn end_cell(record: &mut Record, start: &mut usize, state: State) {
    if state == State::Plain {
        while record.text.len() > *start && matches!(record.text.last(), Some(b' ' | b'\t')) {
            record.text.pop();
        }
    }
    *start = record.text.len();
    record.ends.push(*start);
}

#[cfg(test)]
mod tests {
    use super::{Record, Records};
    use crate::{Result, Source};

    fn read(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>> {
        let mut records = Records::new(Source::from_bytes("t", text).open()?, b',');
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.read(&mut record)? {
            all.push((record.line(), record.cells().map(str::to_owned).collect()));
        }
        Ok(all)
    }

    #[test]
    fn quotes_line_ends_and_marks_are_understood() {
        let text =
            b"\xef\xbb\xbfa, b ,\"c\"\r\n\r\n\"x, \"\"y\"\"\",\"two\r\nlines\" ,5\" disc\r1,,\n";
        let expected = [
            (1, vec!["a", "b", "c"]),
            (3, vec!["x, \"y\"", "two\r\nlines", "5\" disc"]),
            (5, vec!["1", "", ""]),
        ];
        let got = read(text).unwrap();
        assert_eq!(got.len(), 3);
        for ((line, cells), (expected_line, expected_cells)) in got.iter().zip(&expected) {
            assert_eq!(
                (line, cells),
                (expected_line, &expected_cells.iter().map(|c| (*c).to_owned()).collect())
            );
        }
        assert_eq!(read(b"a").unwrap(), [(1, vec!["a".to_owned()])]);
        assert_eq!(read(b"\n\r\n \n").unwrap(), []);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let message = |text: &[u8]| read(text).unwrap_err().to_string();
        assert_eq!(message(b"a\nb,\"c\nd\n"), "t: row 2: a quote is opened and never closed");
        assert!(message(b"a\n\"b\" c\n").starts_with("t: row 2: text after a closing quote"));
        assert!(message(b"a\n\xe9\n").starts_with("t: row 2: the text is not UTF-8"));
        assert!(message(b"\xff\xfea\0").contains("UTF-16"));
    }

    #[test]
    fn pieces_do_not_show() {
        let row = format!("{},\"{}\"\r\n", "x".repeat(40_000), "y\r\n".repeat(20_000));
        let rows = read(row.repeat(5).as_bytes()).unwrap();
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|(_, cells)| *cells == rows[0].1));
        assert_eq!(rows[4].0, 1 + 4 * 20_001);
    }
}
