//! `network.toml`: what a network was made with. Everything that can change is on the chain instead.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_chain::deploy::Addresses;
use weir_kernel::coordinator::Params;
use weir_kernel::ids::{Address, StreamId};

use super::error::NetworkError;

/// The format of networks whose contracts this program speaks. Those of format 1 had other contracts, without fees.
const FORMAT: u32 = 2;

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

const HEADER: &str = "# A weir network on this machine, written by `weir up`. It belongs to the chain beside it: do not edit.\n\n";

/// What a network was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of this file's layout.
    pub format: u32,
    /// When the network was made, ISO 8601.
    pub created: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Time of the genesis block in seconds since 1970 UTC.
    pub genesis_time_s: u64,
    /// Brokers that run; changes when some join or leave.
    pub brokers: u32,
    /// R.
    pub replicas: u8,
    /// P of the beginning; the chain knows how many there are now.
    pub partitions: u32,
    /// Partitions a broker: as many are added for those that join.
    pub partitions_per_broker: u32,
    /// Blocks an epoch.
    pub epoch_blocks: u64,
    /// Where the contracts are.
    pub contracts: ContractSettings,
    /// The sample streams by name.
    #[serde(default)]
    pub samples: BTreeMap<String, String>,
}

/// Where the contracts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractSettings {
    /// The token.
    pub token: String,
    /// The stream registry.
    pub registry: String,
    /// The network coordinator.
    pub coordinator: String,
    /// LaneFees, if the network has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees: Option<String>,
    /// Karma, if the network has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karma: Option<String>,
    /// DataLicenseFactory, if the network has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_factory: Option<String>,
    /// EventDelivery, if the network has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_delivery: Option<String>,
}

impl Settings {
    /// Of a new network.
    pub(super) fn new(
        chain_id: u64,
        genesis_time_s: u64,
        params: &Params,
        brokers: u32,
        partitions_per_broker: u32,
        addresses: Addresses,
    ) -> Self {
        let seconds = i64::try_from(genesis_time_s).unwrap_or(i64::MAX);
        let created = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
        let text = |address: alloy_primitives::Address| Address(address.into_array()).to_string();
        Self {
            format: FORMAT,
            created,
            chain_id,
            genesis_time_s,
            brokers,
            replicas: params.replicas,
            partitions: params.partitions,
            partitions_per_broker,
            epoch_blocks: params.epoch_blocks,
            contracts: ContractSettings {
                token: text(addresses.token),
                registry: text(addresses.registry),
                coordinator: text(addresses.coordinator),
                fees: addresses.fees.map(text),
                karma: addresses.karma.map(text),
                license_factory: addresses.license_factory.map(text),
                event_delivery: addresses.event_delivery.map(text),
            },
            samples: BTreeMap::new(),
        }
    }

    /// The coordinator's parameters.
    pub fn params(&self) -> Params {
        Params {
            replicas: self.replicas,
            partitions: self.partitions,
            partitions_per_broker: u16::try_from(self.partitions_per_broker).unwrap_or(u16::MAX),
            epoch_blocks: self.epoch_blocks,
            ..Params::default()
        }
    }

    /// Where the contracts are.
    pub fn addresses(&self) -> Addresses {
        let read = |text: &str| {
            let address: Address = text.parse().expect("checked when the file was read");
            alloy_primitives::Address::from(address.0)
        };
        Addresses {
            token: read(&self.contracts.token),
            registry: read(&self.contracts.registry),
            coordinator: read(&self.contracts.coordinator),
            fees: self.contracts.fees.as_deref().map(read),
            karma: self.contracts.karma.as_deref().map(read),
            license_factory: self.contracts.license_factory.as_deref().map(read),
            event_delivery: self.contracts.event_delivery.as_deref().map(read),
        }
    }

    /// A sample stream's id.
    pub fn sample(&self, name: &str) -> Option<StreamId> {
        self.samples.get(name).map(|id| id.parse().expect("checked when the file was read"))
    }

    /// Reads the file; `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, NetworkError> {
        let damaged = |reason: String| NetworkError::Damaged { path: path.to_owned(), reason };
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                return Err(damaged(format!("it has {} bytes", metadata.len())));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NetworkError::io("read", path)(error)),
        }
        let bytes = fs::read(path).map_err(NetworkError::io("read", path))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not text".into()))?;
        let settings: Self = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        settings.check().map_err(damaged)?;
        if settings.format != FORMAT {
            let (path, found) = (path.to_owned(), settings.format);
            return Err(NetworkError::Format { path, found, known: FORMAT });
        }
        Ok(Some(settings))
    }

    fn check(&self) -> Result<(), String> {
        if self.chain_id != super::accounts::CHAIN_ID {
            return Err(format!(
                "its chain id is {}, here it is always {}",
                self.chain_id,
                super::accounts::CHAIN_ID
            ));
        }
        let in_range = (1..=8).contains(&self.replicas)
            && (1..=super::options::MAX_PARTITIONS).contains(&self.partitions)
            && (1..=super::options::MAX_BROKERS).contains(&self.brokers)
            && self.epoch_blocks > 0;
        if !in_range {
            return Err("brokers, replicas, partitions or epoch_blocks are out of range".into());
        }
        let ContractSettings { token, registry, coordinator, fees, karma, license_factory, event_delivery } =
            &self.contracts;
        let wrong = [token, registry, coordinator]
            .into_iter()
            .chain(fees)
            .chain(karma)
            .chain(license_factory)
            .chain(event_delivery)
            .chain(self.samples.values());
        match wrong.into_iter().find(|text| text.parse::<Address>().is_err()) {
            Some(text) => Err(format!("{text:?} is no address")),
            None => Ok(()),
        }
    }

    /// Replaces the file, so that at any instant the old or the new one is there.
    pub(super) fn write(&self, path: &Path) -> Result<(), NetworkError> {
        let text = toml::to_string(self).expect("settings are a table of plain values");
        replace_file(path, format!("{HEADER}{text}").as_bytes(), false)
            .map_err(NetworkError::io("write", path))
    }
}

/// Writes a file beside its place, syncs it, puts it in its place and syncs the directory.
pub(super) fn replace_file(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_directory(path)
}

/// Makes a rename or a new entry beside `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let address = alloy_primitives::Address::repeat_byte;
        let addresses = Addresses {
            token: address(1),
            registry: address(2),
            coordinator: address(3),
            ..Default::default()
        };
        let mut settings = Settings::new(31337, 1_800_000_000, &Params::default(), 5, 2, addresses);
        settings.samples.insert("quakes".into(), StreamId([4; 20]).to_string());
        settings
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("network.toml");
        assert_eq!(Settings::read(&path).unwrap(), None);
        settings().write(&path).unwrap();
        let read = Settings::read(&path).unwrap().unwrap();
        assert_eq!(read, settings());
        assert_eq!(read.params(), Params { partitions_per_broker: 2, ..Params::default() });
        assert_eq!(read.addresses().registry, alloy_primitives::Address::repeat_byte(2));
        assert_eq!(read.sample("quakes"), Some(StreamId([4; 20])));
        assert!(fs::read_to_string(&path).unwrap().contains("created = \"2027-01-15T08:00:00Z\""));
    }

    #[test]
    fn a_damaged_file_is_named_with_its_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("network.toml");
        let text = toml::to_string(&settings()).unwrap();
        let cases = [
            (text.replace("format = 2", "format = 9"), "format 9"),
            (text.replace("format = 2", "format = 1"), "--dir"),
            (text.replace("31337", "1"), "chain id is 1"),
            (text.replace("replicas = 4", "replicas = 0"), "out of range"),
            (text.replace(&StreamId([4; 20]).to_string(), "0x12"), "no address"),
            (text.replace("brokers = 5", "brokers = 5\nsurprise = 1"), "surprise"),
            ("\u{0}".into(), "network.toml"),
            (text[..40].into(), "damaged"),
        ];
        for (text, expected) in cases {
            fs::write(&path, &text).unwrap();
            let error = Settings::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("network.toml"), "{error}");
        }
    }
}
