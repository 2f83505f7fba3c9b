//! What data costs, and where the money goes (WP 2.4.7).

use bincode::{Decode, Encode};

use super::{Allotment, Meter};

/// A whole, in basis points.
pub const FULL_SHARE: u16 = 10_000;

/// What LaneFees was deployed with. Prices are in the token's smallest unit, shares in basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Params {
    /// Price of an event, at most 10^18.
    pub event_price: u128,
    /// Price of a content byte, at most 10^18.
    pub byte_price: u128,
    /// Events of each lane that are free.
    pub free_events: u64,
    /// Content bytes of each lane that are free.
    pub free_volume: u64,
    /// Share of each charge that is burned.
    pub burn_share: u16,
    /// Share of an allotment that a proven fork costs.
    pub slash_share: u16,
    /// The reporter's share of that.
    pub reporter_share: u16,
    /// Epochs between asking for an allotment back and getting it.
    pub notice_epochs: u64,
}

impl Default for Params {
    /// The figures of a development network: lanes of ordinary size are free.
    fn default() -> Self {
        Self {
            event_price: 1_000_000_000_000,
            byte_price: 1_000_000_000,
            free_events: 1 << 40,
            free_volume: 1 << 50,
            burn_share: 500,
            slash_share: 5_000,
            reporter_share: 2_500,
            notice_epochs: 4,
        }
    }
}

impl Params {
    /// What a lane's meter has cost in all when it stands there.
    pub fn lane_price(&self, meter: Meter) -> u128 {
        self.price(Meter {
            events: meter.events.saturating_sub(self.free_events),
            volume: meter.volume.saturating_sub(self.free_volume),
        })
    }

    /// What so many events and bytes cost. It fits: prices are below 2^60 and meters below 2^64.
    pub fn price(&self, meter: Meter) -> u128 {
        self.event_price * u128::from(meter.events) + self.byte_price * u128::from(meter.volume)
    }
}

/// A share of an amount, rounded down. Amounts are below 2^96, so the product fits.
pub fn share(amount: u128, basis_points: u16) -> u128 {
    assert!(basis_points <= FULL_SHARE, "a share is at most the whole");
    amount * u128::from(basis_points) / u128::from(FULL_SHARE)
}

/// What an allotment gives towards a price, and what is missing.
pub(super) fn charge(allotment: Option<&Allotment>, price: u128) -> (u128, u128) {
    let charged = allotment.map_or(0, |allotment| allotment.amount).min(price);
    (charged, price - charged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_the_free_part_of_a_lane_costs() {
        let params =
            Params { event_price: 7, byte_price: 2, free_events: 10, free_volume: 100, ..Params::default() };
        let price = |events, volume| params.lane_price(Meter { events, volume });
        assert_eq!([price(10, 100), price(11, 100), price(9, 101), price(12, 103)], [0, 7, 2, 20]);
        assert_eq!(params.price(Meter { events: 10, volume: 100 }), 270);
    }

    #[test]
    fn the_dearest_meter_fits() {
        let params = Params { event_price: 1 << 60, byte_price: 1 << 60, ..Params::default() };
        assert!(params.price(Meter { events: u64::MAX, volume: u64::MAX }) > u128::from(u64::MAX) << 60);
    }

    #[test]
    fn an_allotment_gives_no_more_than_it_has() {
        let allotment = Allotment { amount: 5, ..Allotment::default() };
        assert_eq!(charge(Some(&allotment), 3), (3, 0));
        assert_eq!(charge(Some(&allotment), 9), (5, 4));
        assert_eq!(charge(None, 9), (0, 9));
    }
}
