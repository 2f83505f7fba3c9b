//! `weir up`: a whole network on this machine.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::{MissedTickBehavior, interval, timeout};
use weir_node::network::{CHAIN_ID, Network, NetworkError, Options, Summary};

use super::BYTES_A_MB;
use crate::failure::{Failure, complain};

/// Time between two updates of the status line on a terminal.
const TERMINAL_PERIOD: Duration = Duration::from_secs(1);

/// Time between two status lines elsewhere.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// For how long a further signal is taken as part of the first.
const SAME_WISH: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  weir up                                 # five brokers, state under the data directory, Ctrl-C ends it
  weir up --dir /tmp/try --http 127.0.0.1:0 --ws 127.0.0.1:0
  weir up --brokers 7                     # two more join the network that is there
  weir up --offline 0                     # see the network do without one

State is kept: the next `weir up` goes on where this one ended. To begin anew, remove the directory.";

/// The arguments of `weir up`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Up {
    /// How many brokers; more than before join, fewer leave [new networks: 5]
    #[arg(long, value_name = "N")]
    brokers: Option<u32>,
    /// Replicas of each partition, 1 to 8, fixed for the network's life [new networks: 4]
    #[arg(long, value_name = "R")]
    replicas: Option<u8>,
    /// Directory of the network's state [default: weir in the user's data directory]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Where HTTP listens; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7171")]
    http: SocketAddr,
    /// Where WebSocket clients connect; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7170")]
    ws: SocketAddr,
    /// Partitions for each broker of a new network, fixed for its life [new networks: 2]
    #[arg(long, value_name = "N")]
    partitions_per_broker: Option<u32>,
    /// Shards of each broker, fixed for its life [new brokers: the machine's cores divided among them]
    #[arg(long, value_name = "N")]
    shards: Option<u16>,
    /// Time between blocks in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    block_ms: u64,
    /// Blocks an epoch, after which partitions are sealed; fixed for the network's life [new networks: 8]
    #[arg(long, value_name = "N")]
    epoch_blocks: Option<u64>,
    /// Megabytes of its disk from which on a broker takes nothing new from publishers [default: no limit]
    #[arg(long, value_name = "MB")]
    disk_limit_mb: Option<u64>,
    /// Publish no sample streams
    #[arg(long)]
    no_samples: bool,
    /// Leave this broker stopped, counted from 0; may be given several times
    #[arg(long, value_name = "N")]
    offline: Vec<u32>,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

impl Up {
    /// Runs the network until it is interrupted.
    pub async fn run(self) -> Result<(), Failure> {
        let mut interrupt = Interrupt::listen()?;
        let quiet = self.quiet;
        let options = self.options()?;
        if !quiet {
            eprintln!("weir: starting the network in {}", options.directory.display());
        }
        let begin = Instant::now();
        let network = tokio::select! {
            network = Network::start(options) => network.map_err(failure)?,
            // Whatever has been done so far is taken up by the next start.
            () = interrupt.next() => return Err(Failure::Failed("interrupted while starting".into())),
        };
        if !quiet {
            eprintln!("weir: up after {:.1} s", begin.elapsed().as_secs_f64());
            print!("{}", introduction(&network));
            let _ = std::io::stdout().flush();
        }
        let failed = watch(&network, &mut interrupt, quiet).await;
        if !quiet {
            eprintln!("weir: stopping; the state stays in {}", network.directory().display());
        }
        let stopped = tokio::select! {
            stopped = network.stop() => stopped,
            () = interrupt.again() => return Err(Failure::Failed("interrupted while stopping".into())),
        };
        match (failed, stopped) {
            (Some(error), _) => Err(failure(error)),
            (None, Err(error)) => Err(failure(error)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn options(self) -> Result<Options, Failure> {
        let directory = match self.dir {
            Some(directory) => directory,
            None => default_directory().ok_or_else(|| {
                Failure::Usage("neither XDG_DATA_HOME nor HOME is set: name a directory with --dir".into())
            })?,
        };
        Ok(Options {
            brokers: self.brokers,
            replicas: self.replicas,
            partitions_per_broker: self.partitions_per_broker,
            shards: self.shards,
            epoch_blocks: self.epoch_blocks,
            block_time: Duration::from_millis(self.block_ms),
            http: self.http,
            websocket: self.ws,
            samples: !self.no_samples,
            disk_limit_bytes: self.disk_limit_mb.map(|megabytes| megabytes.saturating_mul(BYTES_A_MB)),
            offline: self.offline,
            ..Options::new(directory)
        })
    }
}

/// `weir` in the user's data directory (XDG Base Directory Specification).
fn default_directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("weir"))
}

fn failure(error: NetworkError) -> Failure {
    if error.is_usage() { Failure::Usage(error.to_string()) } else { Failure::of(error) }
}

/// Ctrl-C, and what service managers send to end a program.
pub struct Interrupt {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Interrupt {
    /// From now on the program is not ended by them.
    pub fn listen() -> Result<Self, Failure> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|error| Failure::Failed(format!("signals cannot be received: {error}")))?,
        })
    }

    /// Another one than the first: the same wish may come twice at once, to a process and to its group.
    async fn again(&mut self) {
        let same = async {
            loop {
                self.next().await;
            }
        };
        let _: Result<(), _> = timeout(SAME_WISH, same).await;
        self.next().await;
    }

    /// Waits for one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Shows how the network does until it is interrupted or fails; then with the reason.
async fn watch(network: &Network, interrupt: &mut Interrupt, quiet: bool) -> Option<NetworkError> {
    let in_place = std::io::stderr().is_terminal();
    let mut ticks = interval(if in_place { TERMINAL_PERIOD } else { LOG_PERIOD });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Vec::new();
    let reason = loop {
        tokio::select! {
            () = interrupt.next() => break None,
            error = network.failed() => break Some(error),
            _ = ticks.tick() => {
                let summary = network.summary();
                let failures: Vec<_> = summary.brokers.iter().filter_map(|broker| broker.failure.clone()).collect();
                for failure in failures.iter().filter(|failure| !told.contains(*failure)) {
                    complain(failure);
                }
                told = failures;
                if !quiet && in_place {
                    eprint!("\r\x1b[2K{}", status_line(&summary));
                } else if !quiet {
                    eprintln!("{}", status_line(&summary));
                }
            }
        }
    };
    if !quiet && in_place {
        eprintln!();
    }
    reason
}

fn status_line(summary: &Summary) -> String {
    let running = summary.brokers.iter().filter(|broker| broker.running).count();
    let leaving = if summary.leaving > 0 { format!(", {} leaving", summary.leaving) } else { String::new() };
    format!(
        "block {} · epoch {} · brokers {running}/{}{leaving} · sealed {}/{} partitions · {} events · {} DATA earned",
        summary.height,
        summary.epoch,
        summary.brokers.len(),
        summary.sealed,
        summary.partitions,
        summary.events,
        summary.rewards
    )
}

/// Where everything is, and what to try.
fn introduction(network: &Network) -> String {
    let (http, ws) = (network.http_addr(), network.ws_addr());
    let mut text = format!("http       http://{http}\nwebsocket  ws://{ws}\nchain id   {CHAIN_ID}\n");
    for (number, broker) in network.summary().brokers.iter().enumerate() {
        let address = &broker.address;
        text += &match broker.quic.filter(|_| broker.running) {
            Some(quic) => format!("broker {number}   quic {quic}  {address}\n"),
            None => format!("broker {number}   offline  {address}\n"),
        };
    }
    for (name, id) in &network.settings().samples {
        text += &format!("stream     {id}  {name}\n");
    }
    let url = if http.port() == 7171 { String::new() } else { format!(" --url http://{http}") };
    let stream = network.sample("quakes").map_or("ID".to_owned(), |id| id.to_string());
    text += &format!(
        "\nTry, in another terminal:\n  weir subscribe {stream}{url}\n  weir query {stream} last 10{url}\n  weir status{url}\n\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_says_how_the_network_does() {
        let summary = Summary {
            height: 100,
            epoch: 12,
            sealed: 9,
            partitions: 10,
            events: 1234,
            rewards: 56,
            brokers: Vec::new(),
            leaving: 1,
        };
        let line = status_line(&summary);
        for part in ["block 100", "epoch 12", "1 leaving", "9/10", "1234 events", "56 DATA"] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn what_is_not_said_is_left_to_the_network() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            up: Up,
        }
        let line = ["weir", "--dir", "/tmp/x", "--offline", "1", "--offline", "2", "--http", "127.0.0.1:0"];
        let options = Line::parse_from(line).up.options().unwrap();
        assert_eq!((options.brokers, options.replicas, options.epoch_blocks), (None, None, None));
        assert_eq!((options.offline, options.http.port(), options.websocket.port()), (vec![1, 2], 0, 7170));
        assert!(options.samples && options.block_time == Duration::from_secs(1));
    }
}
