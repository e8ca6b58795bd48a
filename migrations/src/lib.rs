//! Database schema.
