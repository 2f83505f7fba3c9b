//! `weir publish`: events from a file or a pipe, signed here and acknowledged by the network.
//!
//! ```text
//!   file, pipe ──► reader thread ──► bounded queue ──► session ──► network
//!                  (sorted by time when a file has a timestamp field)
//! ```

use std::fs::File;
use std::future::Future;
use std::io::{BufReader, IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use weir_client::input::field::FieldPath;
use weir_client::input::{Fields, Format, InputError, Reader, sort_by_time};
use weir_client::{Event, Level, Progress, PublishOptions, PublishSession, Report};
use weir_kernel::ids::StreamId;

use crate::failure::{Failure, complain};
use crate::global::Global;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  weir publish ID --file earthquakes.json --timestamp-field properties.time
  weir publish ID --file flights.json --partition-key-field origin
  weir publish ID --file weather.csv --timestamp-field date --json
  tail -f app.log.jsonl | weir publish ID --file - --session 8

The format is told from the content: a JSON array, JSON lines, a GeoJSON feature collection, or CSV with a
header row (cells become strings). JSON content is published byte for byte. Without --partition-key-field
events go round the stream's partitions in turn. A file with --timestamp-field is read whole and sorted by
time first; a pipe is sent as it comes. The exit code is 0 only if every event was stored.";

/// The longest session: whoever gets hold of its key can publish that long.
const MAX_SESSION_HOURS: u64 = 31 * 24;

/// Events between the reader and the session.
const QUEUE: usize = 1024;

/// Publish events.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Publish {
    /// The stream's id
    pub stream: StreamId,
    /// What to publish; - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Where each event's time is: a dotted path to milliseconds since 1970 or ISO 8601; otherwise events
    /// carry the time of publishing
    #[arg(long, value_name = "PATH")]
    pub timestamp_field: Option<FieldPath>,
    /// Where each event's partition key is: events with equal keys keep one order
    #[arg(long, value_name = "PATH")]
    pub partition_key_field: Option<FieldPath>,
    /// The input's format, if it cannot be told from its content
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// When an event counts as published
    #[arg(long, value_enum, default_value_t = AckLevel::Stored)]
    pub ack: AckLevel,
    /// Seconds that events are resent without any progress
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Sign once: let a fresh key sign the events for about so many hours, and this key only its certificate
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=MAX_SESSION_HOURS))]
    pub session: Option<u64>,
    /// Print a JSON object at the end: published, stored, refused, seconds
    #[arg(long)]
    pub json: bool,
}

/// An input format by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// One JSON array of events
    JsonArray,
    /// One JSON value a line
    JsonLines,
    /// A GeoJSON feature collection; its features are the events
    Geojson,
    /// Comma-separated values with a header row
    Csv,
}

/// A level by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AckLevel {
    /// The node has checked it and passed it on
    Accepted,
    /// A quorum of replicas holds it on disk
    Stored,
    /// It is in a certificate on chain
    Sealed,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::JsonArray => Self::JsonArray,
            FormatName::JsonLines => Self::JsonLines,
            FormatName::Geojson => Self::GeoJson,
            FormatName::Csv => Self::Csv,
        }
    }
}

impl From<AckLevel> for Level {
    fn from(level: AckLevel) -> Self {
        match level {
            AckLevel::Accepted => Self::Accepted,
            AckLevel::Stored => Self::Stored,
            AckLevel::Sealed => Self::Sealed,
        }
    }
}

/// An opened input: events as they are read, or all of them.
enum Source {
    Flow(mpsc::Receiver<Result<Event, InputError>>),
    Whole(Vec<Event>),
}

type Interrupt = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Publish {
    /// Publishes everything and waits for the answers.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let source = self.open()?;
        let client = global.connect_to_write().await?;
        let options = PublishOptions {
            level: self.ack.into(),
            timeout: Duration::from_secs(self.timeout),
            session: self.session.map(|hours| Duration::from_secs(hours * 3600)),
            ..PublishOptions::default()
        };
        let session = PublishSession::open(&client, self.stream, options).await.map_err(Failure::of)?;
        let total = match &source {
            Source::Whole(events) => Some(events.len() as u64),
            Source::Flow(_) => None,
        };
        let bar = progress_bar(total);
        let watching = tokio::spawn(follow(bar.clone(), session.progress()));
        let mut interrupt: Interrupt = Box::pin(async {
            // Where signals cannot be heard, nothing interrupts.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let trouble = feed(&session, source, &mut interrupt).await;
        let progress = session.progress();
        let report = tokio::select! {
            report = session.finish() => report,
            () = interrupt_again(&mut interrupt, trouble.is_some()) => {
                bar.finish_and_clear();
                let now = *progress.borrow();
                let unanswered = now.submitted - now.acknowledged - now.refused;
                return Err(Failure::Failed(format!(
                    "interrupted with {unanswered} events unanswered: they may or may not be stored"
                )));
            }
        };
        watching.abort();
        bar.finish_and_clear();
        self.conclude(&report, trouble)
    }

    /// Opens the input and, where it is sorted, reads it: what is wrong with it is said before anything is
    /// sent.
    fn open(&self) -> Result<Source, Failure> {
        let from_stdin = self.file == Path::new("-");
        let refuse = |error: std::io::Error| {
            Failure::Failed(format!(
                "{}: {error}; give a file that can be read, or - for standard input",
                self.file.display()
            ))
        };
        let (input, regular): (Box<dyn Read + Send>, bool) = if from_stdin {
            if stdin().is_terminal() {
                eprintln!("weir: reading events from the terminal, end them with Ctrl-D");
            }
            (Box::new(stdin()), false)
        } else {
            let file = File::open(&self.file).map_err(refuse)?;
            let kind = file.metadata().map_err(refuse)?.file_type();
            if kind.is_dir() {
                return Err(refuse(std::io::ErrorKind::IsADirectory.into()));
            }
            (Box::new(file), kind.is_file())
        };
        let input = BufReader::with_capacity(256 << 10, input);
        let fields = Fields {
            timestamp: self.timestamp_field.clone(),
            partition_key: self.partition_key_field.clone(),
        };
        let format = self.format.map(Format::from);
        let name = self.name();
        if regular && fields.timestamp.is_some() {
            let read = Reader::open(input, format, fields).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let mut events =
                read.map_err(|error| Failure::Failed(format!("{name}: {error} (nothing was published)")))?;
            sort_by_time(&mut events);
            return Ok(Source::Whole(events));
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        // A thread of its own: reading a pipe blocks, and must not hold up the end of the program.
        std::thread::spawn(move || {
            let reader = match Reader::open(input, format, fields) {
                Ok(reader) => reader,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            for event in reader {
                let over = event.is_err();
                if sender.blocking_send(event).is_err() || over {
                    return;
                }
            }
        });
        Ok(Source::Flow(receiver))
    }

    fn name(&self) -> String {
        if self.file == Path::new("-") { "standard input".into() } else { self.file.display().to_string() }
    }

    /// Says how it went; only a complete publication is a success.
    fn conclude(&self, report: &Report, trouble: Option<Trouble>) -> Result<(), Failure> {
        for refusal in &report.refusals {
            complain(&format!(
                "event {} is refused: {} ({})",
                refusal.index + 1,
                refusal.reason,
                refusal.code
            ));
        }
        let more = report.refused - report.refusals.len() as u64;
        if more > 0 {
            complain(&format!("and {more} more events are refused"));
        }
        if let Some(failure) = &report.failure {
            complain(&failure.to_string());
        }
        match &trouble {
            Some(Trouble::Input(error)) => complain(&format!(
                "{}: {error} (the {} events before it were sent)",
                self.name(),
                report.submitted
            )),
            Some(Trouble::Interrupted) => complain("interrupted: the rest of the input was not published"),
            None => {}
        }
        let seconds = (report.elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        let mut output = Output::new();
        if self.json {
            let line = json!({
                "published": report.submitted,
                "stored": report.acknowledged,
                "refused": report.refused,
                "unacknowledged": report.unacknowledged,
                "level": Level::from(self.ack).as_str(),
                "seconds": seconds,
            });
            output.line(line.to_string())?;
        } else {
            let level = Level::from(self.ack).as_str();
            let bad = [(report.refused, "refused"), (report.unacknowledged, "unacknowledged")];
            let bad: String = bad
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!(", {count} {what}"))
                .collect();
            output.line(format!(
                "{} of {} events {level}{bad} in {seconds} s",
                report.acknowledged, report.submitted
            ))?;
        }
        output.flush()?;
        if report.is_complete() && trouble.is_none() { Ok(()) } else { Err(Failure::Told) }
    }
}

/// Why the input was not published to its end.
#[derive(Debug)]
enum Trouble {
    Input(InputError),
    Interrupted,
}

/// Hands every event to the session, until it gives up, the input is spoilt or the user has enough.
async fn feed(session: &PublishSession, source: Source, interrupt: &mut Interrupt) -> Option<Trouble> {
    let feeding = async {
        match source {
            Source::Whole(events) => {
                for event in events {
                    // A session that has given up says why in its report.
                    if session.publish(event).await.is_err() {
                        break;
                    }
                }
            }
            Source::Flow(mut events) => {
                while let Some(event) = events.recv().await {
                    let event = match event {
                        Ok(event) => event,
                        Err(error) => return Some(Trouble::Input(error)),
                    };
                    if session.publish(event).await.is_err() {
                        break;
                    }
                }
            }
        }
        None
    };
    tokio::select! {
        trouble = feeding => trouble,
        () = interrupt => Some(Trouble::Interrupted),
    }
}

/// While the last answers are awaited: a first Ctrl-C ends the waiting, unless it was spent on the input
/// already; then a second one does.
async fn interrupt_again(interrupt: &mut Interrupt, spent: bool) {
    if spent {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    } else {
        interrupt.await;
    }
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:40} {pos}/{len} events, {per_sec}, {eta} left {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} events, {per_sec} {msg}"),
    };
    // Drawn on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template(template).expect("the template is one of the two above");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

async fn follow(bar: ProgressBar, mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        bar.set_position(now.acknowledged);
        if now.refused > 0 {
            bar.set_message(format!("{} refused", now.refused));
        }
    }
}
