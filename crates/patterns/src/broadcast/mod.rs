//! Broadcast and tee: each of several consumers gets every item.
