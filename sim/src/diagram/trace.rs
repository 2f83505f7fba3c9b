//! The text trace: one line for each thing that happened, every message by its name.
//!
//! ```text
//!    36.104512  publisher:0 → node:2  Publish 41: publisher:0/lane0 120..126, stored
//!    36.104913  node:2 → node:0 #311  Append p1: publisher:0/lane0 120..126, arrives at 36.121408
//!    36.105310  node:2 → node:3 #298  Append p1: publisher:0/lane0 120..126, is lost
//! ```
//!
//! A frame is found again by its link and number, which is also what tapes call it.

use std::io::{self, Write};

use weir_node::engine::{Completion, Operation};

use super::names::Names;
use super::{Cast, Window, seconds};
use crate::observer::{Happening, Observer};

/// Writes the trace of a run as it happens.
#[derive(Debug)]
pub struct TextTrace<W> {
    names: Names,
    window: Window,
    out: W,
    arrived: Option<(u64, String)>,
    failed: Option<io::Error>,
    lines: u64,
}

impl<W: Write> TextTrace<W> {
    /// A trace that goes to `out`.
    pub fn new(cast: &Cast, window: Window, out: W) -> Self {
        Self { names: Names::new(cast), window, out, arrived: None, failed: None, lines: 0 }
    }

    /// The lines that were written.
    ///
    /// # Errors
    ///
    /// The first error of `out`; nothing was written after it.
    pub fn finish(mut self) -> io::Result<u64> {
        self.end_arrival();
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush().map(|()| self.lines),
        }
    }

    fn line(&mut self, at_us: u64, text: &str) {
        if self.failed.is_none() && self.window.has(at_us) {
            self.lines += 1;
            self.failed = writeln!(self.out, "{:>13}  {text}", seconds(at_us)).err();
        }
    }

    /// A frame that arrived and was not taken in: its broker is down.
    fn end_arrival(&mut self) {
        if let Some((at_us, arrival)) = self.arrived.take() {
            self.line(at_us, &format!("{arrival}  finds nobody: the broker is down"));
        }
    }

    fn turn(&mut self, at_us: u64, node: u32, input: Option<&Completion>, operations: &[Operation]) {
        match (input, self.arrived.take()) {
            (Some(Completion::Frame(_, frame)), Some((_, arrival))) => {
                let text = format!("{arrival}  {}", self.names.frame(frame).1);
                self.line(at_us, &text);
            }
            (input, _) => {
                if let Some(text) = input.and_then(|input| self.names.completion(input)) {
                    self.line(at_us, &format!("node:{node}  {text}"));
                }
            }
        }
        for operation in operations {
            if let Some(text) = self.names.operation(operation) {
                self.line(at_us, &format!("node:{node}  {text}"));
            }
        }
    }

    fn sent(&mut self, at_us: u64, link: (u32, u32, u64), frame: &[u8], delays_us: &[u64]) {
        let (from, to, ordinal) = link;
        let (_, text) = self.names.frame(frame);
        let fate = match delays_us {
            [] => "is lost".to_string(),
            [delay_us] => format!("arrives at {}", seconds(at_us + delay_us)),
            several => {
                let times: Vec<String> = several.iter().map(|delay_us| seconds(at_us + delay_us)).collect();
                format!("arrives at {}", times.join(" and "))
            }
        };
        self.line(at_us, &format!("node:{from} → node:{to} #{ordinal}  {text}, {fate}"));
    }
}

impl<W: Write> Observer for TextTrace<W> {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        if !matches!(happening, Happening::Turn { input: Some(Completion::Frame(..)), .. }) {
            self.end_arrival();
        }
        match happening {
            Happening::Turn { node, input, operations, .. } => {
                self.turn(at_us, *node, *input, operations);
            }
            Happening::Sent { from, to, ordinal, frame, delays_us } => {
                if self.window.has(at_us) {
                    self.sent(at_us, (*from, *to, *ordinal), frame, delays_us);
                }
            }
            Happening::Received { from, to, ordinal, sent_us } => {
                let after_ms = (at_us - sent_us) / 1_000;
                let text = format!("node:{to} ← node:{from} #{ordinal}  after {after_ms} ms,");
                self.arrived = Some((at_us, text));
            }
            Happening::Asked { client, node, command } => {
                self.names.learn_command(*client, command);
                let text = format!("{client} → node:{node}  {}", self.names.command(command));
                self.line(at_us, &text);
            }
            Happening::Answered { client, node, reply } => {
                let text = format!("{client} ← node:{node}  {}", self.names.reply(reply));
                self.line(at_us, &text);
            }
            Happening::Start { node } => self.line(at_us, &format!("node:{node}  STARTS")),
            Happening::Crash { node, wiped } => {
                let disk = if *wiped { ", and its disk is lost" } else { "" };
                self.line(at_us, &format!("node:{node}  CRASHES{disk}"));
            }
            Happening::FaultBegins(fault) => {
                let (name, kind) = (fault.kind.name(), &fault.kind);
                let text =
                    format!("FAULT {name} begins at node:{} ({kind:?}), {} ms", fault.broker, fault.down_ms);
                self.line(at_us, &text);
            }
            Happening::FaultEnds(fault) => {
                let text = format!("FAULT {} at node:{} is over", fault.kind.name(), fault.broker);
                self.line(at_us, &text);
            }
            Happening::Block { view, facts } => {
                self.names.learn_chain(view);
                let text = format!("chain  BLOCK {}: {}", view.height, self.names.facts(facts));
                self.line(at_us, &text);
            }
            Happening::Heal => self.line(at_us, "HEAL: from now on nothing goes wrong"),
            Happening::Violated(violation) => {
                let about: Vec<String> = violation.about.iter().map(ToString::to_string).collect();
                let about =
                    if about.is_empty() { String::new() } else { format!(" (at {})", about.join(", ")) };
                let what = self.names.readable(&violation.what);
                self.line(at_us, &format!("VIOLATED {}{about}: {what}", violation.oracle));
            }
        }
    }
}
