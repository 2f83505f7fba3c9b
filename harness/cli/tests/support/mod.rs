//! The real binary, started and ended as a user, or a power cut, would.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a network may take to come up: slow machines compile and test beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A network in a directory, running or not.
pub struct Network {
    directory: tempfile::TempDir,
    http: SocketAddr,
    websocket: SocketAddr,
    process: Option<Child>,
    arguments: Vec<String>,
}

impl Network {
    /// Starts a new network with more arguments of `weir up`.
    pub fn start(arguments: &[&str]) -> Self {
        let mut network = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            http: free_port(),
            websocket: free_port(),
            process: None,
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        network.start_again(&[]);
        network
    }

    /// Starts it once more where it was, with arguments for this time only.
    pub fn start_again(&mut self, more: &[&str]) {
        assert!(self.process.is_none(), "it runs already");
        let process = Command::new(binary())
            .arg("up")
            .arg("--dir")
            .arg(self.directory.path())
            .args(["--http", &self.http.to_string(), "--ws", &self.websocket.to_string()])
            .args(&self.arguments)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        self.process = Some(process);
        let deadline = Instant::now() + PATIENCE;
        while !self.weir(&["status", "--json"]).status.success() {
            assert!(Instant::now() < deadline, "the network did not come up");
            let ended = self.process.as_mut().and_then(|child| child.try_wait().expect("a child"));
            assert!(ended.is_none(), "weir up ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the whole process at once, as kill -9 does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("the process can be killed");
        process.wait().expect("the process ends");
    }

    /// Runs a command of the binary against it.
    pub fn weir(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// A command of the binary against it, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["--url", &self.url()]).args(arguments).env_remove("WEIR_KEY").stdin(Stdio::null());
        command
    }

    /// What a command prints; it must succeed.
    pub fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.weir(arguments);
        assert!(output.status.success(), "weir {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("the binary prints UTF-8");
        text.lines().map(String::from).collect()
    }

    /// Creates a public stream; its id.
    pub fn create_stream(&self, name: &str, partitions: u32) -> String {
        let partitions = partitions.to_string();
        let lines =
            self.lines(&["stream", "create", "--name", name, "--partitions", &partitions, "--public"]);
        assert_eq!(lines.len(), 1, "the id stands alone on the line: {lines:?}");
        lines.into_iter().next().expect("one line")
    }

    /// `weir status --json`.
    pub fn status(&self) -> Value {
        let lines = self.lines(&["status", "--json"]);
        serde_json::from_str(&lines.concat()).expect("status prints JSON")
    }

    /// Waits until status shows something.
    pub fn wait_for(&self, what: &str, shows: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if shows(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "no {what}: {status}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Where HTTP is.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where WebSocket is.
    pub fn websocket_url(&self) -> String {
        format!("ws://{}", self.websocket)
    }

    /// A path in a scratch directory that goes with the network.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_weir"))
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address")
}
