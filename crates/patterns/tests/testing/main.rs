//! The test kit itself: its parts do what they say, and its laws find the layers that break them.

mod layered;
mod parts;
mod right;
mod wrong;
mod wrong_ends;
mod wrong_services;
mod wrong_sinks;
