//! The other end of [`Child`](super::child::Child): what the hidden commands `bench-node` and `bench-load` do.

pub mod clients;
pub mod edge;
pub mod load;
pub mod node;
pub mod readers;
pub mod streams;

use std::io::BufRead;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::child::Answer;
use crate::failure::Failure;
use crate::output::Output;

/// What it is started by, not typed.
const EXAMPLES: &str = "\
Example:
  weir bench ingest     # starts this, and stops it";

/// Brokers that `weir bench` measures.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchNode {}

/// Publishers and readers of `weir bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchLoad {}

impl BenchNode {
    /// Serves until standard input ends.
    pub async fn run(self) -> Result<(), Failure> {
        let mut node = node::Node::default();
        serve(async |request| node.answer(request).await).await
    }
}

impl BenchLoad {
    /// Serves until standard input ends.
    pub async fn run(self) -> Result<(), Failure> {
        let mut load = load::Load::default();
        serve(async |request| load.answer(request).await).await
    }
}

/// Answers requests one by one. Ends with standard input, even within an answer: then nobody waits for it.
async fn serve<Q: DeserializeOwned, A: Serialize>(
    mut answer: impl AsyncFnMut(Q) -> Result<A, Failure>,
) -> Result<(), Failure> {
    let (sender, mut lines) = mpsc::unbounded_channel();
    // A thread of its own: reading a pipe blocks.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut output = Output::new();
    while let Some(line) = lines.recv().await {
        let request = serde_json::from_str(&line)
            .map_err(|error| Failure::Failed(format!("no request: {line:?}: {error}")))?;
        let answer = tokio::select! {
            answer = answer(request) => answer,
            _ = lines.recv() => return Ok(()),
        };
        let answer = match answer {
            Ok(answer) => Answer::Done(answer),
            Err(Failure::Failed(reason) | Failure::Usage(reason)) => Answer::Failed(reason),
            Err(other) => return Err(other),
        };
        output.line(serde_json::to_vec(&answer).expect("answers are plain values"))?;
        output.flush()?;
    }
    Ok(())
}
