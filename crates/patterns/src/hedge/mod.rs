//! Hedging: a call that takes long is made a second time, and the first answer wins.
