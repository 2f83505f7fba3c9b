//! Tapes as files, and runs that panic.

use std::io::Read;
use std::path::Path;
use std::sync::Once;

use weir_sim::Tape;
use weir_sim::tape::MAX_TAPE_BYTES;

use crate::failure::Failure;

/// Reads a tape in either form.
pub fn read_tape(path: &Path) -> Result<Tape, Failure> {
    let wrong = |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    let mut bytes = Vec::new();
    // A byte more than is allowed shows that there is too much.
    file.take(MAX_TAPE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    Tape::decode(&bytes).map_err(|error| wrong(&error))
}

/// Writes a file that a person asked for, or will.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Failed(format!("{} cannot be made: {error}", folder.display())))?;
    }
    std::fs::write(path, bytes)
        .map_err(|error| Failure::Failed(format!("{} cannot be written: {error}", path.display())))
}

/// A panic inside of a run is a finding and is reported as one: where the first one happened is worth reading, and that
/// a thousand shrunk runs repeat it is not.
pub fn show_one_panic() {
    static FIRST: Once = Once::new();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| FIRST.call_once(|| usual(panic))));
}
