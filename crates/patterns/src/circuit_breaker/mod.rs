//! Circuit breakers: what keeps failing is left alone for a while.
