//! The `weir` command: every job of a user of the network behind one name.
//!
//! Standard output carries data and nothing else, one record a line; what people should know goes to standard
//! error. Exit codes: 0 done, 1 failed, 2 wrong arguments.

mod commands;
mod failure;
mod global;
mod output;
mod table;
mod tokens;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use commands::Command;
use failure::Failure;
use global::Global;

/// A released program goes by the protocol's rules alone: with rules that tests choose it does not compile.
const _: () = assert!(
    cfg!(debug_assertions) || !weir_kernel::rules::PLANTABLE,
    "weir-kernel was built with the feature `planted`: leave weir-sim's tests out of a release build of weir"
);

const EXAMPLES: &str = "\
Examples:
  weir stream create --name earthquakes --partitions 4      # prints the stream's id
  weir publish ID --file earthquakes.json --timestamp-field properties.time
  weir subscribe ID --from all | jq .content
  weir query ID last 10
  weir status

Settings from the environment:
  WEIR_URL   address of a node (as --url)
  WEIR_KEY   secret key, 64 hexadecimal digits (instead of --key FILE)
  WEIR_LOG   what to log to standard error, as in WEIR_LOG=weir_client=debug";

/// Publish, store and read signed event streams on a network of brokers.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXAMPLES, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            eprint!("weir: {}", error.render());
            return ExitCode::from(failure::USAGE);
        }
        Err(help) => {
            // Help and version are what was asked for; a closed standard output is no reason to complain.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Err(failure) = start_logging() {
        return failure.report();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Failed(format!("the runtime cannot start: {error}")).report(),
    };
    let result = runtime.block_on(commands::run(arguments.command, &arguments.global));
    // A thread may still wait for standard input: nobody waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Logs to standard error what WEIR_LOG asks for; errors alone without it.
fn start_logging() -> Result<(), Failure> {
    let wanted = std::env::var("WEIR_LOG").unwrap_or_default();
    let wanted = if wanted.is_empty() { "error" } else { &wanted };
    let filter = EnvFilter::try_new(wanted).map_err(|error| {
        Failure::Usage(format!("WEIR_LOG is {wanted:?}: {error}; write it as in info or weir_client=debug"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            let leaf = command.get_subcommands().next().is_none();
            let examples = command.get_after_help().is_some_and(|text| text.to_string().contains("Example"));
            assert!(
                !leaf || examples || command.get_name() == "help",
                "{} has no examples",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        Arguments::command().get_subcommands().for_each(|command| {
            // A command's examples may stand with it rather than with each of its own commands.
            let own = command.get_after_help().is_some_and(|text| text.to_string().contains("Example"));
            if !own {
                check(command);
            }
        });
    }
}
