//! Growth: partitions are added when there are more brokers (WP 2.4.5). Anybody may; brokers take turns.

use super::{Duty, Wanted, turns};
use crate::coordinator::{Intent, State, growth};
use crate::ids::BrokerIndex;

/// The growth that this broker asks for now.
pub fn wanted(view: &State, me: BrokerIndex) -> Option<Wanted> {
    let due = turns::among_all(view, me) && growth::wanted(view) > view.partition_count();
    due.then(|| (Duty::Grow(view.partition_count()), Intent::GrowPartitions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::duties::fixture;

    #[test]
    fn one_broker_has_partitions_added_for_all() {
        let mut view = fixture::view(4, 10);
        let asked = |view: &State| view.brokers.keys().filter(|me| wanted(view, **me).is_some()).count();
        assert_eq!(asked(&view), 0, "this network never grows");
        view.params.partitions_per_broker = 1;
        assert_eq!(asked(&view), 1);
        fixture::broker(&mut view, 1).left = Some(9);
        fixture::broker(&mut view, 2).draw = None;
        assert_eq!(asked(&view), 0, "two active brokers carry the two partitions");
    }
}
