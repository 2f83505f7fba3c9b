//! Clog: what a broker sends is held up until the fault is over, and then comes all at once, in the order in which it
//! was sent.

use crate::links::Delivery;

impl Delivery {
    pub(super) fn hold_until(&mut self, left_us: u64) {
        self.delays_us_mut().iter_mut().for_each(|delay_us| *delay_us = left_us);
    }
}
