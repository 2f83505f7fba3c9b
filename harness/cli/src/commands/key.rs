//! `weir key`: Ethereum keys in files.

use std::path::PathBuf;

use clap::Subcommand;
use weir_client::Key;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;

/// Make and show keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a random key in a new file and print its address
    #[command(
        after_help = "Example:\n  weir key new alice.key && weir --key alice.key stream create --name mine"
    )]
    New {
        /// The file to create; only its owner can read it
        file: PathBuf,
    },
    /// Print the address of the key that signs
    #[command(after_help = "Examples:\n  weir key show\n  weir key show --key alice.key")]
    Show,
}

impl KeyCommand {
    /// Does it; the network is not asked.
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let key = match self {
            Self::New { file } => {
                let key = Key::generate().map_err(Failure::of)?;
                key.write_new_file(&file).map_err(Failure::of)?;
                key
            }
            Self::Show => global.key()?,
        };
        let mut output = Output::new();
        output.line(key.address().to_string())?;
        output.flush()
    }
}
