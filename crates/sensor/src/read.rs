//! Reads captures from front to back through a sensor.

use std::io::Read;

use crate::Limits;
use crate::apps::Catalogue;
use crate::capture::{Capture, CaptureError};
use crate::engine::{Counters, Sensor};
use crate::event::Sink;
use crate::lore::Nanos;

/// How often progress is told, and the sink asked whether it still takes events: every so many packets.
const STRIDE: u64 = 8192;

/// What reading one capture came to.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen.
    pub counters: Counters,
    /// Time of the newest packet.
    pub last: Nanos,
    /// Why it could not be read to its end.
    pub error: Option<CaptureError>,
}

/// Reads one capture with fresh tables. Everything that could be read is told to `sink`, also when the capture
/// turns out to be damaged; a sink that is closed ends the reading. `progress` hears how many bytes and packets were read.
pub fn capture<R: Read>(
    capture: &mut Capture<R>,
    limits: Limits,
    catalogue: &'static Catalogue,
    sink: &mut impl Sink,
    progress: &mut dyn FnMut(u64, u64),
) -> Outcome {
    let mut sensor = Sensor::new(limits, catalogue);
    let mut last = 0;
    let mut packets = 0;
    let error = loop {
        match capture.packet() {
            Ok(Some(packet)) => {
                last = packet.time.max(last);
                packets += 1;
                sensor.packet(&packet, sink);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        if packets % STRIDE == 0 {
            progress(capture.position(), packets);
            if sink.closed() {
                break None;
            }
        }
    };
    sensor.finish(sink);
    progress(capture.position(), packets);
    Outcome { counters: sensor.counters(), last, error }
}

#[cfg(test)]
mod tests;
