//! Ends of one-to-one channels, to Zig and back. They are moved, never cloned.

use std::ffi::c_void;
use std::mem::ManuallyDrop;

use ziggurat_core::Item;
use ziggurat_zig_ffi::abi::TypeDesc;
use ziggurat_zig_ffi::{Args, Argument, Outcome, ProtocolError, RawEnd};

use super::{Receiver, Sender};
use crate::layout::{Header, KIND_SPSC};
use crate::ring::spsc::{Ring, Rx, Tx};
use crate::sync::Arc;
use crate::waiters::{Side, Wait, Waiters};
use crate::zig::{Shared, accept, cross};

// SAFETY: `Ring` is `repr(C)`, its header is the first field, and the ends have it in an `Arc`.
unsafe impl<T> Shared for Ring<T> {
    fn shared(&self) -> (&Header, &Waiters) {
        (&self.header, &self.waiters)
    }

    fn close(&self, fault: u32) {
        self.close_by_either(fault);
    }

    unsafe fn clone_end(_: *const Self, _: Side) {
        // A second sender or receiver would be a data race, in whatever language.
        std::process::abort();
    }

    unsafe fn drop_end(channel: *const Self, side: Side) {
        // SAFETY: the end that the caller gives up has a count.
        let ring = unsafe { Arc::from_raw(channel) };
        match side {
            Side::Senders => drop(Tx::resume(ring)),
            Side::Receivers => drop(Rx::resume(ring)),
        }
    }
}

macro_rules! crossing {
    ($end:ident, $half:ident: $kind:ident, $side:ident, $desc:ident) => {
        impl<T: Item> $end<T> {
            /// This end as what crosses. Passing it to a bound function does the same.
            #[doc(hidden)]
            pub fn into_raw_end(self) -> RawEnd {
                let mut end = ManuallyDrop::new(self);
                let $end { $half, wait, .. } = &mut *end;
                wait.end($half, Side::$side, true);
                $half.leave_home();
                // Before the other language publishes: see `Settled::leave`.
                crate::sync::fence(crate::sync::Ordering::SeqCst);
                // All that a half knows by itself is in the header as well.
                // SAFETY: the end is given up here, and not dropped.
                unsafe { cross::<_, T>(Arc::as_ptr(&$half.ring), Side::$side) }
            }
        }

        /// In Zig a parameter of type `*ziggurat.` followed by this end's name.
        impl<T: Item> Argument for $end<T> {
            fn push_to(self, args: &mut Args) {
                args.push_end(self.into_raw_end());
            }
        }

        // SAFETY: the other side writes a pointer for an end; any is one.
        unsafe impl<T: Item> Outcome for $end<T> {
            type Value = Self;
            type Raw = *const c_void;

            fn desc() -> TypeDesc {
                TypeDesc::$desc::<T>()
            }

            fn empty() -> Self::Raw {
                std::ptr::null()
            }

            unsafe fn from_raw(raw: Self::Raw) -> Result<Self, ProtocolError> {
                // SAFETY: what the other side says is an end of a channel.
                unsafe { accept(raw, &[KIND_SPSC], TypeDesc::of_item::<T>()) }?;
                // SAFETY: a header of a `Ring` of this crate's, whose items are laid out as `T`s are and
                // are valid as such. The end is the caller's, and there is no other of its side.
                let ring = unsafe { Arc::from_raw(raw.cast::<Ring<T>>()) };
                Ok($end { $half: $kind::resume(ring), wait: Wait::default(), polled: false })
            }
        }
    };
}
crossing!(Sender, tx: Tx, Senders, sender_of);
crossing!(Receiver, rx: Rx, Receivers, receiver_of);
