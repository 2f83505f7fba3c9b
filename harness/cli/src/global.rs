//! What every command takes: where the network is, and whose key signs.

use std::path::PathBuf;

use clap::Args;
use weir_client::{Client, DEVELOPMENT_CHAIN_ID, Key};

use crate::failure::Failure;

/// Settings shared by all commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Global {
    /// Address of a node
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "WEIR_URL",
        default_value = "http://127.0.0.1:7171"
    )]
    pub url: String,
    /// File with the secret key that signs; without it WEIR_KEY, or on a development network its well-known
    /// key
    #[arg(long, global = true, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The environment's secret key, as hexadecimal digits.
const KEY_VARIABLE: &str = "WEIR_KEY";

impl Global {
    /// The key that was given, by file or environment.
    pub fn given_key(&self) -> Result<Option<Key>, Failure> {
        if let Some(path) = &self.key {
            return Key::read_file(path).map(Some).map_err(Failure::of);
        }
        match std::env::var(KEY_VARIABLE) {
            Ok(text) if !text.is_empty() => Key::from_hex(&text, KEY_VARIABLE).map(Some).map_err(Failure::of),
            Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(Failure::of(format!("{KEY_VARIABLE}: {error}"))),
        }
    }

    /// The key that signs: the given one, or the development key.
    pub fn key(&self) -> Result<Key, Failure> {
        Ok(self.given_key()?.unwrap_or_else(Key::development))
    }

    /// Connects to publish or to change something: with a key.
    pub async fn connect_to_write(&self) -> Result<Client, Failure> {
        Client::connect(&self.url, Some(self.key()?)).await.map_err(Failure::of)
    }

    /// Connects to read. Who gives a key reads as that key; without one, a development network takes callers on
    /// its own machine for holders of the development key.
    pub async fn connect_to_read(&self) -> Result<Client, Failure> {
        let key = self.given_key()?;
        let given = key.is_some();
        let client = Client::connect(&self.url, key).await.map_err(Failure::of)?;
        if given {
            client.sign_in().await.map_err(Failure::of)?;
        } else if client.info().chain_id == DEVELOPMENT_CHAIN_ID {
            return client.with_key(Key::development()).map_err(Failure::of);
        }
        Ok(client)
    }
}
