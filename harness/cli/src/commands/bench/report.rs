//! What was measured, shown: as text, as JSON, and as a folder with a report and its plots.

use std::path::Path;

use serde_json::{Value, json};

use super::Findings;
use super::axis::Axis;
use super::chart::{Bar, Chart, Drawing};
use super::machine::Machine;
use super::row::Row;
use crate::failure::Failure;
use crate::table::table;

/// The report's file in its folder.
pub const FILE: &str = "report.md";

/// Further figures of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What they are.
    pub title: String,
    /// The columns' names.
    pub head: Vec<&'static str>,
    /// A cell for each column.
    pub rows: Vec<Vec<String>>,
}

/// A group that was measured.
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// What it found, or why it failed.
    pub findings: Result<Findings, Failure>,
}

/// All that was measured in one go.
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What.
    pub groups: Vec<Measured>,
}

impl Report {
    /// The failures, if any group failed.
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.groups.iter().filter_map(|group| {
            let reason = reason(group.findings.as_ref().err()?);
            Some(format!("the group {} failed: {reason}", group.name))
        });
        let failed: Vec<String> = failed.collect();
        (!failed.is_empty()).then(|| Failure::Failed(failed.join("; ")))
    }

    fn found(&self) -> impl Iterator<Item = (&Measured, &Findings)> {
        self.groups.iter().filter_map(|group| Some((group, group.findings.as_ref().ok()?)))
    }

    /// Lines for a terminal.
    pub fn text(&self) -> Vec<String> {
        let mut lines = vec![self.machine.text()];
        let rows: Vec<&Row> = self.found().flat_map(|(_, findings)| &findings.rows).collect();
        if !rows.is_empty() {
            lines.push(String::new());
            table(&mut lines, &Row::HEAD, rows.into_iter().map(Row::cells));
        }
        for (_, findings) in self.found() {
            for further in &findings.tables {
                lines.extend([String::new(), further.title.clone()]);
                table(&mut lines, &further.head, further.rows.iter().cloned());
            }
            if !findings.notes.is_empty() {
                lines.push(String::new());
                lines.extend(findings.notes.iter().cloned());
            }
        }
        lines
    }

    /// An object a row, for programs.
    pub fn lines(&self) -> Vec<Value> {
        let line = |row: &Row| {
            let mut line = row.json();
            line["machine"] = self.machine.text().into();
            line
        };
        self.found().flat_map(|(_, findings)| &findings.rows).map(line).collect()
    }

    /// All of it as one object: what the report's folder holds.
    pub fn json(&self) -> Value {
        let table = |table: &Table| json!({ "title": table.title, "head": table.head, "rows": table.rows });
        let group = |group: &Measured| match &group.findings {
            Ok(findings) => json!({
                "name": group.name,
                "about": group.about,
                "rows": findings.rows.iter().map(Row::json).collect::<Vec<_>>(),
                "tables": findings.tables.iter().map(table).collect::<Vec<_>>(),
                "notes": findings.notes,
            }),
            Err(failure) => json!({ "name": group.name, "about": group.about, "failed": reason(failure) }),
        };
        json!({
            "machine": self.machine.json(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }

    /// How much of its budget each row uses, if any row has one.
    fn budgets(&self) -> Option<Chart> {
        let rows = self.found().flat_map(|(_, findings)| &findings.rows);
        let bar = |row: &Row| Some(Bar { name: row.name().into(), value: row.used()?, range: None });
        let bars: Vec<Bar> = rows.filter_map(bar).collect();
        let title = "Part of each budget that is used: what is wanted is 1 or less";
        let x = Axis::linear("median, with what is wanted as 1");
        let drawing = Drawing::Bars { x, bars, mark: Some(1.0) };
        let any = matches!(&drawing, Drawing::Bars { bars, .. } if !bars.is_empty());
        any.then(|| Chart { name: "budgets".into(), title: title.into(), drawing })
    }

    /// The report as Markdown that shows the plots beside it.
    fn markdown(&self, budgets: Option<&Chart>) -> String {
        let mut lines = vec!["# Measured with `weir bench`".into(), String::new(), self.machine.text()];
        lines.extend(self.machine.warnings().iter().map(|warning| format!("\n**Warning:** {warning}.")));
        lines.extend(budgets.map(picture));
        for group in &self.groups {
            lines.push(format!("\n## {}\n\n{}.", group.name, group.about));
            let findings = match &group.findings {
                Ok(findings) => findings,
                Err(failure) => {
                    lines.push(format!("\nIt failed: {}", reason(failure)));
                    continue;
                }
            };
            if !findings.rows.is_empty() {
                lines.push(String::new());
                markdown_table(&mut lines, &Row::HEAD, findings.rows.iter().map(Row::cells));
            }
            lines.extend(findings.notes.iter().map(|note| format!("\n{note}")));
            lines.extend(findings.charts.iter().map(picture));
            for further in &findings.tables {
                lines.push(format!("\n### {}\n", further.title));
                markdown_table(&mut lines, &further.head, further.rows.iter().cloned());
            }
        }
        lines.join("\n") + "\n"
    }

    /// Writes the report, its plots and the same as JSON to a folder, which is made if need be.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(folder).map_err(|error| {
            let folder = folder.display();
            Failure::Failed(format!("the folder {folder} cannot be made: {error}; name another with --out"))
        })?;
        let budgets = self.budgets();
        let charts = self.found().flat_map(|(_, findings)| &findings.charts).chain(&budgets);
        let mut files: Vec<(String, String)> = charts.map(|chart| (chart.file(), chart.svg())).collect();
        files.push((FILE.into(), self.markdown(budgets.as_ref())));
        files.push(("report.json".into(), format!("{:#}\n", self.json())));
        files.into_iter().try_for_each(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| {
                let path = path.display();
                Failure::Failed(format!("{path} cannot be written: {error}; name another folder with --out"))
            })
        })
    }
}

/// Why a group failed.
fn reason(failure: &Failure) -> &str {
    match failure {
        Failure::Failed(reason) | Failure::Usage(reason) => reason,
        Failure::Told => "it has said why",
        Failure::OutputClosed => "nobody reads its output any more",
    }
}

fn picture(chart: &Chart) -> String {
    format!("\n![{}]({})", chart.title, chart.file())
}

fn markdown_table(lines: &mut Vec<String>, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|name| name.to_lowercase()).collect();
    lines.push(line(&head));
    lines.push(line(&vec!["---".to_owned(); head.len()]));
    lines.extend(
        rows.map(|cells| line(&cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>())),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let chart = Chart {
            name: "work".into(),
            title: "Work".into(),
            drawing: Drawing::Bars { x: Axis::linear("s"), bars: Vec::new(), mark: None },
        };
        let table =
            Table { title: "More".into(), head: vec!["A", "B"], rows: vec![vec!["1".into(), "a|b".into()]] };
        let findings = Findings {
            rows: vec![
                Row::new("work.full", "s", vec![2.0]).at_most(4.0),
                Row::new("work.other", "s", vec![1.0]),
            ],
            tables: vec![table],
            charts: vec![chart],
            notes: vec!["A note.".into()],
        };
        let groups = vec![
            Measured { name: "work", about: "What work costs", findings: Ok(findings) },
            Measured { name: "bad", about: "Fails", findings: Err(Failure::Failed("no disk".into())) },
        ];
        Report { machine: Machine::look(), groups }
    }

    #[test]
    fn text_and_json_say_the_same() {
        let report = report();
        let text = report.text().join("\n");
        for part in ["work.full", "≤ 4", "met", "More", "a|b", "A note."] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let lines = report.lines();
        assert!(lines.len() == 2 && lines[0]["machine"].is_string(), "{lines:?}");
        assert_eq!((&lines[0]["name"], &lines[0]["runs"]), (&json!("work.full"), &json!(1)));
        let json = report.json();
        assert_eq!(json["groups"][0]["rows"][0]["name"], "work.full");
        assert_eq!(json["groups"][0]["tables"][0]["rows"][0][1], "a|b");
        assert_eq!(json["groups"][1]["failed"], "no disk");
        assert!(json["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0));
    }

    #[test]
    fn a_failed_group_fails_the_command_in_the_end() {
        let failure = report().failure();
        assert_eq!(failure, Some(Failure::Failed("the group bad failed: no disk".into())));
        let mut report = report();
        report.groups.pop();
        assert_eq!(report.failure(), None);
    }

    #[test]
    fn the_folder_holds_the_report_with_its_plots() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        report().write(&inner).expect("it is written");
        let markdown = std::fs::read_to_string(inner.join(FILE)).expect("the report");
        for part in ["## work", "| work.full |", "a\\|b", "It failed: no disk", "A note."] {
            assert!(markdown.contains(part), "{part} in\n{markdown}");
        }
        for chart in ["work.svg", "budgets.svg"] {
            assert!(markdown.contains(&format!("({chart})")), "{chart} in\n{markdown}");
            assert!(std::fs::read_to_string(inner.join(chart)).expect("a plot").starts_with("<svg"));
        }
        let json = std::fs::read(inner.join("report.json")).expect("the same as JSON");
        assert_eq!(serde_json::from_slice::<Value>(&json).expect("JSON"), report().json());
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert!(matches!(report().write(&file), Err(Failure::Failed(text)) if text.contains("--out")));
    }
}
