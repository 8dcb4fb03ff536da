//! Partitions and groups: a stream per key or per predicate, with bounded room.
