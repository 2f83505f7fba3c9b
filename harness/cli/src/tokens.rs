//! Amounts of DATA as people write them: whole tokens with decimals, of which the token has eighteen.

/// Decimals of the token.
const DECIMALS: usize = 18;

/// Decimals that are shown.
const SHOWN: usize = 4;

/// An amount in the token's smallest unit, in whole tokens with up to four decimals, cut and not rounded.
pub fn shown(amount: &str) -> String {
    if amount.is_empty() || !amount.bytes().all(|byte| byte.is_ascii_digit()) {
        return amount.into();
    }
    let padded = format!("{amount:0>width$}", width = DECIMALS + 1);
    let (whole, fraction) = padded.split_at(padded.len() - DECIMALS);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction[..SHOWN].trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.into() } else { format!("{whole}.{fraction}") }
}

/// Reads an amount of DATA: digits with at most eighteen decimals, more than zero.
pub fn parse(text: &str) -> Result<u128, String> {
    let wrong = || format!("{text:?} is no amount of DATA: write it as in 100 or 0.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    if fraction.len() > DECIMALS {
        return Err(format!("{text:?} has more than the {DECIMALS} decimals of the token"));
    }
    let amount = format!("{whole}{fraction:0<DECIMALS$}").parse().map_err(|_| wrong())?;
    if amount == 0 { Err("an amount is more than 0".into()) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_to_whole_tokens() {
        for (amount, expected) in [
            ("0", "0"),
            ("1", "0"),
            ("1000000000000000000", "1"),
            ("1234567890000000000000", "1234.5678"),
            ("500000000000000000", "0.5"),
            ("none", "none"),
        ] {
            assert_eq!(shown(amount), expected, "{amount}");
        }
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let unit = 10u128.pow(18);
        assert_eq!([parse("100"), parse("0.5"), parse(".25")], [Ok(100 * unit), Ok(unit / 2), Ok(unit / 4)]);
        assert_eq!(parse("0.000000000000000001"), Ok(1));
        for wrong in ["", ".", "0", "-1", "1e3", "1,5", "0.0000000000000000001", &"9".repeat(40)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
