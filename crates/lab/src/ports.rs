//! Free loopback ports for servers that cannot be told to choose one themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Below what Linux hands out for outgoing connections, so that only a listener can be in the way.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;
/// Test processes have neighbouring ids; each gets its own stretch.
const STRIDE: u32 = 40;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port on 127.0.0.1 that nothing listens on now.
pub fn free() -> Result<u16> {
    let start = std::process::id().wrapping_mul(STRIDE);
    for _ in 0..COUNT {
        let number = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let Ok(port) = u16::try_from(number) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_do_not_repeat() {
        let (a, b) = (free().unwrap(), free().unwrap());
        assert_ne!(a, b);
    }
}
