//! Rate limits: so many items, calls or bytes in a period.
