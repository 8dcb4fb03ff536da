//! Debouncing: an item is passed on when no newer one follows for a while.
