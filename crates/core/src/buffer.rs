//! Bytes that somebody else allocated, with the callback that gives them back.

use std::ffi::c_void;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::ptr;

use bytes::Bytes;
use bytes::buf::UninitSlice;

/// Gives a buffer back to the side that made it: `release(ctx, ptr, cap, align)`.
///
/// It is called exactly once, from any thread, and must not unwind.
pub type ReleaseFn = unsafe extern "C" fn(ctx: *mut c_void, ptr: *mut u8, cap: usize, align: usize);

/// The C layout of a [`Buffer`] (48 bytes on a 64-bit machine). It owns nothing by itself.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawBuffer {
    /// The first byte; may be null only when `cap` is 0.
    pub ptr: *mut u8,
    /// Bytes that are initialised, from `ptr`.
    pub len: usize,
    /// Bytes that belong to the buffer, from `ptr`; at least `len`.
    pub cap: usize,
    /// The alignment of `ptr`, in bytes: a power of two.
    pub align: usize,
    /// Called once when the buffer is no longer needed; `None` for memory that lives forever.
    pub release: Option<ReleaseFn>,
    /// Passed to `release`.
    pub ctx: *mut c_void,
}

impl RawBuffer {
    /// A buffer of no bytes that needs no release.
    pub const EMPTY: RawBuffer = RawBuffer {
        ptr: ptr::null_mut(),
        len: 0,
        cap: 0,
        align: 1,
        release: None,
        ctx: ptr::null_mut(),
    };

    /// Checks everything that can be checked about a descriptor that came from outside.
    ///
    /// # Errors
    ///
    /// [`BufferError`] names the first rule that the descriptor breaks.
    #[inline]
    pub fn validate(&self) -> Result<(), BufferError> {
        if !self.align.is_power_of_two() {
            return Err(BufferError::Align { align: self.align });
        }
        if self.len > self.cap {
            return Err(BufferError::Length { len: self.len, cap: self.cap });
        }
        if self.cap > isize::MAX as usize {
            return Err(BufferError::TooLarge { cap: self.cap });
        }
        if self.ptr.is_null() && self.cap > 0 {
            return Err(BufferError::Null { cap: self.cap });
        }
        if self.ptr.addr() & (self.align - 1) != 0 {
            return Err(BufferError::Misaligned { addr: self.ptr.addr(), align: self.align });
        }
        if self.ptr.addr().checked_add(self.cap).is_none() {
            return Err(BufferError::TooLarge { cap: self.cap });
        }
        Ok(())
    }
}

/// Why a buffer descriptor from the other side of a border was refused.
///
/// A refused descriptor is not released: nothing about it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The pointer is null although the buffer has a capacity.
    #[error("a buffer of {cap} bytes has a null pointer")]
    Null {
        /// The capacity that was claimed.
        cap: usize,
    },
    /// More bytes are initialised than belong to the buffer.
    #[error("a buffer's length {len} exceeds its capacity {cap}")]
    Length {
        /// The length that was claimed.
        len: usize,
        /// The capacity that was claimed.
        cap: usize,
    },
    /// The capacity does not fit the address space.
    #[error("a buffer's capacity {cap} is beyond the address space")]
    TooLarge {
        /// The capacity that was claimed.
        cap: usize,
    },
    /// The alignment is not a power of two.
    #[error("a buffer's alignment {align} is not a power of two")]
    Align {
        /// The alignment that was claimed.
        align: usize,
    },
    /// The pointer does not have the alignment that was claimed.
    #[error("a buffer at {addr:#x} is not aligned to {align}")]
    Misaligned {
        /// The address that was given.
        addr: usize,
        /// The alignment that was claimed.
        align: usize,
    },
}

/// An owned, immutable run of bytes that somebody else allocated, released exactly once on drop.
///
/// It is not `Clone`: share it by turning it into [`Bytes`], which costs one small allocation
/// ([`Bytes::from_owner`]) and copies nothing.
///
/// ```
/// use ziggurat_core::Buffer;
///
/// let buffer = Buffer::from(vec![1_u8, 2, 3]);
/// let address = buffer.as_ptr();
/// let bytes = bytes::Bytes::from(buffer);
/// assert_eq!(bytes.as_ptr(), address);
/// ```
#[repr(transparent)]
pub struct Buffer {
    raw: RawBuffer,
}

// SAFETY: a buffer is the only owner of its bytes (or of a shared, never written view of them), and
// `from_raw` requires the release callback to be callable from any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared `Buffer` gives out nothing but `&[u8]`.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of no bytes.
    pub const fn new() -> Self {
        Buffer { raw: RawBuffer::EMPTY }
    }

    /// Takes ownership of a buffer that came from outside, after checking its descriptor.
    ///
    /// # Errors
    ///
    /// [`BufferError`] when the descriptor is impossible; it is then not released.
    ///
    /// # Safety
    ///
    /// When the descriptor passes the checks, its first `len` bytes must be initialised and stay
    /// valid and unwritten until `release` is called, `release` must be callable once from any
    /// thread without unwinding, and the caller must not release the buffer itself.
    #[inline]
    pub unsafe fn from_raw(raw: RawBuffer) -> Result<Self, BufferError> {
        raw.validate()?;
        Ok(Buffer { raw })
    }

    /// Gives up ownership without releasing. The receiver calls `release`, or leaks the buffer.
    #[inline]
    pub fn into_raw(self) -> RawBuffer {
        ManuallyDrop::new(self).raw
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        if self.raw.len == 0 {
            return &[];
        }
        // SAFETY: the descriptor was checked (non-null, at most `isize::MAX` bytes), its first `len`
        // bytes are initialised and unwritten for as long as this owner lives (`from_raw`).
        unsafe { std::slice::from_raw_parts(self.raw.ptr, self.raw.len) }
    }

    /// The alignment that the allocating side promised, in bytes.
    pub fn alignment(&self) -> usize {
        self.raw.align
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        release(&self.raw);
    }
}

/// Calls the release callback of a descriptor whose owner is going away.
#[inline]
fn release(raw: &RawBuffer) {
    if let Some(release) = raw.release {
        // SAFETY: only an owner's `drop` comes here, once, with a descriptor that its constructor
        // promised to be releasable.
        unsafe { release(raw.ctx, raw.ptr, raw.cap, raw.align) }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl PartialEq<[u8]> for Buffer {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_slice() == other
    }
}

/// No copy. An empty buffer is released at once and becomes the static empty `Bytes`.
impl From<Buffer> for Bytes {
    #[inline]
    fn from(buffer: Buffer) -> Bytes {
        if buffer.is_empty() { Bytes::new() } else { Bytes::from_owner(buffer) }
    }
}

/// No copy; one small allocation holds the `Bytes` until the buffer is released.
impl From<Bytes> for Buffer {
    fn from(bytes: Bytes) -> Buffer {
        unsafe extern "C" fn release(ctx: *mut c_void, _: *mut u8, _: usize, _: usize) {
            // SAFETY: `ctx` is the `Box<Bytes>` that `from` leaked, and `release` is called once.
            drop(unsafe { Box::from_raw(ctx.cast::<Bytes>()) });
        }
        if bytes.is_empty() {
            return Buffer::new();
        }
        let (ptr, len) = (bytes.as_ptr().cast_mut(), bytes.len());
        let ctx = Box::into_raw(Box::new(bytes)).cast();
        Buffer { raw: RawBuffer { ptr, len, cap: len, align: 1, release: Some(release), ctx } }
    }
}

/// No copy and no allocation.
impl From<Vec<u8>> for Buffer {
    fn from(vec: Vec<u8>) -> Buffer {
        unsafe extern "C" fn release(_: *mut c_void, ptr: *mut u8, cap: usize, _: usize) {
            // SAFETY: `ptr` and `cap` are those of the `Vec` that `from` took apart; a length of 0
            // is right for bytes, which need no drop.
            drop(unsafe { Vec::from_raw_parts(ptr, 0, cap) });
        }
        let mut vec = ManuallyDrop::new(vec);
        if vec.capacity() == 0 {
            return Buffer::new();
        }
        Buffer {
            raw: RawBuffer {
                ptr: vec.as_mut_ptr(),
                len: vec.len(),
                cap: vec.capacity(),
                align: 1,
                release: Some(release),
                ctx: ptr::null_mut(),
            },
        }
    }
}

/// No copy and no allocation.
impl From<&'static [u8]> for Buffer {
    fn from(bytes: &'static [u8]) -> Buffer {
        Buffer {
            raw: RawBuffer {
                ptr: bytes.as_ptr().cast_mut(),
                len: bytes.len(),
                cap: bytes.len(),
                ..RawBuffer::EMPTY
            },
        }
    }
}

/// A buffer that is being filled: the only owner of `capacity` writable bytes.
///
/// It comes from a [`BufferPool`](crate::BufferPool); [`freeze`](Self::freeze) makes it a [`Buffer`].
pub struct BufferMut {
    raw: RawBuffer,
}

// SAFETY: it is the only owner of its bytes, and its release callback is callable from any thread
// (`from_raw`).
unsafe impl Send for BufferMut {}
// SAFETY: a shared `BufferMut` gives out nothing but `&[u8]`.
unsafe impl Sync for BufferMut {}

impl BufferMut {
    /// Takes ownership of a block.
    ///
    /// # Safety
    ///
    /// As for [`Buffer::from_raw`], the descriptor must pass [`RawBuffer::validate`], and all of its
    /// `cap` bytes must be writable and belong to nobody else.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: RawBuffer) -> Self {
        debug_assert!(raw.validate().is_ok());
        BufferMut { raw }
    }

    /// Gives up ownership without releasing.
    #[inline]
    pub fn into_raw(self) -> RawBuffer {
        ManuallyDrop::new(self).raw
    }

    /// Bytes that fit into the buffer, the written ones included.
    pub fn capacity(&self) -> usize {
        self.raw.cap
    }

    /// The unwritten rest.
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let spare = self.raw.cap - self.raw.len;
        if spare == 0 {
            return &mut [];
        }
        // SAFETY: `len..cap` lies inside the block, which belongs to us alone (`from_raw`).
        unsafe { std::slice::from_raw_parts_mut(self.raw.ptr.add(self.raw.len).cast(), spare) }
    }

    /// Counts `n` more bytes as written.
    ///
    /// # Panics
    ///
    /// Panics when fewer than `n` bytes are left.
    ///
    /// # Safety
    ///
    /// The first `n` bytes of [`spare_capacity_mut`](Self::spare_capacity_mut) must have been written.
    #[inline]
    pub unsafe fn advance(&mut self, n: usize) {
        assert!(n <= self.raw.cap - self.raw.len, "advance past the end of a buffer");
        self.raw.len += n;
    }

    /// Copies as much of `bytes` as fits, and returns how many bytes that was.
    pub fn put_slice(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare_capacity_mut();
        let n = bytes.len().min(spare.len());
        // SAFETY: both are valid for `n` bytes; a `&[u8]` cannot overlap memory that is ours alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), spare.as_mut_ptr().cast(), n) };
        self.raw.len += n;
        n
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.raw.len = 0;
    }

    /// Ends the writing. No copy, no allocation.
    #[inline]
    pub fn freeze(self) -> Buffer {
        Buffer { raw: self.into_raw() }
    }
}

impl Drop for BufferMut {
    #[inline]
    fn drop(&mut self) {
        release(&self.raw);
    }
}

impl Deref for BufferMut {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        if self.raw.len == 0 {
            return &[];
        }
        // SAFETY: the first `len` bytes have been written (`advance`, `put_slice`) and are ours.
        unsafe { std::slice::from_raw_parts(self.raw.ptr, self.raw.len) }
    }
}

impl fmt::Debug for BufferMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferMut")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

// SAFETY: `chunk_mut` is exactly the unwritten rest, `advance_mut` moves into it by what was
// written, and `remaining_mut` is its length.
unsafe impl bytes::BufMut for BufferMut {
    fn remaining_mut(&self) -> usize {
        self.raw.cap - self.raw.len
    }

    #[inline]
    unsafe fn advance_mut(&mut self, n: usize) {
        // SAFETY: the caller has written `n` bytes of `chunk_mut`.
        unsafe { self.advance(n) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::uninit(self.spare_capacity_mut())
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    unsafe extern "C" fn count(ctx: *mut c_void, _: *mut u8, _: usize, _: usize) {
        // SAFETY: the tests pass a counter that outlives the buffer.
        unsafe { &*ctx.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(bytes: &'static [u8], counter: &AtomicUsize) -> RawBuffer {
        RawBuffer {
            ptr: bytes.as_ptr().cast_mut(),
            len: bytes.len(),
            cap: bytes.len(),
            align: 1,
            release: Some(count),
            ctx: ptr::from_ref(counter).cast_mut().cast(),
        }
    }

    #[test]
    fn is_released_once_on_drop_and_never_by_into_raw() {
        let counter = AtomicUsize::new(0);
        // SAFETY: static bytes and a callback that fits.
        let buffer = unsafe { Buffer::from_raw(counted(b"abc", &counter)) }.unwrap();
        assert_eq!(&*buffer, b"abc");
        let raw = buffer.into_raw();
        assert_eq!(counter.load(Ordering::Relaxed), 0);
        // SAFETY: as above; `into_raw` gave ownership back.
        drop(unsafe { Buffer::from_raw(raw) }.unwrap());
        assert_eq!(counter.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn bytes_share_the_memory_and_release_it_with_the_last_clone() {
        let counter = AtomicUsize::new(0);
        // SAFETY: static bytes; the counter outlives the `Bytes`, which are dropped below.
        let buffer = unsafe { Buffer::from_raw(counted(b"shared", &counter)) }.unwrap();
        let address = buffer.as_ptr();
        let bytes = Bytes::from(buffer);
        let tail = bytes.slice(3..);
        assert_eq!(bytes.as_ptr(), address);
        drop(bytes);
        assert_eq!(counter.load(Ordering::Relaxed), 0);
        assert_eq!(&tail[..], b"red");
        drop(tail);
        assert_eq!(counter.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn bytes_and_vec_cross_without_a_copy() {
        let bytes = Bytes::from(vec![1_u8; 100]);
        let address = bytes.as_ptr();
        let buffer = Buffer::from(bytes.clone());
        assert_eq!((buffer.as_ptr(), buffer.len()), (address, 100));
        assert_eq!(Bytes::from(buffer).as_ptr(), address);

        let mut vec = Vec::with_capacity(64);
        vec.extend_from_slice(b"vec");
        let address = vec.as_ptr();
        let buffer = Buffer::from(vec);
        assert_eq!((buffer.as_ptr(), &*buffer), (address, &b"vec"[..]));
    }

    #[test]
    fn empty_buffers_are_released_too() {
        let counter = AtomicUsize::new(0);
        // SAFETY: an empty static slice and a callback that fits.
        let buffer = unsafe { Buffer::from_raw(counted(b"", &counter)) }.unwrap();
        assert_eq!(Bytes::from(buffer), Bytes::new());
        assert_eq!(counter.load(Ordering::Relaxed), 1);
        assert!(Buffer::from(Bytes::new()).is_empty());
        assert!(Buffer::from(Vec::new()).is_empty());
        assert!(Buffer::default().as_slice().is_empty());
    }

    #[test]
    fn impossible_descriptors_are_refused() {
        let good = RawBuffer {
            ptr: ptr::without_provenance_mut(0x1000),
            len: 8,
            cap: 16,
            align: 8,
            ..RawBuffer::EMPTY
        };
        assert_eq!(good.validate(), Ok(()));
        let check = |raw: RawBuffer| raw.validate().unwrap_err();
        assert_eq!(check(RawBuffer { align: 0, ..good }), BufferError::Align { align: 0 });
        assert_eq!(check(RawBuffer { align: 24, ..good }), BufferError::Align { align: 24 });
        assert_eq!(check(RawBuffer { len: 17, ..good }), BufferError::Length { len: 17, cap: 16 });
        assert_eq!(
            check(RawBuffer { cap: usize::MAX, ..good }),
            BufferError::TooLarge { cap: usize::MAX }
        );
        assert_eq!(
            check(RawBuffer { ptr: ptr::null_mut(), ..good }),
            BufferError::Null { cap: 16 }
        );
        let ptr = ptr::without_provenance_mut(0x1004);
        assert_eq!(
            check(RawBuffer { ptr, ..good }),
            BufferError::Misaligned { addr: 0x1004, align: 8 }
        );
        let ptr = ptr::without_provenance_mut(usize::MAX - 7);
        assert_eq!(check(RawBuffer { ptr, ..good }), BufferError::TooLarge { cap: 16 });
    }
}
