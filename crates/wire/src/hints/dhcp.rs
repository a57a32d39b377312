//! DHCP: what a device tells about itself when it asks for an address.

use std::net::Ipv4Addr;

/// One DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcp<'a> {
    options: &'a [u8],
}

/// Reads a DHCP message.
pub fn read(_datagram: &[u8]) -> Option<Dhcp<'_>> {
    None
}

impl<'a> Dhcp<'a> {
    /// The client's hardware address (6 bytes on Ethernet).
    pub fn hardware(&self) -> &'a [u8] {
        &[]
    }

    /// Message type, option 53: 1 discover, 3 request, 5 acknowledgement.
    pub fn message_type(&self) -> Option<u8> {
        None
    }

    /// Whether it comes from a server.
    pub fn is_reply(&self) -> bool {
        false
    }

    /// The first option of this code.
    pub fn option(&self, _code: u8) -> Option<&'a [u8]> {
        let _ = self.options;
        None
    }

    /// The options asked for, in order: option 55.
    pub fn parameters(&self) -> Option<&'a [u8]> {
        self.option(55)
    }

    /// Vendor class, option 60.
    pub fn vendor_class(&self) -> Option<&'a str> {
        None
    }

    /// Host name, option 12.
    pub fn host_name(&self) -> Option<&'a str> {
        None
    }

    /// The address given to, asked for by or in use by the client.
    pub fn address(&self) -> Option<Ipv4Addr> {
        None
    }
}
