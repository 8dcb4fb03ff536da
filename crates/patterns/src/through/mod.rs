//! Streams through services: each item is a request, each response an item.
