//! Batches: items collected by count, weight or time.
