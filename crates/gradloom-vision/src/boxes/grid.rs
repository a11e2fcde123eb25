//! [`Grid`]: which kept boxes may touch another, so that suppression does not compare all with all.

/// Kept boxes by the cells that they touch; large ones are in a list of their own.
pub(super) struct Grid {
    origin: [f32; 2],
    cell: [f32; 2],
    sides: [usize; 2],
    cells: Vec<Vec<u32>>,
    large: Vec<u32>,
    all: Vec<u32>,
}

const SIDE_MAX: usize = 128;
const CELLS_OF_BOX_MAX: usize = 64;

impl Grid {
    /// For boxes that are finite.
    pub(super) fn new(boxes: &[[f32; 4]]) -> Grid {
        let (mut low, mut high, mut mean) = ([f32::MAX; 2], [f32::MIN; 2], [0.0f64; 2]);
        for bounds in boxes {
            for axis in 0..2 {
                low[axis] = low[axis].min(bounds[axis]);
                high[axis] = high[axis].max(bounds[2 + axis]);
                let side = f64::from(bounds[2 + axis]) - f64::from(bounds[axis]);
                mean[axis] += side.max(0.0) / boxes.len() as f64;
            }
        }
        let mut sides = [1; 2];
        let mut cell = [1.0; 2];
        for axis in 0..2 {
            let extent = (f64::from(high[axis]) - f64::from(low[axis])).max(0.0);
            let count = extent / mean[axis].max(extent * 1e-3).max(f64::MIN_POSITIVE);
            sides[axis] = (count as usize).clamp(1, SIDE_MAX);
            let size = (extent / sides[axis] as f64) as f32;
            cell[axis] = if size.is_finite() && size > 0.0 { size } else { f32::MAX };
        }
        let cells = vec![Vec::new(); sides[0] * sides[1]];
        Grid { origin: low, cell, sides, cells, large: Vec::new(), all: Vec::new() }
    }

    /// The cells that a box touches, first and last of both axes. Places are monotonous, so boxes that meet share
    /// a cell however they are rounded.
    fn span(&self, bounds: &[f32; 4]) -> [[usize; 2]; 2] {
        let place = |axis: usize, value: f32| {
            let place = (value - self.origin[axis]) / self.cell[axis];
            (place as usize).min(self.sides[axis] - 1)
        };
        [0, 1].map(|axis| [place(axis, bounds[axis]), place(axis, bounds[2 + axis])])
    }

    /// Adds a kept box.
    pub(super) fn insert(&mut self, index: u32, bounds: &[f32; 4]) {
        self.all.push(index);
        let [[left, right], [top, bottom]] = self.span(bounds);
        // An inverted box meets none.
        let (Some(width), Some(height)) = (right.checked_sub(left), bottom.checked_sub(top)) else {
            return;
        };
        if (width + 1) * (height + 1) > CELLS_OF_BOX_MAX {
            self.large.push(index);
            return;
        }
        for row in top..=bottom {
            for column in left..=right {
                self.cells[row * self.sides[0] + column].push(index);
            }
        }
    }

    /// True if `meets` is for one of the kept boxes near a box.
    pub(super) fn any(&self, bounds: &[f32; 4], meets: impl Fn(u32) -> bool) -> bool {
        let [[left, right], [top, bottom]] = self.span(bounds);
        let (Some(width), Some(height)) = (right.checked_sub(left), bottom.checked_sub(top)) else {
            return false;
        };
        if (width + 1) * (height + 1) > CELLS_OF_BOX_MAX {
            return self.all.iter().any(|&index| meets(index));
        }
        let near = (top..=bottom).flat_map(|row| {
            (left..=right).flat_map(move |column| self.cells[row * self.sides[0] + column].iter())
        });
        self.large.iter().chain(near).any(|&index| meets(index))
    }
}
