//! How heavy an item is.

/// Tells the weight of an item, such as its bytes. Any `FnMut(&Item) -> usize` does.
///
/// ```
/// use ziggurat_patterns::batch::Weigh;
///
/// let mut bytes = |line: &String| line.len();
/// assert_eq!(bytes.weigh(&"four".to_owned()), 4);
/// ```
pub trait Weigh<Item> {
    /// Whether weights are asked for at all.
    #[doc(hidden)]
    const WEIGHS: bool = true;

    /// The weight, in the unit of the limit.
    fn weigh(&mut self, item: &Item) -> usize;
}

impl<Item, F: FnMut(&Item) -> usize> Weigh<Item> for F {
    #[inline]
    fn weigh(&mut self, item: &Item) -> usize {
        self(item)
    }
}

/// Items have no weight: what a batch has without a limit of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unweighed;

impl<Item> Weigh<Item> for Unweighed {
    const WEIGHS: bool = false;

    #[inline]
    fn weigh(&mut self, _: &Item) -> usize {
        0
    }
}
