//! A row: what was measured in several runs, beside what was wanted.

use serde_json::{Value, json};

/// What a row's median should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// One measured figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    name: String,
    unit: &'static str,
    /// In ascending order, at least one.
    samples: Vec<f64>,
    wanted: Option<Wanted>,
}

impl Row {
    /// A figure of one or more runs.
    pub fn new(name: impl Into<String>, unit: &'static str, mut samples: Vec<f64>) -> Self {
        let name = name.into();
        assert!(!samples.is_empty() && samples.iter().all(|s| s.is_finite()), "{name}: {samples:?}");
        samples.sort_by(f64::total_cmp);
        Self { name, unit, samples, wanted: None }
    }

    /// The same, wanted to be this or less.
    pub fn at_most(self, wanted: f64) -> Self {
        Self { wanted: Some(Wanted::AtMost(wanted)), ..self }
    }

    /// The same, wanted to be this or more.
    pub fn at_least(self, wanted: f64) -> Self {
        Self { wanted: Some(Wanted::AtLeast(wanted)), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The least of the runs.
    pub fn min(&self) -> f64 {
        self.samples[0]
    }

    /// The middle one, or the mean of the middle two.
    pub fn median(&self) -> f64 {
        let (below, above) = ((self.samples.len() - 1) / 2, self.samples.len() / 2);
        (self.samples[below] + self.samples[above]) / 2.0
    }

    /// The most of the runs.
    pub fn max(&self) -> f64 {
        self.samples[self.samples.len() - 1]
    }

    /// Whether the median is as wanted; `None` if nothing was.
    pub fn met(&self) -> Option<bool> {
        self.wanted.map(|wanted| match wanted {
            Wanted::AtMost(most) => self.median() <= most,
            Wanted::AtLeast(least) => self.median() >= least,
        })
    }

    /// How much of the budget is used: 1 is exactly what is wanted, less is better. `None` without a budget.
    pub fn used(&self) -> Option<f64> {
        self.wanted.map(|wanted| match wanted {
            Wanted::AtMost(most) => self.median() / most,
            Wanted::AtLeast(least) => least / self.median(),
        })
    }

    /// The names of [`cells`](Self::cells).
    pub const HEAD: [&str; 7] = ["ROW", "MIN", "MEDIAN", "MAX", "UNIT", "WANTED", ""];

    /// The row in words. A figure of one run has no least and most.
    pub fn cells(&self) -> Vec<String> {
        let (min, max) = match self.samples.len() {
            1 => (String::new(), String::new()),
            _ => (number(self.min()), number(self.max())),
        };
        let wanted = self.wanted.map_or_else(String::new, |wanted| match wanted {
            Wanted::AtMost(most) => format!("≤ {}", number(most)),
            Wanted::AtLeast(least) => format!("≥ {}", number(least)),
        });
        let met = self.met().map_or("", |met| if met { "met" } else { "missed" });
        vec![self.name.clone(), min, number(self.median()), max, self.unit.into(), wanted, met.into()]
    }

    /// The row for programs, with every run.
    pub fn json(&self) -> Value {
        let mut row = json!({
            "name": self.name,
            "unit": self.unit,
            "min": self.min(),
            "median": self.median(),
            "max": self.max(),
            "runs": self.samples.len(),
            "samples": self.samples,
        });
        match self.wanted {
            Some(Wanted::AtMost(most)) => row["at_most"] = most.into(),
            Some(Wanted::AtLeast(least)) => row["at_least"] = least.into(),
            None => {}
        }
        if let Some(met) = self.met() {
            row["met"] = met.into();
        }
        row
    }
}

/// The value that so many percent of ascending samples are at most.
pub fn percentile(ascending: &[f64], percent: f64) -> f64 {
    assert!(!ascending.is_empty(), "a percentile of nothing");
    let rank = (percent / 100.0 * ascending.len() as f64).ceil() as usize;
    ascending[rank.clamp(1, ascending.len()) - 1]
}

/// A number for people: three significant digits at least, thousands apart.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 || value.fract() == 0.0 {
        return thousands(value);
    }
    let decimals = match magnitude {
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        0.001.. => 5,
        _ => 6,
    };
    format!("{value:.decimals$}")
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 && digits != "0" { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let odd = Row::new("a", "s", vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.min(), odd.median(), odd.max()), (1.0, 2.0, 3.0));
        assert_eq!(Row::new("a", "s", vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(Row::new("a", "s", vec![7.0]).median(), 7.0);
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=200).map(f64::from).collect();
        let found = [0.0, 50.0, 99.0, 99.9, 100.0].map(|percent| percentile(&samples, percent));
        assert_eq!(found, [1.0, 100.0, 198.0, 200.0, 200.0]);
        assert_eq!(percentile(&[7.0], 50.0), 7.0);
    }

    #[test]
    fn budgets_have_a_direction() {
        let row = Row::new("a", "s", vec![4.0]);
        assert_eq!((row.met(), row.used()), (None, None));
        let slow = row.clone().at_most(2.0);
        assert_eq!((slow.met(), slow.used()), (Some(false), Some(2.0)));
        let fast = row.clone().at_least(2.0);
        assert_eq!((fast.met(), fast.used()), (Some(true), Some(0.5)));
        assert_eq!(row.clone().at_most(4.0).met(), Some(true));
        assert_eq!(row.at_least(4.0).met(), Some(true));
    }

    #[test]
    fn the_row_says_all_of_it() {
        let row = Row::new("assign.full", "s", vec![0.5, 0.25, 1.5]).at_most(5.0);
        assert_eq!(row.cells(), ["assign.full", "0.250", "0.500", "1.50", "s", "≤ 5", "met"]);
        assert_eq!(row.cells().len(), Row::HEAD.len());
        let json = row.json();
        assert_eq!(
            (&json["median"], &json["at_most"], &json["met"]),
            (&json!(0.5), &json!(5.0), &json!(true))
        );
        assert_eq!(json["samples"], json!([0.25, 0.5, 1.5]));
        let single = Row::new("gas.seat", "gas", vec![83_449.0]).at_least(90_000.0);
        assert_eq!(single.cells(), ["gas.seat", "", "83,449", "", "gas", "≥ 90,000", "missed"]);
        assert!(single.json().get("at_most").is_none());
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (5.0, "5"),
            (0.012_34, "0.0123"),
            (0.5, "0.500"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (999.9, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1_500.0, "-1,500"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }
}
