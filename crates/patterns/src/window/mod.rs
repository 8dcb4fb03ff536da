//! Windows: tumbling and sliding, by count and by time.
