//! TAXII 2.1 servers, which send STIX.

use super::{Defaults, Each, Feed, Terms, Transport, stix};

/// The format.
pub(super) struct Taxii;

impl Feed for Taxii {
    fn name(&self) -> &'static str {
        "taxii"
    }

    fn about(&self) -> &'static str {
        "A TAXII 2.1 server: its discovery (`/taxii2/`), an API root, or one collection (`/collections/ID/`). Only \
         what was added since the last fetch is asked for."
    }

    fn example(&self) -> &'static str {
        stix::Stix.example()
    }

    fn defaults(&self) -> Defaults {
        stix::Stix.defaults()
    }

    fn transport(&self) -> Transport {
        Transport::Taxii
    }

    fn read(&self, bytes: &[u8], terms: &Terms, each: &mut Each<'_>) {
        stix::Stix.read(bytes, terms, each);
    }
}
