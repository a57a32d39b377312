//! Bytes to nouns, sans-I/O: one folder a protocol.
