//! Stands in line before the chat servers: listeners, TLS legs, the session line, uploads.
