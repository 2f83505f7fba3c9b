//! An axis of a chart: where a value lies on it, and which values are written beside it.

/// Marks of a linear axis at most, and of a logarithmic one about.
const MARKS: usize = 6;

/// An axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it counts, with the unit.
    pub label: String,
    /// Whether equal distances are equal ratios; then only positive values are shown.
    pub logarithmic: bool,
}

impl Axis {
    /// Equal distances are equal differences; it begins at zero.
    pub fn linear(label: &str) -> Self {
        Self { label: label.into(), logarithmic: false }
    }

    /// Equal distances are equal ratios.
    pub fn logarithmic(label: &str) -> Self {
        Self { label: label.into(), logarithmic: true }
    }

    /// The axis over these values.
    pub fn over(&self, values: impl IntoIterator<Item = f64>) -> Scale {
        let values =
            values.into_iter().filter(|value| value.is_finite() && (!self.logarithmic || *value > 0.0));
        let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        if !self.logarithmic {
            let high = if high > 0.0 { high } else { 1.0 };
            let step = step(high / MARKS as f64);
            let marks = (0..=(high / step).ceil() as usize).map(|n| n as f64 * step).collect();
            return Scale { logarithmic: false, marks };
        }
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        Scale { logarithmic: true, marks: ratios(low, high) }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let fits = |factor: &f64| factor * power >= least * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// Marks at equal ratios, the first not above `low` and the last not below `high`: powers of two if `high` is less
/// than a thousand times `low`, else of ten; some left out where there are many.
fn ratios(low: f64, high: f64) -> Vec<f64> {
    let base: f64 = if high / low < 1_000.0 { 2.0 } else { 10.0 };
    let first = (low.log(base) + 1e-9).floor() as i32;
    let last = ((high.log(base) - 1e-9).ceil() as i32).max(first + 1);
    let every = ((last - first) as usize).div_ceil(2 * MARKS).max(1) as i32;
    let count = (last - first + every - 1) / every;
    (0..=count).map(|n| base.powi(first + n * every)).collect()
}

/// An axis with a length.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    logarithmic: bool,
    /// The values that are written, ascending; the axis reaches from the first to the last.
    pub marks: Vec<f64>,
}

impl Scale {
    /// Where a value lies: 0 is the axis' beginning and 1 its end.
    pub fn place(&self, value: f64) -> f64 {
        let (first, last) = (self.marks[0], self.marks[self.marks.len() - 1]);
        if self.logarithmic {
            return (value.max(first) / first).ln() / (last / first).ln();
        }
        (value - first) / (last - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_marks_are_round_and_reach_over_all_values() {
        for (high, marks) in [
            (5.0, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            (0.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (230.0, vec![0.0, 50.0, 100.0, 150.0, 200.0, 250.0]),
        ] {
            let scale = Axis::linear("x").over([high, high / 2.0]);
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
            assert!(
                scale.marks.len() == marks.len() && scale.marks.iter().zip(&marks).all(near),
                "{scale:?}"
            );
            assert!(scale.place(high) <= 1.0 && scale.place(0.0) == 0.0);
        }
    }

    #[test]
    fn logarithmic_marks_are_powers() {
        let scale = Axis::logarithmic("x").over([8.0, 64.0, -1.0, f64::NAN]);
        assert_eq!(scale.marks, [8.0, 16.0, 32.0, 64.0]);
        assert_eq!((scale.place(8.0), scale.place(64.0)), (0.0, 1.0));
        assert!((scale.place(16.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(Axis::logarithmic("x").over([0.5, 20_000.0]).marks.len(), 7);
        assert!(Axis::logarithmic("x").over([1e-9, 1e30]).marks.len() <= 2 * MARKS + 2);
        assert_eq!(Axis::logarithmic("x").over([]).marks, [1.0, 2.0, 4.0, 8.0, 16.0]);
        assert_eq!(Axis::logarithmic("x").over([4.0]).marks, [4.0, 8.0]);
    }
}
