//! Who is behind an address: people and groups.
