//! Deduplication: items that came before are left out.
