//! Items that have no group to go to.

/// An item that could not be put into a group. It comes back with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError<K, T> {
    /// There are as many groups as there may be, and this is another key.
    #[error("there are too many groups for another key")]
    TooManyGroups {
        /// The key.
        key: K,
        /// The item.
        item: T,
    },
    /// The group is full.
    #[error("the group of the item is full")]
    Overflow {
        /// The key.
        key: K,
        /// The item.
        item: T,
    },
}

impl<K, T> GroupError<K, T> {
    /// Whether there were too many groups.
    pub fn is_too_many_groups(&self) -> bool {
        matches!(self, GroupError::TooManyGroups { .. })
    }

    /// Whether a group was full.
    pub fn is_overflow(&self) -> bool {
        matches!(self, GroupError::Overflow { .. })
    }

    /// The key and the item.
    pub fn into_parts(self) -> (K, T) {
        match self {
            GroupError::TooManyGroups { key, item } | GroupError::Overflow { key, item } => {
                (key, item)
            }
        }
    }
}
