//! The diagram as one file that needs nothing else: data, drawing and style in it, no network.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::columns::Columns;
use super::names::Class;
use super::recorder::{Arrow, Line, Mark, Span};
use crate::report::Report;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/draw.js");

/// Violations that the page lists above the drawing.
const LISTED_VIOLATIONS: usize = 5;

/// What is drawn.
#[derive(Debug)]
pub struct Drawn {
    pub columns: Columns,
    pub arrows: Vec<Arrow>,
    pub marks: Vec<Mark>,
    pub lines: Vec<Line>,
    pub spans: Vec<Span>,
    pub notes: Vec<String>,
    pub end_us: u64,
}

/// A space-time diagram.
#[derive(Debug)]
pub struct Diagram {
    title: String,
    data: Value,
}

/// Texts, each once: a batch goes to every replica under the same name.
#[derive(Default)]
struct Texts<'a> {
    known: BTreeMap<&'a str, usize>,
    list: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        let next = self.list.len();
        let number = *self.known.entry(text).or_insert(next);
        if number == next {
            self.list.push(text);
        }
        number
    }
}

impl Diagram {
    pub(super) fn new(title: &str, report: &Report, drawn: &Drawn) -> Self {
        let mut texts = Texts::default();
        let columns = &drawn.columns;
        let mut without = 0_u64;
        let mut arrows: Vec<Value> = Vec::new();
        for arrow in &drawn.arrows {
            let ends = columns.of_actor(arrow.from).zip(columns.of_actor(arrow.to));
            let Some((from, to)) = ends else {
                without += 1;
                continue;
            };
            let text = texts.number(&arrow.text);
            arrows.push(json!([from, to, arrow.sent_us, arrow.arrives_us, class(arrow.class), text]));
        }
        let mut marks: Vec<Value> = Vec::new();
        for mark in &drawn.marks {
            if let Some(column) = columns.of_actor(mark.who) {
                marks.push(json!([column, mark.at_us, mark.kind, texts.number(&mark.text)]));
            }
        }
        let mut spans: Vec<Value> = Vec::new();
        for span in &drawn.spans {
            if let Some(column) = columns.of_actor(span.who) {
                spans.push(json!([column, span.from_us, span.to_us, span.kind, texts.number(&span.text)]));
            }
        }
        let lines: Vec<Value> =
            drawn.lines.iter().map(|line| json!([line.at_us, line.kind, texts.number(&line.text)])).collect();
        let mut notes = drawn.notes.clone();
        if columns.left_out > 0 {
            notes.push(format!(
                "{} more actors and {without} messages of theirs are left out: a diagram has {} columns at most.",
                columns.left_out,
                columns.actors.len()
            ));
        }
        let named =
            |actor: &crate::tape::Actor| json!({ "name": actor.to_string(), "kind": Columns::kind(*actor) });
        let violations = report.violations.iter().take(LISTED_VIOLATIONS);
        let data = json!({
            "title": title,
            "digest": format!("{:032x}", report.digest),
            "violations": violations.map(|v| json!([v.at_us, v.oracle, v.what])).collect::<Vec<_>>(),
            "more_violations": report.violations.len().saturating_sub(LISTED_VIOLATIONS),
            "columns": columns.actors.iter().map(named).collect::<Vec<_>>(),
            "end": drawn.end_us,
            "texts": texts.list,
            "arrows": arrows,
            "marks": marks,
            "spans": spans,
            "lines": lines,
            "notes": notes,
        });
        Self { title: title.to_string(), data }
    }

    /// The page.
    pub fn to_html(&self) -> String {
        // Nothing inside the data ends its element: in JSON a `<` may be written as its number.
        let data = self.data.to_string().replace('<', "\\u003c");
        let mut page = String::with_capacity(data.len() + PAGE.len() + STYLE.len() + SCRIPT.len());
        let mut rest = PAGE;
        let parts = [
            ("{title}", escaped(&self.title)),
            ("{style}", STYLE.into()),
            ("{data}", data),
            ("{script}", SCRIPT.into()),
        ];
        for (place, text) in parts {
            let (before, after) =
                rest.split_once(place).expect("the page has its four places, in this order");
            page.push_str(before);
            page.push_str(&text);
            rest = after;
        }
        page.push_str(rest);
        page
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Append => "append",
        Class::Repair => "repair",
        Class::Agreement => "agreement",
        Class::Read => "read",
        Class::Client => "client",
    }
}

/// Text that stands for itself in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Violation;
    use crate::tape::Actor;

    fn diagram(text: &str) -> Diagram {
        let arrow = |to, arrives_us| Arrow {
            from: Actor::Node(0),
            to,
            sent_us: 5,
            arrives_us,
            class: Class::Append,
            text: text.into(),
        };
        let seen = BTreeMap::from([(Actor::Node(0), 2), (Actor::Node(1), 1)]);
        let drawn = Drawn {
            columns: Columns::of(&seen, &[], 9),
            arrows: vec![
                arrow(Actor::Node(1), Some(9)),
                arrow(Actor::Node(1), None),
                arrow(Actor::Node(7), None),
            ],
            marks: Vec::new(),
            lines: Vec::new(),
            spans: Vec::new(),
            notes: Vec::new(),
            end_us: 10,
        };
        let violation = Violation { at_us: 9, oracle: "x", what: text.into(), about: Vec::new() };
        let report = Report { violations: vec![violation; 7], ..Report::default() };
        Diagram::new("a <b>", &report, &drawn)
    }

    #[test]
    fn nothing_in_the_data_ends_its_element() {
        let html = diagram("</script><script>alert(1)</script>").to_html();
        assert_eq!(html.matches("<script").count(), 2, "the data and the drawing");
        assert!(html.contains("<title>a &lt;b&gt;"));
        assert!(!html.contains("http"), "nothing is fetched");
    }

    #[test]
    fn texts_are_written_once_and_lost_messages_do_not_arrive() {
        let Diagram { data, .. } = diagram("Append");
        assert_eq!(data["texts"], json!(["Append"]));
        assert_eq!(data["arrows"], json!([[0, 1, 5, 9, "append", 0], [0, 1, 5, null, "append", 0]]));
        assert_eq!((data["violations"].as_array().unwrap().len(), &data["more_violations"]), (5, &json!(2)));
    }
}
