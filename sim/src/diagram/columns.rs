//! Which actors are columns of the diagram: those who took part, and of too many those who say most.

use std::collections::BTreeMap;

use crate::tape::Actor;

/// Columns from left to right: the chain, brokers, clients.
#[derive(Debug)]
pub struct Columns {
    /// In the order of columns.
    pub actors: Vec<Actor>,
    /// Actors that took part and have no column.
    pub left_out: usize,
}

impl Columns {
    /// The columns of actors, each with how often it is drawn, with those in `first` kept in any case.
    pub fn of(seen: &BTreeMap<Actor, u64>, first: &[Actor], limit: usize) -> Self {
        let mut actors: Vec<(bool, u64, Actor)> =
            seen.iter().map(|(actor, count)| (first.contains(actor), *count, *actor)).collect();
        // Those whom a violation is about, then by how much there is to see; ties by name.
        actors.sort_by_key(|(about, count, actor)| (!about, u64::MAX - count, *actor));
        let left_out = actors.len().saturating_sub(limit);
        actors.truncate(limit);
        let mut actors: Vec<Actor> = actors.into_iter().map(|(_, _, actor)| actor).collect();
        actors.sort_unstable();
        Self { actors, left_out }
    }

    /// An actor's column.
    pub fn of_actor(&self, actor: Actor) -> Option<usize> {
        self.actors.binary_search(&actor).ok()
    }

    /// What an actor is, for the page.
    pub fn kind(actor: Actor) -> &'static str {
        match actor {
            Actor::Network | Actor::Chain => "chain",
            Actor::Node(_) | Actor::Link(..) => "node",
            Actor::Client(..) => "client",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Role;

    #[test]
    fn whom_a_violation_is_about_stays() {
        let client = Actor::Client(Role::Subscriber, 2);
        let seen =
            BTreeMap::from([(Actor::Node(0), 5), (Actor::Node(1), 900), (Actor::Chain, 40), (client, 1)]);
        let columns = Columns::of(&seen, &[client], 3);
        assert_eq!(
            (columns.actors.as_slice(), columns.left_out),
            (&[Actor::Chain, Actor::Node(1), client][..], 1)
        );
        assert_eq!((columns.of_actor(Actor::Node(1)), columns.of_actor(Actor::Node(0))), (Some(1), None));
        assert_eq!(Columns::of(&seen, &[], 9).left_out, 0);
    }
}
