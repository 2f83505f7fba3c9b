//! How a large network comes to be: `founding BROKERS VIRTUAL_S` prints at every 20th block what there is by then, and
//! how long that took. It is the network that `speed` measures, from its beginning.

#![allow(clippy::disallowed_methods, reason = "the clock measures the simulator, it is no part of a run")]

use std::time::Instant;

use weir_sim::observer::{Happening, Observer};
use weir_sim::speed;
use weir_sim::{Options, Source, simulate};

/// Prints what blocks bring.
struct Founding {
    begun: Instant,
    blocks: u64,
    turns: u64,
    refused: u64,
}

impl Observer for Founding {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        match happening {
            Happening::Turn { .. } => self.turns += 1,
            Happening::Answered { reply: weir_kernel::broker::Reply::Refused { .. }, .. } => {
                self.refused += 1
            }
            Happening::Block { view, .. } => {
                self.blocks += 1;
                if !self.blocks.is_multiple_of(20) {
                    return;
                }
                let drawn = view.brokers.values().filter(|broker| broker.draw.is_some()).count();
                let founded = view.partitions.iter().filter(|partition| partition.founded).count();
                let sealed = view.partitions.iter().filter(|p| p.sealed_epoch + 1 >= view.epoch()).count();
                println!(
                    "{:>6} s: epoch {}, {} brokers, {drawn} drawn, {founded} partitions founded, {sealed} sealed lately, \
                     {} turns, {} refusals, {:.1} s spent",
                    at_us / 1_000_000,
                    view.epoch(),
                    view.brokers.len(),
                    self.turns,
                    self.refused,
                    self.begun.elapsed().as_secs_f64()
                );
            }
            _ => {}
        }
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [brokers, measured_s] = numbers[..] else {
        eprintln!("founding BROKERS VIRTUAL_S: two numbers");
        std::process::exit(2);
    };
    let scenario = speed::load(brokers as u32, measured_s);
    let mut founding = Founding { begun: Instant::now(), blocks: 0, turns: 0, refused: 0 };
    let options = Options { observer: Some(&mut founding), ..Options::default() };
    let report = simulate(Source::Seed(1, &scenario), options).report;
    report.violations.iter().take(5).for_each(|violation| println!("{violation}"));
}
