//! `weir key`: Ethereum keys in files.

use std::path::PathBuf;

use clap::Subcommand;
use weir_client::{Client, Key};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;

/// Make and show keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a random key in a new file and print its address
    #[command(after_help = "Example:\n  weir key new alice.key && weir key show --key alice.key")]
    New {
        /// The file to create; only its owner can read it
        file: PathBuf,
    },
    /// Print the address of the key that signs
    #[command(after_help = "Examples:\n  weir key show\n  weir key show --key alice.key")]
    Show,
    /// On a development network: give the key that signs one ether, to pay for its transactions, and 1000 DATA
    #[command(
        after_help = "Example:\n  weir key fund --key alice.key && weir stream create --name mine --key alice.key"
    )]
    Fund,
}

/// What a key is given: enough for thousands of transactions.
const GIFT_WEI: u128 = 1_000_000_000_000_000_000;

/// What a key is given in the token's smallest unit: 1000 DATA.
const GIFT_TOKENS: u128 = 1_000 * weir_kernel::coordinator::params::DATA;

impl KeyCommand {
    /// Does it; the network is asked only to give ether and tokens.
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let key = match self {
            Self::New { file } => {
                let key = Key::generate().map_err(Failure::of)?;
                key.write_new_file(&file).map_err(Failure::of)?;
                key
            }
            Self::Show => global.key()?,
            Self::Fund => {
                let key = global.key()?;
                // The development key's own refusal of other chains keeps this to development networks.
                let client =
                    Client::connect(&global.url, Some(Key::development())).await.map_err(Failure::of)?;
                client.send_ether(key.address(), GIFT_WEI).await.map_err(Failure::of)?;
                if client.info().token.is_some() {
                    client.send_tokens(key.address(), GIFT_TOKENS).await.map_err(Failure::of)?;
                }
                key
            }
        };
        let mut output = Output::new();
        output.line(key.address().to_string())?;
        output.flush()
    }
}
