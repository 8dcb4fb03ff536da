//! Buffers: decoupling a producer from a consumer, with a policy for when they are full.
