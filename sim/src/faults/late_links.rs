//! Late links: what a broker sends and gets takes longer, as to a place far away.

use crate::links::Delivery;

impl Delivery {
    pub(super) fn add_us(&mut self, us: u64) {
        self.delays_us_mut().iter_mut().for_each(|delay_us| *delay_us += us);
    }
}
