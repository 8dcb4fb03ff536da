//! What is checked, and how it is written down.

use std::marker::PhantomData;

pub(crate) const SEND: u8 = 1;
pub(crate) const SYNC: u8 = 2;
pub(crate) const UNPIN: u8 = 4;
const FULL: u8 = SEND | SYNC | UNPIN;

/// The auto traits of a type for a parameter that has all of them, that is not `Sync`, that is neither
/// `Send` nor `Sync`, and that is not `Unpin`.
pub(crate) type Table = [u8; 4];

/// Those of the parameter.
pub(crate) const AS_X: Table = [FULL, SEND | UNPIN, UNPIN, SEND | SYNC];
/// The same, but it is always `Unpin`: it moves the parameter, or has it in a box.
pub(crate) const OWNED: Table = [FULL, SEND | UNPIN, UNPIN, FULL];
/// The parameter is behind a lock: what is `Send` is shared.
pub(crate) const LOCKED: Table = [FULL, FULL, UNPIN, FULL];
/// The parameter is in an `Arc`: what is shared has to be `Sync` to be sent.
pub(crate) const COUNTED: Table = [FULL, UNPIN, UNPIN, FULL];
/// It is either in an `Arc` or there itself.
pub(crate) const COUNTED_OR_X: Table = [FULL, UNPIN, UNPIN, SEND | SYNC];
/// The parameter is not there, but only named.
pub(crate) const ALWAYS: Table = [FULL; 4];

/// The auto traits of a type with a timer whose sleeps have all of them, are not `Sync`, and are not
/// `Unpin`. A sleep is always `Send`.
pub(crate) type Timed = [u8; 3];

/// It has a sleep in it.
pub(crate) const SLEEP: Timed = [FULL, SEND | UNPIN, SEND | SYNC];
/// It has a sleep in a box.
pub(crate) const BOXED: Timed = [FULL, SEND | UNPIN, FULL];
/// It makes sleeps and keeps none.
pub(crate) const ANY: Timed = [FULL; 3];

/// Associated constants of its own, where the bounds hold, come before those of [`Absent`].
pub(crate) struct Is<T: ?Sized>(PhantomData<T>);

pub(crate) trait Absent {
    const SEND: u8 = 0;
    const SYNC: u8 = 0;
    const UNPIN: u8 = 0;
}

impl<T: ?Sized> Absent for Is<T> {}

impl<T: ?Sized + Send> Is<T> {
    pub(crate) const SEND: u8 = SEND;
}

impl<T: ?Sized + Sync> Is<T> {
    pub(crate) const SYNC: u8 = SYNC;
}

impl<T: ?Sized + Unpin> Is<T> {
    pub(crate) const UNPIN: u8 = UNPIN;
}

/// The auto traits of a type without parameters.
macro_rules! auto_traits {
    ($type:ty) => {{
        #[allow(unused_imports)]
        use crate::table::Absent as _;
        crate::table::Is::<$type>::SEND
            | crate::table::Is::<$type>::SYNC
            | crate::table::Is::<$type>::UNPIN
    }};
}

macro_rules! check {
    ($found:expr, $expected:expr, $type:ty, $name:expr) => {{
        let (found, expected) = ($found, $expected);
        let mut i = 0;
        while i < expected.len() {
            assert!(found[i] == expected[i], concat!(stringify!($type), " is not ", $name));
            i += 1;
        }
    }};
}

/// Types with a parameter `X`, and how they depend on it.
macro_rules! with {
    ($expected:ident: $($type:ty,)+) => {$(
        const _: () = {
            type Row<X> = $type;
            let found = [
                auto_traits!(Row<crate::All>),
                auto_traits!(Row<crate::NotSync>),
                auto_traits!(Row<crate::NotSend>),
                auto_traits!(Row<crate::NotUnpin>),
            ];
            check!(found, crate::table::$expected, $type, stringify!($expected));
        };
    )+};
}

/// Types with a timer `T`.
macro_rules! timed {
    ($expected:ident: $($type:ty,)+) => {$(
        const _: () = {
            type Row<T> = $type;
            let found = [
                auto_traits!(Row<crate::Ticks<()>>),
                auto_traits!(Row<crate::Ticks<std::cell::Cell<()>>>),
                auto_traits!(Row<crate::Ticks<std::marker::PhantomPinned>>),
            ];
            check!(found, crate::table::$expected, $type, stringify!($expected));
            // The timers that there are leave nothing to be desired.
            let found = [
                auto_traits!(Row<ziggurat_patterns::time::DefaultTimer>),
                auto_traits!(Row<ziggurat_patterns::time::ErasedTimer>),
                auto_traits!(Row<ziggurat_patterns::time::TestClock>),
                auto_traits!(Row<ziggurat_patterns::time::TokioTimer>),
            ];
            check!(found, crate::table::ALWAYS, $type, "ALWAYS");
        };
    )+};
}

/// Types that are `Send`, `Sync` and `Unpin`.
macro_rules! plain {
    ($($type:ty,)+) => {$(
        const _: () = check!([auto_traits!($type); 4], crate::table::ALWAYS, $type, "ALWAYS");
    )+};
}

/// Streams over `X` that can be trait objects.
macro_rules! boxed {
    ($($type:ty,)+) => {$({
        type Row<X> = $type;
        let _ = crate::streams::boxed::<Row<crate::NotSync>>;
    })+};
}

/// Services over `X` that can be trait objects.
macro_rules! stacked {
    ($($type:ty,)+) => {$({
        type Row<X> = $type;
        let _ = crate::services::stacked::<Row<crate::Serves<crate::NotSync>>>;
    })+};
}
