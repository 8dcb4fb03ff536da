//! A kit for testing layers: scripted streams, services and sinks, and the laws that a layer keeps.
