//! Selection: one stream of many, one answer of many services.
