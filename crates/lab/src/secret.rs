//! Random passwords for accounts that exist for an hour.

use std::fmt::Write;

use anyhow::{Context, Result};

/// Twelve lower-case hexadecimal digits in groups of four: easy to type, 48 bits.
pub fn password() -> Result<String> {
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes).context("no randomness from the system")?;
    let mut text = String::new();
    for (index, pair) in bytes.chunks(2).enumerate() {
        if index > 0 {
            text.push('-');
        }
        for byte in pair {
            write!(text, "{byte:02x}").context("writing to a string")?;
        }
    }
    Ok(text)
}
