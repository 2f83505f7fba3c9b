//! The state directory: who holds it, and what lies where.
//!
//! ```text
//! LOCK              held by the process that runs the network; its process number
//! network.toml      what the network was made with, see settings
//! chain/            the chain's blocks and snapshots
//! chain.new/        a chain before its contracts are deployed: renamed to chain/ once they are
//! brokers/N/        a broker: key (hexadecimal, mode 600), tls/, store/
//! brokers/left/A/   the same of brokers that left, by their address
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use weir_chain::wallet::Wallet;
use weir_net::TlsIdentity;

use super::error::NetworkError;
use super::settings::{replace_file, sync_directory};

/// A locked state directory.
#[derive(Debug)]
pub struct StateDirectory {
    root: PathBuf,
    _lock: File,
}

/// A broker's keys and where its files are.
#[derive(Clone, Debug)]
pub struct BrokerFiles {
    /// Its directory.
    pub path: PathBuf,
    /// Its account.
    pub wallet: Wallet,
    /// Its TLS key.
    pub tls: TlsIdentity,
}

impl BrokerFiles {
    /// Where its events are.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Reads a broker's keys, or makes them.
    fn load_or_create(path: PathBuf) -> Result<Self, NetworkError> {
        fs::create_dir_all(&path).map_err(NetworkError::io("create", &path))?;
        let wallet = load_or_create_key(&path.join("key"))?;
        let tls = TlsIdentity::load_or_create(&path.join("tls"))?;
        Ok(Self { path, wallet, tls })
    }
}

impl StateDirectory {
    /// Creates the directory if need be and locks it until this value is dropped or the process ends.
    ///
    /// A directory that holds something else is refused before anything is written into it.
    pub fn lock(root: &Path) -> Result<Self, NetworkError> {
        if root.exists() && !root.join("network.toml").exists() {
            check_unused(root)?;
        }
        fs::create_dir_all(root).map_err(NetworkError::io("create", root))?;
        let path = root.join("LOCK");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = opened.map_err(NetworkError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = lock.take(32).read_to_string(&mut text);
                let number = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
                let holder = number.map_or(String::new(), |number| format!(" (number {number})"));
                return Err(NetworkError::InUse { directory: root.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(NetworkError::io("lock", &path)(source)),
        }
        // Only for people who wonder who holds it: a failure to write it changes nothing.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings.
    pub fn settings(&self) -> PathBuf {
        self.root.join("network.toml")
    }

    /// The chain.
    pub fn chain(&self) -> PathBuf {
        self.root.join("chain")
    }

    /// The chain until its contracts are deployed.
    pub fn new_chain(&self) -> PathBuf {
        self.root.join("chain.new")
    }

    fn broker(&self, number: u32) -> PathBuf {
        self.root.join("brokers").join(number.to_string())
    }

    fn left(&self) -> PathBuf {
        self.root.join("brokers").join("left")
    }

    /// The files of broker `number`, made if they are not there.
    pub fn broker_files(&self, number: u32) -> Result<BrokerFiles, NetworkError> {
        BrokerFiles::load_or_create(self.broker(number))
    }

    /// The numbers of the brokers that have files here, beyond those that left.
    pub fn broker_numbers(&self) -> Result<Vec<u32>, NetworkError> {
        let mut numbers: Vec<u32> =
            list(&self.root.join("brokers"))?.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Puts a broker's files among those that left.
    pub fn set_left(&self, number: u32) -> Result<(), NetworkError> {
        let path = self.broker(number);
        let files = BrokerFiles::load_or_create(path.clone())?;
        let left = self.left();
        fs::create_dir_all(&left).map_err(NetworkError::io("create", &left))?;
        let target = left.join(files.wallet.address().to_string());
        fs::rename(&path, &target)
            .and_then(|()| sync_directory(&target))
            .and_then(|()| sync_directory(&path))
            .map_err(NetworkError::io("move", &path))
    }

    /// The files of the brokers that left, by address.
    pub fn left_files(&self) -> Result<Vec<BrokerFiles>, NetworkError> {
        let left = self.left();
        let mut names = list(&left)?;
        names.sort_unstable();
        names.into_iter().map(|name| BrokerFiles::load_or_create(left.join(name))).collect()
    }
}

/// Checks that a new network may begin here: nothing is here but what an interrupted beginning left.
fn check_unused(root: &Path) -> Result<(), NetworkError> {
    for name in list(root)? {
        let reason = match name.as_str() {
            "LOCK" | "network.draft" | "chain.new" => continue,
            "chain" | "brokers" => format!(
                "it holds {name}/ but no network.toml: restore that file, or remove the whole directory to begin a new \
                 network"
            ),
            _ => format!("it holds {name:?}: choose an empty directory or a new one (--dir)"),
        };
        return Err(NetworkError::Foreign { directory: root.to_owned(), reason });
    }
    Ok(())
}

fn list(path: &Path) -> Result<Vec<String>, NetworkError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(NetworkError::io("list", path)(error)),
    };
    let name =
        |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    entries.map(name).collect::<io::Result<_>>().map_err(NetworkError::io("list", path))
}

fn load_or_create_key(path: &Path) -> Result<Wallet, NetworkError> {
    let damaged = |reason: String| NetworkError::Damaged { path: path.to_owned(), reason };
    match fs::read_to_string(path) {
        Ok(text) => {
            check_private(path)?;
            Wallet::from_hex(&text).map_err(|error| damaged(error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged("it is not text".into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let wallet = random_wallet();
            let text = format!("{}\n", hex::encode(wallet.to_bytes()));
            replace_file(path, text.as_bytes(), true).map_err(NetworkError::io("write", path))?;
            Ok(wallet)
        }
        Err(error) => Err(NetworkError::io("read", path)(error)),
    }
}

fn random_wallet() -> Wallet {
    let mut key = [0; 32];
    loop {
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        // Fails once in 2^128 times.
        if let Ok(wallet) = Wallet::from_bytes(&key) {
            return wallet;
        }
    }
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), NetworkError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(NetworkError::io("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("its mode is {mode:o}, so others can read the key (set it to 600)");
    Err(NetworkError::Damaged { path: path.to_owned(), reason })
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), NetworkError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDirectory::lock(directory.path()).unwrap();
        let error = StateDirectory::lock(directory.path()).unwrap_err().to_string();
        let number = std::process::id().to_string();
        assert!(error.contains(directory.path().to_str().unwrap()) && error.contains(&number), "{error}");
        drop(first);
        StateDirectory::lock(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["photos", "chain"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            let error = StateDirectory::lock(directory.path()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(!directory.path().join("LOCK").exists());
            fs::remove_dir(directory.path().join(name)).unwrap();
        }
        let state = StateDirectory::lock(directory.path()).unwrap();
        fs::create_dir(state.new_chain()).unwrap();
        drop(state);
        StateDirectory::lock(directory.path()).unwrap();
    }

    #[test]
    fn a_broker_keeps_its_keys_and_takes_them_along_when_it_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::lock(directory.path()).unwrap();
        let first = state.broker_files(3).unwrap();
        let again = state.broker_files(3).unwrap();
        assert_eq!(
            (first.wallet.address(), first.tls.key_hash()),
            (again.wallet.address(), again.tls.key_hash())
        );
        assert_eq!(state.broker_numbers().unwrap(), [3]);
        state.set_left(3).unwrap();
        assert!(state.broker_numbers().unwrap().is_empty());
        assert_eq!(state.left_files().unwrap()[0].wallet.address(), first.wallet.address());
        assert_ne!(state.broker_files(3).unwrap().wallet.address(), first.wallet.address());
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::lock(directory.path()).unwrap();
        let key = state.broker_files(0).unwrap().path.join("key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(state.broker_files(0).unwrap_err().to_string().contains("600"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&key, "not a key").unwrap();
        assert!(state.broker_files(0).unwrap_err().to_string().contains("64 hexadecimal digits"));
    }
}
