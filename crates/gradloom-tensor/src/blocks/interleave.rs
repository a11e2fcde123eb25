//! The order in which tensors hold blocks: 16 rows side by side.
//!
//! Rows come in groups of [`GROUP_ROWS`], the last one filled up with zeros. Within a group, block
//! after block along the rows; within a block, field after field; within a field, granules of four
//! bytes (two for an `f16`), and of each granule the 16 rows' one after another. So one vector of 64
//! bytes, or one read by 16 neighbouring GPU lanes, holds the same place of 16 rows, and dot products
//! of 16 rows run side by side without sums across lanes. It is a permutation of the plain bytes, and
//! every group is a whole number of 32-bit words.

use std::sync::Arc;

use super::BlockFormat;
use crate::Result;
use crate::outside::BytesSource;

/// Rows of a group.
pub const GROUP_ROWS: usize = 16;

/// Bytes of `rows` rows of `columns` numbers, the last group filled up.
///
/// # Panics
/// If the columns are no whole number of blocks.
pub fn bytes(format: BlockFormat, rows: usize, columns: usize) -> usize {
    rows.next_multiple_of(GROUP_ROWS) * row_bytes(format, columns)
}

fn row_bytes(format: BlockFormat, columns: usize) -> usize {
    let elements = format.elements();
    assert!(
        columns.is_multiple_of(elements),
        "{format}: rows of {columns} numbers are no whole blocks of {elements}"
    );
    columns / elements * format.bytes()
}

/// From plain rows, as files have them, to groups.
///
/// # Panics
/// If the number of bytes does not fit.
pub fn interleave(format: BlockFormat, rows: usize, columns: usize, plain: &[u8]) -> Vec<u8> {
    let row_bytes = row_bytes(format, columns);
    assert_eq!(plain.len(), rows * row_bytes, "{format}: bytes of [{rows}, {columns}]");
    let mut groups = vec![0; bytes(format, rows, columns)];
    write_groups(format, row_bytes, plain, &mut groups);
    groups
}

/// Writes rows of `row_bytes` bytes into groups. Rows that the last group has beyond them stay as they
/// are.
fn write_groups(format: BlockFormat, row_bytes: usize, plain: &[u8], groups: &mut [u8]) {
    let group_bytes = (GROUP_ROWS * row_bytes).max(1);
    for (group, plain) in groups.chunks_exact_mut(group_bytes).zip(plain.chunks(group_bytes)) {
        for_each_granule(format, row_bytes, |granule, at| {
            let lanes = &mut group[at * GROUP_ROWS..(at + granule) * GROUP_ROWS];
            // Copies of a known length are single instructions.
            if granule == 4 {
                let (lanes, _) = lanes.as_chunks_mut::<4>();
                for (lane, row) in lanes.iter_mut().zip(plain.chunks_exact(row_bytes)) {
                    lane.copy_from_slice(&row[at..at + 4]);
                }
            } else {
                let (lanes, _) = lanes.as_chunks_mut::<2>();
                for (lane, row) in lanes.iter_mut().zip(plain.chunks_exact(row_bytes)) {
                    lane.copy_from_slice(&row[at..at + 2]);
                }
            }
        });
    }
}

/// Plain rows somewhere outside, as groups.
pub(crate) struct Groups {
    pub(crate) format: BlockFormat,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// The plain rows: it can be read row by row.
    pub(crate) plain: Arc<dyn BytesSource>,
}

/// Bytes of plain rows that are in memory while groups are made of them, where rows are short.
const PLAIN_BYTES: usize = 1 << 18;

impl BytesSource for Groups {
    fn byte_count(&self) -> usize {
        bytes(self.format, self.rows, self.columns)
    }

    fn unit(&self) -> usize {
        (GROUP_ROWS * row_bytes(self.format, self.columns)).max(1)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let (unit, row_bytes) = (self.unit(), row_bytes(self.format, self.columns));
        assert!(offset.is_multiple_of(unit) && bytes.len().is_multiple_of(unit), "{}", self.format);
        let mut row = offset / unit * GROUP_ROWS;
        let mut plain = Vec::new();
        for groups in bytes.chunks_mut((PLAIN_BYTES / unit).max(1) * unit) {
            let rows = (groups.len() / unit * GROUP_ROWS).min(self.rows - row);
            plain.resize(rows * row_bytes, 0);
            self.plain.read(row * row_bytes, &mut plain)?;
            if !rows.is_multiple_of(GROUP_ROWS) {
                groups.fill(0);
            }
            write_groups(self.format, row_bytes, &plain, groups);
            row += rows;
        }
        Ok(())
    }
}

/// From groups back to plain rows.
///
/// # Panics
/// If the number of bytes does not fit.
pub fn plain(format: BlockFormat, rows: usize, columns: usize, groups: &[u8]) -> Vec<u8> {
    let row_bytes = row_bytes(format, columns);
    assert_eq!(
        groups.len(),
        bytes(format, rows, columns),
        "{format}: bytes of [{rows}, {columns}]"
    );
    let mut plain = vec![0; rows * row_bytes];
    for_each_granule(format, row_bytes, |granule, at| {
        for row in 0..rows {
            let (group, lane) = (row / GROUP_ROWS, row % GROUP_ROWS);
            let from = group * GROUP_ROWS * row_bytes + at * GROUP_ROWS + lane * granule;
            let to = row * row_bytes + at;
            plain[to..to + granule].copy_from_slice(&groups[from..from + granule]);
        }
    });
    plain
}

/// One row of groups as plain blocks.
///
/// # Panics
/// If the row is beyond the groups, or `plain` is not as long as a row.
pub fn plain_row(format: BlockFormat, groups: &[u8], row: usize, plain: &mut [u8]) {
    let group = GROUP_ROWS * plain.len();
    let group = &groups[row / GROUP_ROWS * group..][..group];
    let lane = row % GROUP_ROWS;
    for_each_granule(format, plain.len(), |granule, at| {
        let from = at * GROUP_ROWS + lane * granule;
        plain[at..at + granule].copy_from_slice(&group[from..from + granule]);
    });
}

/// Calls `visit` with the size of each granule of a row and its place in the plain row. In a group it
/// begins at 16 times that place.
fn for_each_granule(format: BlockFormat, row_bytes: usize, mut visit: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at < row_bytes {
        for &field in format.fields() {
            let granule = field.min(4);
            for _ in 0..field / granule {
                visit(granule, at);
                at += granule;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_is_a_permutation() {
        for format in BlockFormat::ALL {
            for rows in [1, 16, 19] {
                let columns = 2 * format.elements();
                let count = rows * 2 * format.bytes();
                let bytes: Vec<u8> = (0..count).map(|index| (index * 7 % 251) as u8).collect();
                let groups = interleave(format, rows, columns, &bytes);
                assert_eq!(groups.len() % 64, 0);
                assert_eq!(plain(format, rows, columns, &groups), bytes);
            }
        }
    }

    #[test]
    fn a_vector_holds_the_same_place_of_16_rows() {
        let (format, rows) = (BlockFormat::Q4_0, 16);
        let plain: Vec<u8> = (0..rows * 18).map(|index| (index / 18) as u8).collect();
        let groups = interleave(format, rows, 32, &plain);
        assert_eq!(groups[..32], std::array::from_fn::<u8, 32, _>(|index| (index / 2) as u8));
        for vector in groups[32..].chunks_exact(64) {
            assert_eq!(vector, std::array::from_fn::<u8, 64, _>(|index| (index / 4) as u8));
        }
    }
}
