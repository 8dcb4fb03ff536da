//! Merges, races, zips and switches of streams, and services that choose.

mod executors;
mod laws;
mod map;
mod merge;
mod policies;
mod schedules;
mod services;
mod shapes;
mod support;
