//! Keeps of a run what the diagram shows, within bounds: of too much the last before the first violation.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use weir_kernel::broker::{Level, Reply, Trace};
use weir_node::engine::{Completion, Operation};

use super::columns::Columns;
use super::html::{Diagram, Drawn};
use super::names::{Class, Names};
use super::{Cast, Window};
use crate::faults::Fault;
use crate::observer::{Happening, Observer};
use crate::report::{Report, Violation};
use crate::tape::Actor;

/// Messages of a diagram at most: more make a page that no browser scrolls.
pub const MAX_ARROWS: usize = 12_000;

/// Marks of a diagram at most, and as many lines and bars.
pub const MAX_MARKS: usize = 8_000;

/// Columns of a diagram at most.
pub const MAX_COLUMNS: usize = 48;

/// A message.
#[derive(Clone, Debug)]
pub struct Arrow {
    pub from: Actor,
    pub to: Actor,
    pub sent_us: u64,
    /// `None` if it is lost.
    pub arrives_us: Option<u64>,
    pub class: Class,
    pub text: Rc<str>,
}

/// Something that happened at somebody.
#[derive(Clone, Debug)]
pub struct Mark {
    pub who: Actor,
    pub at_us: u64,
    pub kind: &'static str,
    pub text: Rc<str>,
}

/// Something that lasts.
#[derive(Clone, Debug)]
pub struct Span {
    pub who: Actor,
    pub from_us: u64,
    pub to_us: u64,
    pub kind: &'static str,
    pub text: Rc<str>,
}

/// Something that concerns all.
#[derive(Clone, Debug)]
pub struct Line {
    pub at_us: u64,
    pub kind: &'static str,
    pub text: Rc<str>,
}

/// The last of many; after the first violation only some more are taken.
#[derive(Debug)]
struct Kept<T> {
    items: VecDeque<T>,
    limit: usize,
    /// How many more are taken; `None` before the first violation.
    room: Option<usize>,
    before: u64,
    after: u64,
}

impl<T> Kept<T> {
    fn new(limit: usize) -> Self {
        Self { items: VecDeque::new(), limit, room: None, before: 0, after: 0 }
    }

    fn push(&mut self, item: T) {
        if let Some(room) = &mut self.room {
            if *room == 0 {
                self.after += 1;
                return;
            }
            *room -= 1;
        }
        if self.items.len() >= self.limit {
            self.items.pop_front();
            self.before += 1;
        }
        self.items.push_back(item);
    }

    fn on_violation(&mut self) {
        self.room.get_or_insert(self.limit / 4);
    }
}

/// Watches a run for its diagram.
#[derive(Debug)]
pub struct Recorder {
    names: Names,
    window: Window,
    arrows: Kept<Arrow>,
    marks: Kept<Mark>,
    lines: Kept<Line>,
    spans: Kept<Span>,
    /// Brokers that are down, and since when.
    down: BTreeMap<u32, u64>,
    violations: Vec<Violation>,
    end_us: u64,
}

impl Recorder {
    /// Watches what happens within a window.
    pub fn new(cast: &Cast, window: Window) -> Self {
        Self {
            names: Names::new(cast),
            window,
            arrows: Kept::new(MAX_ARROWS),
            marks: Kept::new(MAX_MARKS),
            lines: Kept::new(MAX_MARKS / 2),
            spans: Kept::new(MAX_MARKS / 2),
            down: BTreeMap::new(),
            violations: Vec::new(),
            end_us: 0,
        }
    }

    /// The diagram of what was seen, in a run that ended with this report.
    pub fn finish(mut self, report: &Report, title: &str) -> Diagram {
        for (node, since_us) in std::mem::take(&mut self.down) {
            self.span(Actor::Node(node), (since_us, self.end_us), "down", "is down".into());
        }
        let mut report = report.clone();
        report
            .violations
            .iter_mut()
            .for_each(|violation| violation.what = self.names.readable(&violation.what));
        let drawn = Drawn {
            columns: self.columns(),
            arrows: self.arrows.items.into(),
            marks: self.marks.items.into(),
            lines: self.lines.items.into(),
            spans: self.spans.items.into(),
            notes: notes(
                &self.window,
                [self.arrows.before, self.arrows.after, self.marks.before + self.marks.after],
            ),
            end_us: self.end_us.min(self.window.to_us),
        };
        Diagram::new(title, &report, &drawn)
    }

    fn columns(&self) -> Columns {
        let mut seen: BTreeMap<Actor, u64> = BTreeMap::new();
        let ends = self.arrows.items.iter().flat_map(|arrow| [arrow.from, arrow.to]);
        let marked = self.marks.items.iter().map(|mark| mark.who);
        let lasting = self.spans.items.iter().map(|span| span.who);
        ends.chain(marked).chain(lasting).for_each(|actor| *seen.entry(actor).or_default() += 1);
        let first: Vec<Actor> = self.violations.iter().flat_map(whom).collect();
        Columns::of(&seen, &first, MAX_COLUMNS)
    }

    fn arrow(&mut self, ends: (Actor, Actor), times: (u64, Option<u64>), class: Class, text: Rc<str>) {
        let ((from, to), (sent_us, arrives_us)) = (ends, times);
        if self.window.has(sent_us) {
            self.arrows.push(Arrow { from, to, sent_us, arrives_us, class, text });
        }
    }

    fn mark(&mut self, who: Actor, at_us: u64, kind: &'static str, text: String) {
        if self.window.has(at_us) {
            self.marks.push(Mark { who, at_us, kind, text: text.into() });
        }
    }

    fn span(&mut self, who: Actor, (from_us, to_us): (u64, u64), kind: &'static str, text: Rc<str>) {
        if from_us <= self.window.to_us && to_us >= self.window.from_us {
            self.spans.push(Span { who, from_us, to_us, kind, text });
        }
    }

    fn line(&mut self, at_us: u64, kind: &'static str, text: String) {
        if self.window.has(at_us) {
            self.lines.push(Line { at_us, kind, text: text.into() });
        }
    }

    fn on_turn(&mut self, at_us: u64, node: u32, input: Option<&Completion>, operations: &[Operation]) {
        let who = Actor::Node(node);
        if let Some(completion @ (Completion::Durable(_) | Completion::LoadFailed(..))) = input {
            let text = self.names.completion(completion).unwrap_or_default();
            self.mark(who, at_us, "disk", text);
        }
        for operation in operations {
            let kind = match operation {
                Operation::Submit(_) => "submit",
                Operation::Trace(Trace::SealAdopted(..)) => "adopted",
                Operation::Trace(Trace::EpochEntered(..) | Trace::PeerRefused(..)) => continue,
                Operation::Trace(_) | Operation::Refused(..) => "alarm",
                _ => continue,
            };
            let text = self.names.operation(operation).unwrap_or_default();
            self.mark(who, at_us, kind, text);
        }
    }

    fn on_answer(&mut self, at_us: u64, client: Actor, node: u32, reply: &Reply) {
        let text = self.names.reply(reply);
        let kind = match reply {
            Reply::Published { level: Level::Stored, .. } => Some("stored"),
            Reply::Published { level: Level::Sealed, .. } => Some("sealed"),
            Reply::Refused { .. } | Reply::Withdrawn { .. } => Some("alarm"),
            _ => None,
        };
        if let Some(kind) = kind {
            self.mark(client, at_us, kind, text.clone());
        }
        self.arrow((Actor::Node(node), client), (at_us, Some(at_us)), Class::Client, text.into());
    }

    fn on_fault(&mut self, at_us: u64, fault: &Fault) {
        let side = fault.kind.side().iter().map(|broker| Actor::Node(*broker));
        let whom: Vec<Actor> = if fault.kind.is_about_all() {
            vec![Actor::Chain]
        } else if fault.kind.side().is_empty() {
            vec![Actor::Node(fault.broker)]
        } else {
            side.collect()
        };
        let (text, times) = (fault_text(fault), (at_us, at_us.saturating_add(fault.down_ms * 1_000)));
        whom.into_iter().for_each(|who| self.span(who, times, "fault", text.clone()));
    }

    /// The heal ends faults before their time.
    fn on_fault_ends(&mut self, at_us: u64, fault: &Fault) {
        let (text, began_us) = (fault_text(fault), fault.at_ms * 1_000);
        let ended = self.spans.items.iter_mut().filter(|span| span.from_us == began_us && span.text == text);
        ended.for_each(|span| span.to_us = span.to_us.min(at_us));
    }

    fn on_violation(&mut self, at_us: u64, violation: &Violation) {
        let text = format!("{} does not hold: {}", violation.oracle, self.names.readable(&violation.what));
        for who in whom(violation) {
            self.mark(who, at_us, "violation", text.clone());
        }
        self.line(at_us, "violation", text);
        self.violations.push(violation.clone());
        self.arrows.on_violation();
        self.marks.on_violation();
        self.lines.on_violation();
        self.spans.on_violation();
    }
}

impl Observer for Recorder {
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>) {
        self.end_us = self.end_us.max(at_us);
        match happening {
            Happening::Turn { node, input, operations, .. } => self.on_turn(at_us, *node, *input, operations),
            Happening::Sent { from, to, ordinal, frame, delays_us } if self.window.has(at_us) => {
                let (class, text) = self.names.frame(frame);
                let text: Rc<str> = format!("{text} (#{ordinal})").into();
                let ends = (Actor::Node(*from), Actor::Node(*to));
                if delays_us.is_empty() {
                    self.arrow(ends, (at_us, None), class, text.clone());
                }
                for delay_us in *delays_us {
                    self.arrow(ends, (at_us, Some(at_us + delay_us)), class, text.clone());
                }
            }
            Happening::Received { from, to, ordinal, .. } if self.down.contains_key(to) => {
                let text = format!("#{ordinal} of node:{from} finds nobody");
                self.mark(Actor::Node(*to), at_us, "missed", text);
            }
            Happening::Sent { .. } | Happening::Received { .. } => {}
            Happening::Asked { client, node, command } => {
                self.names.learn_command(*client, command);
                let text = self.names.command(command).into();
                self.arrow((*client, Actor::Node(*node)), (at_us, Some(at_us)), Class::Client, text);
            }
            Happening::Answered { client, node, reply } => self.on_answer(at_us, *client, *node, reply),
            Happening::Start { node } => {
                if let Some(since_us) = self.down.remove(node) {
                    self.span(Actor::Node(*node), (since_us, at_us), "down", "is down".into());
                }
                self.mark(Actor::Node(*node), at_us, "start", "starts".to_string());
            }
            Happening::Crash { node, wiped } => {
                let text = if *wiped { "crashes, and its disk is lost" } else { "crashes" };
                self.down.insert(*node, at_us);
                self.mark(Actor::Node(*node), at_us, "crash", text.to_string());
            }
            Happening::FaultBegins(fault) => self.on_fault(at_us, fault),
            Happening::FaultEnds(fault) => self.on_fault_ends(at_us, fault),
            Happening::Block { view, facts } => {
                self.names.learn_chain(view);
                for fact in *facts {
                    if let Some(text) = self.names.fact(fact) {
                        let kind = if Names::is_seal(fact) { "seal" } else { "fact" };
                        self.mark(Actor::Chain, at_us, kind, text);
                    }
                }
                self.line(at_us, "block", format!("block {}: {} facts", view.height, facts.len()));
            }
            Happening::Heal => self.line(at_us, "heal", "heal: from now on nothing goes wrong".to_string()),
            Happening::Violated(violation) => self.on_violation(at_us, violation),
        }
    }
}

/// The actors with columns that a violation is about.
fn whom(violation: &Violation) -> Vec<Actor> {
    let one = |actor: &Actor| match actor {
        Actor::Link(from, to) => vec![Actor::Node(*from), Actor::Node(*to)],
        Actor::Network => Vec::new(),
        actor => vec![*actor],
    };
    violation.about.iter().flat_map(one).collect()
}

fn fault_text(fault: &Fault) -> Rc<str> {
    format!("fault: {}, {} ms", fault.kind.name(), fault.down_ms).into()
}

fn notes(window: &Window, [before, after, marks]: [u64; 3]) -> Vec<String> {
    let mut notes = Vec::new();
    if *window != Window::ALL {
        notes.push("Only a part of the virtual time is shown, as was asked for.".to_string());
    }
    if before + after > 0 {
        notes.push(format!(
            "{before} earlier and {after} later messages are left out: a diagram has {MAX_ARROWS} at most, the last \
             ones before the first violation. Choose another part with --from and --to."
        ));
    }
    if marks > 0 {
        notes.push(format!("{marks} marks are left out: a diagram has {MAX_MARKS} at most."));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_the_last_before_the_violation_stay() {
        let mut kept = Kept::new(8);
        (0..20).for_each(|number| kept.push(number));
        kept.on_violation();
        (20..30).for_each(|number| kept.push(number));
        assert_eq!(Vec::from(kept.items), [14, 15, 16, 17, 18, 19, 20, 21]);
        assert_eq!((kept.before, kept.after), (14, 8));
    }
}
