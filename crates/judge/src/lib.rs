//! The one judgement seam: message in, ticket out.
