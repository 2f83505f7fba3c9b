//! Blocks: the chain makes one, oracles look at it, and every broker that can sees it after a while.

use weir_kernel::coordinator::{Fact, State};
use weir_node::engine::Completion;

use super::{Event, World};
use crate::chain::START_MS;
use crate::observer::Happening;
use crate::scenario::Moment;
use crate::tape::{Actor, Purpose};

impl World<'_> {
    pub(super) fn on_block(&mut self) {
        let timestamp_s = (START_MS + self.now_us / 1_000) / 1_000;
        let made = self.chain.produce(timestamp_s);
        let (view, facts) = made.expect("the chain is longer than its confirmations");
        self.advance_branches();
        self.observe(&Happening::Block { view: &view, facts: &facts });
        self.tell_progress();
        self.chain.found(self.scenario.all_brokers() as usize);
        let slashed = facts.iter().filter(|fact| matches!(fact, Fact::BrokerSlashed { .. })).count();
        self.report.slashed += slashed as u64;
        let replaced = self.replaced(&view, &facts);
        self.oracles.on_block(self.now_us, &view, &facts, &mut self.report.violations);
        replaced.into_iter().for_each(|node| self.at(Moment::Replaced, node));
        if self.now_us + self.scenario.heal_ms * 250 > self.scenario.end_us() {
            self.note_serving();
        }
        for node in 0..self.nodes.len() {
            let Some(view) = self.seen_by(node) else { continue };
            if self.nodes[node].is_up() {
                let incarnation = self.nodes[node].incarnation;
                let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
                let range_us = self.scenario.view_us;
                let delay_us = decide
                    .choose_at(Purpose::View, view.height, range_us.0, |random| random.between(range_us));
                let completion = Completion::Chain(view);
                let event = Event::Completion { node, incarnation, completion };
                self.heap.schedule(self.now_us + delay_us, event);
            }
        }
        self.heap.schedule(self.now_us + self.scenario.block_ms * 1_000, Event::Block);
    }

    /// Brokers that lose a seat in this block, after the founding.
    fn replaced(&self, view: &State, facts: &[Fact]) -> Vec<usize> {
        let mut replaced = Vec::new();
        for fact in facts {
            let Fact::MembersInstalled { partition, members, .. } = fact else { continue };
            let before = self.oracles.seals.members(*partition);
            let gone = before.brokers().filter(|broker| !members.contains(*broker));
            replaced.extend(gone.filter_map(|broker| self.numbers.get(&view.address_of(broker)?).copied()));
        }
        replaced
    }
}
