//! Graceful shutdown: no new work, and what is under way ends in time.
