//! Capture files: pcap and pcapng, plain or gzip, read in order through one bounded buffer.
//!
//! Own readers instead of a crate's: packets are slices of the read buffer, nothing is copied or allocated
//! a packet, unknown blocks are skipped without being held, and a damaged file says where.

mod pcap;
mod pcapng;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::lore::Nanos;
use source::Source;

/// Longer records than this are damage: the largest snapshot length in use is 256 KiB.
const MOST_RECORD: usize = 1 << 20;

/// The latest time of a packet, in the year 2262: what is added to a time must not run over.
const LATEST: Nanos = i64::MAX as Nanos;

/// A link-layer type, as <https://www.tcpdump.org/linktypes.html> numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
}

/// One captured packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When, in nanoseconds since the epoch; before 2262.
    pub time: Nanos,
    /// How `data` begins.
    pub link: LinkType,
    /// Length on the wire, in bytes; at least `data.len()`.
    pub wire_len: u32,
    /// What was captured.
    pub data: &'a [u8],
}

/// Why a capture can't be read (any further).
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file can't be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It doesn't begin as a capture does.
    #[error("neither pcap nor pcapng (first bytes {0:02x?})")]
    Unknown([u8; 4]),
    /// It ends inside a record.
    #[error("cut off inside the record at byte {at}")]
    Truncated {
        /// Offset of the record in the (unpacked) file.
        at: u64,
    },
    /// A record that can't be.
    #[error("damaged at byte {at}: {what}")]
    Damaged {
        /// Offset of the record in the (unpacked) file.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// An open capture.
pub struct Capture<R> {
    source: Source<R>,
    format: Format,
}

enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

impl Capture<File> {
    /// Opens a file; gzip is recognised by its first bytes.
    pub fn open(path: &Path) -> Result<Capture<File>, CaptureError> {
        Capture::new(File::open(path)?)
    }
}

impl<R: Read> Capture<R> {
    /// Reads from anything that has bytes.
    pub fn new(input: R) -> Result<Capture<R>, CaptureError> {
        let mut source = Source::new(input)?;
        let Some(magic) = source.peek::<4>()? else {
            let rest = source.rest();
            let mut magic = [0; 4];
            magic[..rest.len().min(4)].copy_from_slice(&rest[..rest.len().min(4)]);
            return Err(CaptureError::Unknown(magic));
        };
        let format = match pcap::Kind::of(magic) {
            Some(kind) => Format::Pcap(pcap::Header::read(kind, &mut source)?),
            None if pcapng::is_section(magic) => Format::Pcapng(pcapng::Section::default()),
            None => return Err(CaptureError::Unknown(magic)),
        };
        Ok(Capture { source, format })
    }

    /// The next packet; `None` at the end. After an error nothing more can be read.
    #[inline]
    pub fn packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        match &mut self.format {
            Format::Pcap(header) => header.packet(&mut self.source),
            Format::Pcapng(section) => section.packet(&mut self.source),
        }
    }

    /// How many bytes of the file (packed, if it is) have been read: for progress.
    pub fn position(&self) -> u64 {
        self.source.read_so_far()
    }
}

#[cfg(test)]
mod tests;
