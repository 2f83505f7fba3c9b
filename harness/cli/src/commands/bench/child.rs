//! What a group measures and what loads it are processes of their own: this program again, in a hidden role.
//!
//! A process is asked by lines of JSON on its standard input and answers each by one on its standard output. It ends
//! when its standard input does, so that none outlives the command that started it, however that ends.

use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{self, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::usage::Usage;
use crate::failure::Failure;

/// The longest that one request may take: many times what the slowest does.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a process gets to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A network of brokers: what is measured.
    Node,
    /// Publishers and readers.
    Load,
}

impl Role {
    /// The hidden command that takes the role.
    const fn command(self) -> &'static str {
        match self {
            Self::Node => "bench-node",
            Self::Load => "bench-load",
        }
    }
}

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// It is done.
    Done(T),
    /// It failed, and why.
    Failed(String),
}

/// A running process. Dropping it kills it.
pub struct Child {
    role: Role,
    process: process::Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program in a role. What it complains of goes to standard error.
    pub fn start(role: Role) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Failed(format!("this program cannot be started as weir {}: {error}", role.command()))
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut process = process::Command::new(program)
            .arg(role.command())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let requests = process.stdin.take().expect("standard input was asked for");
        let answers = process.stdout.take().expect("standard output was asked for");
        Ok(Self { role, process, requests, answers: BufReader::new(answers).lines() })
    }

    /// Asks for something and waits for the answer.
    pub async fn ask<A: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<A, Failure> {
        let role = self.role.command();
        let failed = |why: String| Failure::Failed(format!("weir {role} {why}"));
        let mut line = serde_json::to_vec(request).expect("requests are plain values");
        line.push(b'\n');
        let exchange = async {
            self.requests.write_all(&line).await?;
            self.requests.flush().await?;
            self.answers.next_line().await
        };
        let line = match timeout(PATIENCE, exchange).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Err(failed("ended: what it said is above".into())),
            Ok(Err(error)) => return Err(failed(format!("cannot be asked: {error}"))),
            Err(_) => return Err(failed(format!("did not answer within {} s", PATIENCE.as_secs()))),
        };
        match serde_json::from_str(&line) {
            Ok(Answer::Done(answer)) => Ok(answer),
            Ok(Answer::Failed(reason)) => Err(failed(format!("failed: {reason}"))),
            Err(error) => Err(failed(format!("answered {line:?}: {error}"))),
        }
    }

    /// What it has used of the machine so far.
    pub fn usage(&self) -> Result<Usage, Failure> {
        let id = self.process.id().ok_or_else(|| {
            Failure::Failed(format!("weir {} has ended before it was measured", self.role.command()))
        })?;
        Usage::of(id)
    }

    /// Kills it (signal 9) and waits until it is gone.
    pub async fn kill(mut self) -> Result<(), Failure> {
        self.process.kill().await.map_err(|error| {
            Failure::Failed(format!("weir {} cannot be killed: {error}", self.role.command()))
        })
    }

    /// Lets it end by itself; kills it if it does not.
    pub async fn end(self) -> Result<(), Failure> {
        let Self { role, mut process, requests, .. } = self;
        drop(requests);
        if timeout(END_PATIENCE, process.wait()).await.is_ok() {
            return Ok(());
        }
        process
            .kill()
            .await
            .map_err(|error| Failure::Failed(format!("weir {} cannot be killed: {error}", role.command())))
    }
}
