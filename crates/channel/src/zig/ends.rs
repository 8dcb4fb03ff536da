//! Ends of many-to-many channels, there and back.

use std::ffi::c_void;
use std::mem::ManuallyDrop;

use ziggurat_core::Item;
use ziggurat_zig_ffi::abi::TypeDesc;
use ziggurat_zig_ffi::{Args, Argument, Outcome, ProtocolError, RawEnd};

use super::{Shared, accept, cross};
use crate::channel::Channel;
use crate::layout::{FAULT_NONE, Header, KIND_BOUNDED, KIND_GROWABLE};
use crate::sync::Arc;
use crate::waiters::{Side, Waiters};
use crate::{Receiver, Sender};

// SAFETY: `Channel` is `repr(C)`, its header is the first field, and the ends have it in an `Arc`.
unsafe impl<T> Shared for Channel<T> {
    fn shared(&self) -> (&Header, &Waiters) {
        (&self.header, &self.waiters)
    }

    fn close(&self, fault: u32) {
        match fault {
            FAULT_NONE => _ = Channel::close(self),
            fault => self.fail(fault),
        }
    }

    fn ring(&self, number: u64, make: bool) -> *const c_void {
        self.ring_of(number, make).cast()
    }

    unsafe fn clone_end(channel: *const Self, side: Side) {
        // SAFETY: somebody holds an end; of whichever side, it is only cloned here.
        let (sender, receiver) =
            unsafe { (Sender::borrowed(channel), Receiver::borrowed(channel)) };
        match side {
            Side::Senders => std::mem::forget(Sender::clone(&sender)),
            Side::Receivers => std::mem::forget(Receiver::clone(&receiver)),
        }
    }

    unsafe fn drop_end(channel: *const Self, side: Side) {
        // SAFETY: the caller gives up an end of this side, which is the one that is dropped.
        let (sender, receiver) =
            unsafe { (Sender::borrowed(channel), Receiver::borrowed(channel)) };
        match side {
            Side::Senders => drop(ManuallyDrop::into_inner(sender)),
            Side::Receivers => drop(ManuallyDrop::into_inner(receiver)),
        }
    }
}

macro_rules! crossing {
    ($end:ident, $side:ident, $desc:ident) => {
        impl<T> $end<T> {
            /// An end that somebody else holds.
            ///
            /// # Safety
            ///
            /// `channel` is a pointer that `Arc::as_ptr` gave, and somebody holds an end of it.
            unsafe fn borrowed(channel: *const Channel<T>) -> ManuallyDrop<Self> {
                // SAFETY: the holder's end has a count in the `Arc`.
                ManuallyDrop::new($end::new(unsafe { Arc::from_raw(channel) }))
            }
        }

        impl<T: Item> $end<T> {
            /// This end as what crosses. Passing it to a bound function does the same.
            #[doc(hidden)]
            pub fn into_raw_end(self) -> RawEnd {
                // A clone holds no room, and no place in a waiting list.
                let end = ManuallyDrop::new(self.clone());
                // SAFETY: the clone is given up here, and not dropped.
                unsafe { cross::<_, T>(Arc::as_ptr(&end.channel), Side::$side) }
            }
        }

        /// In Zig a parameter of type `*ziggurat.` followed by this end's name. The end is moved: to keep
        /// one, pass a reference.
        impl<T: Item> Argument for $end<T> {
            fn push_to(self, args: &mut Args) {
                args.push_end(self.into_raw_end());
            }
        }

        /// Passes a clone.
        impl<T: Item> Argument for &$end<T> {
            fn push_to(self, args: &mut Args) {
                args.push_end(self.clone().into_raw_end());
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
                unsafe { accept(raw, &[KIND_BOUNDED, KIND_GROWABLE], TypeDesc::of_item::<T>()) }?;
                // SAFETY: a header of a `Channel` of this crate's, whose items are laid out as `T`s are
                // and are valid as such; the layout of a `Channel` does not depend on more than that.
                // The end is the caller's.
                Ok(ManuallyDrop::into_inner(unsafe { $end::borrowed(raw.cast()) }))
            }
        }
    };
}
crossing!(Sender, Senders, sender_of);
crossing!(Receiver, Receivers, receiver_of);
