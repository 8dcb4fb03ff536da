//! What a load shedder says.

/// There was no room at once, or whatever is inside failed.
///
/// `I` is the item, which a sink hands back. A service keeps nothing: `I` is `()` there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadShedError<E, I = ()> {
    /// The service or sink inside was not ready.
    #[error("the service is overloaded")]
    Overloaded {
        /// What was not taken.
        item: I,
    },
    /// The error of the service or sink inside.
    #[error(transparent)]
    Inner(E),
}

impl<E, I> LoadShedError<E, I> {
    /// Whether there was no room.
    pub fn is_overloaded(&self) -> bool {
        matches!(self, LoadShedError::Overloaded { .. })
    }

    /// What was not taken.
    pub fn into_item(self) -> Option<I> {
        match self {
            LoadShedError::Overloaded { item } => Some(item),
            LoadShedError::Inner(_) => None,
        }
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            LoadShedError::Overloaded { .. } => None,
            LoadShedError::Inner(error) => Some(error),
        }
    }
}
