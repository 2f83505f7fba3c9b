//! Power failure, as far as a program can stage it: of what was sent to the last file since its sync, some is there
//! and some is not.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::SegmentLog;
use super::directory::failed;
use crate::error::LogError;
use crate::fault::LosesPower;

/// A device writes whole sectors.
const SECTOR_BYTES: u64 = 512;

impl LosesPower for SegmentLog {
    fn lose_power(mut self, seed: u64) -> Result<(), LogError> {
        let mut dice = Dice(seed);
        // The system may have written back all of it.
        if self.poison.check().is_ok() {
            self.writer.flush()?;
        }
        let (path, start, durable, end) = self.writer.exposed();
        let broken = |error| failed("failing", &path, &error);
        drop(self);
        let file = OpenOptions::new().write(true).open(&path).map_err(broken)?;
        let cut = durable + dice.below(end - durable + 1);
        file.set_len(cut - start).map_err(broken)?;
        let mut sector = durable;
        while sector < cut {
            let next = (sector / SECTOR_BYTES + 1) * SECTOR_BYTES;
            if dice.below(4) == 0 {
                let zeros = vec![0; (next.min(cut) - sector) as usize];
                file.write_all_at(&zeros, sector - start).map_err(broken)?;
            }
            sector = next;
        }
        if dice.below(4) == 0 {
            // The length was there before the bytes.
            file.set_len(cut - start + dice.below(3 * SECTOR_BYTES)).map_err(broken)?;
        }
        Ok(())
    }
}

/// Numbers that follow from a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number ^= number >> 12;
        number ^= number << 25;
        number ^= number >> 27;
        number % bound
    }
}
