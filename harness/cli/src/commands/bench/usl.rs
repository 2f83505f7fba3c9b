//! The Universal Scalability Law (Gunther, 1993): what N workers do together, when some of the work waits for its turn
//! (σ) and each has to agree with each other (κ).
//!
//! ```text
//!    X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1))         N / X(N) = (1 + σ (N − 1) + κ N (N − 1)) / λ
//! ```
//!
//! The form on the right is linear in 1/λ, σ/λ and κ/λ, so they are found by least squares of relative errors, none of
//! them below zero.

/// A fitted law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// What one worker does.
    pub lambda: f64,
    /// The share that waits: contention.
    pub sigma: f64,
    /// What agreeing costs: coherency.
    pub kappa: f64,
}

impl Law {
    /// The law through points of (workers, cost of one unit of work over all workers, N / X). `None` for fewer than
    /// three points, or where nothing fits.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let is_sound = |(n, cost): &(f64, f64)| *n >= 1.0 && cost.is_finite() && *cost > 0.0;
        if points.len() < 3 || !points.iter().all(is_sound) {
            return None;
        }
        // Which of σ and κ are above zero is tried out: the best that has none below.
        let subsets: [&[usize]; 4] = [&[0, 1, 2], &[0, 1], &[0, 2], &[0]];
        let fitted = subsets.into_iter().filter_map(|terms| solve(points, terms));
        let sound = fitted.filter(|[a, b, c]| *a > 0.0 && *b >= 0.0 && *c >= 0.0);
        let [a, b, c] = sound.min_by(|one, other| error(points, one).total_cmp(&error(points, other)))?;
        Some(Self { lambda: 1.0 / a, sigma: b / a, kappa: c / a })
    }

    /// What so many workers do together.
    pub fn throughput(&self, n: f64) -> f64 {
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }
}

fn terms(n: f64) -> [f64; 3] {
    [1.0, n - 1.0, n * (n - 1.0)]
}

fn error(points: &[(f64, f64)], law: &[f64; 3]) -> f64 {
    let of = |(n, cost): &(f64, f64)| {
        let fitted: f64 = terms(*n).iter().zip(law).map(|(term, factor)| term * factor).sum();
        (fitted / cost - 1.0).powi(2)
    };
    points.iter().map(of).sum()
}

/// Least squares of relative errors with some of the terms, the others at zero: normal equations, by elimination.
fn solve(points: &[(f64, f64)], chosen: &[usize]) -> Option<[f64; 3]> {
    let count = chosen.len();
    // Terms differ by powers of ten: each is counted in its largest value.
    let most = chosen.iter().map(|term| points.iter().map(|(n, _)| terms(*n)[*term]).fold(1e-300, f64::max));
    let scale: Vec<f64> = most.collect();
    let mut rows = vec![vec![0.0; count + 1]; count];
    for (n, cost) in points {
        let values: Vec<f64> =
            chosen.iter().zip(&scale).map(|(term, scale)| terms(*n)[*term] / scale / cost).collect();
        for (row, value) in rows.iter_mut().zip(&values) {
            row.iter_mut().zip(&values).for_each(|(cell, other)| *cell += value * other);
            row[count] += value;
        }
    }
    for at in 0..count {
        let pivot = (at..count).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        if rows[at][at].abs() < 1e-12 {
            return None;
        }
        for other in 0..count {
            if other != at {
                let factor = rows[other][at] / rows[at][at];
                let from = rows[at].clone();
                rows[other].iter_mut().zip(from).for_each(|(cell, value)| *cell -= factor * value);
            }
        }
    }
    let mut law = [0.0; 3];
    for (at, (term, scale)) in chosen.iter().zip(&scale).enumerate() {
        law[*term] = rows[at][count] / rows[at][at] / scale;
    }
    Some(law)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(law: Law) -> Vec<(f64, f64)> {
        [8.0, 16.0, 32.0, 64.0, 128.0, 256.0].map(|n| (n, n / law.throughput(n))).to_vec()
    }

    #[test]
    fn a_law_is_found_again() {
        for (sigma, kappa) in [(0.0, 0.0), (0.02, 0.0), (0.0, 1e-4), (0.01, 3e-5)] {
            let law = Law { lambda: 250.0, sigma, kappa };
            let found = Law::fit(&points(law)).unwrap();
            assert!((found.lambda / law.lambda - 1.0).abs() < 1e-6, "{found:?}");
            assert!((found.sigma - sigma).abs() < 1e-6 && (found.kappa - kappa).abs() < 1e-8, "{found:?}");
        }
    }

    #[test]
    fn nothing_is_fitted_below_zero_or_to_nothing() {
        let falling: Vec<(f64, f64)> = [8.0, 16.0, 32.0, 64.0].map(|n| (n, 10.0 - n / 100.0)).to_vec();
        let law = Law::fit(&falling).unwrap();
        assert!(law.sigma >= 0.0 && law.kappa >= 0.0 && law.lambda > 0.0, "{law:?}");
        assert_eq!(Law::fit(&falling[..2]), None);
        assert_eq!(Law::fit(&[(8.0, 0.0), (16.0, 1.0), (32.0, 1.0)]), None);
    }
}
