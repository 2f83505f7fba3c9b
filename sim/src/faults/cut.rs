//! Cut: nothing passes from some brokers to the others, in one direction or in both. One broker alone is isolated.

use crate::world::World;

impl World<'_> {
    pub(super) fn begin_cut(&mut self, side: &[u32], both: bool) {
        let links = self.across(side, both);
        self.links.cut(&links);
    }

    pub(super) fn end_cut(&mut self, side: &[u32], both: bool) {
        let links = self.across(side, both);
        self.links.mend(&links);
    }

    fn across(&self, side: &[u32], both: bool) -> Vec<(u32, u32)> {
        let others: Vec<u32> = (0..self.nodes.len() as u32).filter(|node| !side.contains(node)).collect();
        let mut links = Vec::new();
        for from in side {
            for to in &others {
                links.push((*from, *to));
                if both {
                    links.push((*to, *from));
                }
            }
        }
        links
    }
}
