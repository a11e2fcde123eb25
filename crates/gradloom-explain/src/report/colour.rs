//! [`ColourMap`]: numbers as colours.

/// How a number from 0 to 1 becomes a colour. Both maps are told apart by people who see no red or green.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// From dark violet by green to yellow, for numbers without a sign (van der Walt, Smith).
    #[default]
    Viridis,
    /// From blue by grey to red, with 0 in the middle, for numbers with a sign (Moreland, 2009).
    Coolwarm,
}

type Colour = [u8; 3];

/// Viridis at steps of a ninth.
const VIRIDIS: [Colour; 10] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 73, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [181, 222, 43],
    [253, 231, 37],
];
/// Coolwarm at steps of an eighth.
const COOLWARM: [Colour; 9] = [
    [59, 76, 192],
    [98, 130, 234],
    [141, 176, 254],
    [184, 208, 249],
    [221, 221, 221],
    [245, 196, 173],
    [244, 154, 123],
    [222, 96, 77],
    [180, 4, 38],
];

impl ColourMap {
    /// The colour of a number; those outside of 0 to 1 have that of the end, NaN that of 0.
    pub fn colour(self, number: f64) -> [u8; 3] {
        let stops: &[Colour] = match self {
            ColourMap::Viridis => &VIRIDIS,
            ColourMap::Coolwarm => &COOLWARM,
        };
        let place = number.clamp(0.0, 1.0).max(0.0) * (stops.len() - 1) as f64;
        let low = (place as usize).min(stops.len() - 2);
        let share = place - low as f64;
        let between =
            |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
        [0, 1, 2].map(|channel| between(stops[low][channel], stops[low + 1][channel]))
    }

    /// As `#rrggbb`.
    pub(crate) fn hex(self, number: f64) -> String {
        let [r, g, b] = self.colour(number);
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// The number below which a share of the sizes lies, above 0.
pub(crate) fn clip(numbers: &[f64], share: f64) -> f64 {
    let mut sizes: Vec<f64> = numbers.iter().map(|x| x.abs()).filter(|x| x.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    let at = (share * sizes.len().saturating_sub(1) as f64).ceil() as usize;
    let found = sizes.get(at).copied().unwrap_or(0.0);
    // Of few numbers that are not zero, the largest.
    let found = if found > 0.0 { found } else { sizes.last().copied().unwrap_or(0.0) };
    if found > 0.0 { found } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::{ColourMap, clip};

    #[test]
    fn ends_and_middles_of_maps() {
        assert_eq!(ColourMap::Viridis.colour(0.0), [68, 1, 84]);
        assert_eq!(ColourMap::Viridis.colour(7.0), [253, 231, 37]);
        assert_eq!(ColourMap::Viridis.colour(f64::NAN), [68, 1, 84]);
        assert_eq!(ColourMap::Coolwarm.hex(0.5), "#dddddd");
        let mut numbers = vec![1.0; 99];
        numbers.extend([-100.0, f64::NAN]);
        assert_eq!(clip(&numbers, 0.99), 100.0);
        assert_eq!(clip(&numbers, 0.95), 1.0);
        assert_eq!(clip(&[], 0.99), 1.0);
    }
}
