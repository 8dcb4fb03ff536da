//! Rust functions over what a Zig library exports: the macro, the builders, the arguments.

use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use ziggurat_core::BufferPool;
use ziggurat_zig_ffi::abi::{Exports, TypeDesc};
use ziggurat_zig_ffi::{Args, Library, OpenError, Options, Outcome, PanicPolicy, Plain};

use crate::byte_stream::DEFAULT_BYTE_BATCH;
use crate::host::{self, HostRef};
use crate::stream::DEFAULT_BATCH;
use crate::{
    Local, TransformItem, ZigByteSink, ZigByteStream, ZigFuture, ZigSink, ZigStream, ZigTransform,
};

/// Bytes in each block of a byte stream that was given no pool.
pub const DEFAULT_BLOCK_SIZE: usize = 64 * 1024;
/// Blocks of a byte stream that was given no pool. Of blocks that are larger than the default there
/// are fewer, down to a quarter.
pub const DEFAULT_BLOCKS: usize = 32;

/// Declares Rust functions for the exports of a Zig library that a build script compiled with
/// `ziggurat-zig-build`.
///
/// ```ignore
/// ziggurat_stream::bind! {
///     library "pipeline";
///
///     /// Every line of a file.
///     pub fn lines(path: &Path) -> ZigByteStream;
///     /// The sum of what it is sent.
///     pub fn sum() -> ZigSink<u64, u64>;
/// }
///
/// let lines = lines("data.txt".as_ref()).capacity(64).open()?;
/// ```
///
/// Each function returns the builder of its type ([`StreamBuilder`], …), which `open()` turns into the
/// stream or sink. Names, argument types, item and result types are checked against the Zig library
/// then: a mismatch is an [`OpenError`] that names both sides.
#[macro_export]
macro_rules! bind {
    (
        library $library:literal;
        $(
            $(#[$meta:meta])*
            $vis:vis fn $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) -> $out:ty;
        )*
    ) => {
        $(
            $(#[$meta])*
            $vis fn $name($($arg: $ty),*) -> <$out as $crate::Bind>::Builder {
                unsafe extern "C" {
                    #[link_name = env!(concat!("ZIGGURAT_EXPORTS_", $library))]
                    safe fn exports() -> *const $crate::ffi::abi::Exports;
                }
                fn table() -> *const $crate::ffi::abi::Exports {
                    exports()
                }
                // SAFETY: the export of a library that `ziggurat-zig-build` compiled together with the
                // Zig half of Ziggurat: its tables are static, and its functions keep their contracts.
                static LIBRARY: $crate::BoundLibrary = unsafe { $crate::BoundLibrary::new(table) };
                #[allow(unused_mut)]
                let mut args = $crate::ffi::Args::new();
                $( $crate::ffi::Argument::push_to($arg, &mut args); )*
                <$out as $crate::Bind>::bind(&LIBRARY, stringify!($name), args)
            }
        )*
    };
}

/// A type that [`bind!`](crate::bind) can return: a stream or sink with its builder.
pub trait Bind: Sized {
    /// What opens it.
    type Builder;

    #[doc(hidden)]
    fn bind(library: &'static BoundLibrary, name: &'static str, args: Args) -> Self::Builder;
}

/// A library's table of exports, checked at its first use. [`bind!`](crate::bind) makes it.
#[doc(hidden)]
pub struct BoundLibrary {
    exports: fn() -> *const Exports,
    checked: OnceLock<Result<Library, OpenError>>,
}

impl BoundLibrary {
    /// # Safety
    ///
    /// What the function returns is as `Library::open` wants it.
    pub const unsafe fn new(exports: fn() -> *const Exports) -> Self {
        BoundLibrary { exports, checked: OnceLock::new() }
    }

    fn get(&self) -> Result<Library, OpenError> {
        // SAFETY: promised to `new`.
        let open = || unsafe { Library::open((self.exports)()) };
        self.checked.get_or_init(open).clone()
    }
}

impl fmt::Debug for BoundLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundLibrary").finish_non_exhaustive()
    }
}

/// What all builders know.
struct Call {
    library: &'static BoundLibrary,
    name: &'static str,
    args: Args,
    options: Options,
    /// `None`: what the kind of item makes do with.
    batch: Option<usize>,
    block_size: usize,
}

impl Call {
    fn new(library: &'static BoundLibrary, name: &'static str, args: Args) -> Self {
        let (options, block_size) = (Options::default(), DEFAULT_BLOCK_SIZE);
        Call { library, name, args, options, batch: None, block_size }
    }

    /// Makes the options whole, and finds the library.
    fn prepare(&mut self) -> Result<Library, OpenError> {
        if self.options.capacity == Some(0) {
            return Err(OpenError::Zero("capacity"));
        }
        if !self.options.thread {
            self.options.host.get_or_insert_with(host::shared);
        }
        self.library.get()
    }

    /// A pool for a function that gives bytes, unless it has got one.
    fn make_pool(&mut self) -> Result<(), OpenError> {
        if self.options.pool.is_none() {
            let builder = BufferPool::builder(self.block_size);
            let blocks = default_blocks(self.block_size);
            self.options.pool = Some(builder.blocks(blocks).align(4096).build()?);
            self.options.spill = true;
        }
        Ok(())
    }
}

macro_rules! builder {
    (
        $(#[$meta:meta])*
        $builder:ident<$($param:ident: [$($bound:tt)+]),*> -> $target:ty;
        $open:item
    ) => {
        $(#[$meta])*
        #[must_use = "a builder does nothing until `open` is called"]
        pub struct $builder<$($param: ?Sized),*> {
            call: Call,
            marker: PhantomData<($(fn() -> PhantomData<$param>,)*)>,
        }

        impl<$($param: $($bound)+),*> Bind for $target {
            type Builder = $builder<$($param),*>;

            fn bind(library: &'static BoundLibrary, name: &'static str, args: Args) -> Self::Builder {
                $builder { call: Call::new(library, name, args), marker: PhantomData }
            }
        }

        impl<$($param: $($bound)+),*> $builder<$($param),*> {
            /// Stack of the function, in bytes.
            pub fn stack_size(mut self, bytes: usize) -> Self {
                self.call.options.stack_size = Some(bytes);
                self
            }

            /// What the function waits by when it runs as a coroutine: timers, descriptors and threads
            /// for what can only block. A [`Host`](crate::host::Host), or a
            /// [`HostRef`](crate::host::HostRef) to share one; a
            /// [`DefaultHost`](crate::host::DefaultHost) that the whole process shares, unless set.
            pub fn host(mut self, host: impl Into<HostRef>) -> Self {
                self.call.options.host = Some(host.into());
                self
            }

            /// Runs the function on a thread of its own, and not as a coroutine: for what computes for
            /// long or blocks without `std.Io`. The function is the same.
            pub fn on_thread(mut self) -> Self {
                self.call.options.thread = true;
                self
            }

            /// What a panic of the function does: it aborts the process, unless this is
            /// [`PanicPolicy::Poison`], which says what becomes of the function then.
            pub fn on_panic(mut self, policy: PanicPolicy) -> Self {
                self.call.options.on_panic = policy;
                self
            }

            /// Opens it. The function starts at the first poll.
            ///
            /// # Errors
            ///
            /// [`OpenError`] when the two sides do not fit each other, an option is impossible, or
            /// there is no memory. Ends of channels among the arguments are dropped then, as everything
            /// else in the builder is: to keep one, pass a clone.
            $open

            /// As [`open`](Self::open), for Zig code that is bound to its thread: what is opened is not
            /// `Send`, so that a coroutine is only ever polled here. See [`Local`].
            ///
            /// # Errors
            ///
            /// As for `open`.
            pub fn open_local(self) -> Result<Local<$target>, OpenError> {
                self.open().map(Local::new)
            }
        }

        impl<$($param: ?Sized),*> fmt::Debug for $builder<$($param),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($builder))
                    .field("name", &self.call.name)
                    .field("options", &self.call.options)
                    .field("batch", &self.call.batch)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// For everything that moves items.
macro_rules! bounds {
    ($builder:ident<$($param:ident: [$($bound:tt)+]),*>) => {
        impl<$($param: $($bound)+),*> $builder<$($param),*> {
            /// Items that may be under way between the two sides; then the producing side waits.
            pub fn capacity(mut self, items: usize) -> Self {
                self.call.options.capacity = Some(items);
                self
            }

            /// Items that cross the border at once at the most, and that may wait on the Rust side.
            pub fn batch(mut self, items: usize) -> Self {
                self.call.batch = Some(items);
                self
            }
        }
    };
}

bounds! { StreamBuilder<T: [Plain]> }
bounds! { ByteStreamBuilder<> }
bounds! { SinkBuilder<T: [Plain], R: [Outcome<Value = R>]> }
bounds! { ByteSinkBuilder<R: [Outcome<Value = R>]> }
bounds! { TransformBuilder<T: [?Sized + TransformItem], U: [?Sized + TransformItem]> }

builder! {
    /// Opens a [`ZigStream`].
    StreamBuilder<T: [Plain]> -> ZigStream<T>;
    pub fn open(mut self) -> Result<ZigStream<T>, OpenError> {
        let library = self.call.prepare()?;
        let Call { name, args, options, batch, .. } = &mut self.call;
        let source = library.source(name, args, options, TypeDesc::of::<T>())?;
        ZigStream::from_source(source, batch.unwrap_or(DEFAULT_BATCH))
    }
}

builder! {
    /// Opens a [`ZigByteStream`].
    ByteStreamBuilder<> -> ZigByteStream;
    pub fn open(mut self) -> Result<ZigByteStream, OpenError> {
        let library = self.call.prepare()?;
        self.call.make_pool()?;
        let Call { name, args, options, batch, .. } = &mut self.call;
        let source = library.source(name, args, options, TypeDesc::BYTES)?;
        ZigByteStream::from_source(source, batch.unwrap_or(DEFAULT_BYTE_BATCH))
    }
}

/// Together they are more than a processor's own cache holds: a block that was read long enough ago
/// is cheaper to overwrite from another processor.
fn default_blocks(block_size: usize) -> usize {
    let fill = DEFAULT_BLOCKS * DEFAULT_BLOCK_SIZE / block_size.max(1);
    fill.clamp(DEFAULT_BLOCKS / 4, DEFAULT_BLOCKS)
}

impl ByteStreamBuilder {
    /// Where the chunks' memory comes from.
    ///
    /// A pool that is given here bounds all there is: a consumer that keeps all of its blocks and asks
    /// for more waits until it drops one. Without one, the stream makes itself a pool (see
    /// [`DEFAULT_BLOCKS`]) that bounds what is under way: a consumer that keeps them all and asks for
    /// more gets blocks from the heap, so that it may collect as much as it likes.
    pub fn pool(mut self, pool: BufferPool) -> Self {
        self.call.options.pool = Some(pool);
        self
    }

    /// Bytes in each block of the stream's own pool; 64 KiB unless set. A chunk is at most a block,
    /// unless one `send` was larger.
    pub fn block_size(mut self, bytes: usize) -> Self {
        self.call.block_size = bytes;
        self
    }
}

builder! {
    /// Opens a [`ZigSink`].
    SinkBuilder<T: [Plain], R: [Outcome<Value = R>]> -> ZigSink<T, R>;
    pub fn open(mut self) -> Result<ZigSink<T, R>, OpenError> {
        let library = self.call.prepare()?;
        let Call { name, args, options, batch, .. } = &mut self.call;
        let (item, result) = (TypeDesc::of::<T>(), R::desc());
        let sink = library.sink(name, args, options, item, result)?;
        ZigSink::from_sink(sink, batch.unwrap_or(DEFAULT_BATCH))
    }
}

builder! {
    /// Opens a [`ZigByteSink`].
    ByteSinkBuilder<R: [Outcome<Value = R>]> -> ZigByteSink<R>;
    pub fn open(mut self) -> Result<ZigByteSink<R>, OpenError> {
        let library = self.call.prepare()?;
        let Call { name, args, options, batch, .. } = &mut self.call;
        let (item, result) = (TypeDesc::BYTES, R::desc());
        let sink = library.sink(name, args, options, item, result)?;
        ZigByteSink::from_sink(sink, batch.unwrap_or(DEFAULT_BYTE_BATCH))
    }
}

builder! {
    /// Opens a [`ZigTransform`]. Capacity and batch are those of both directions.
    TransformBuilder<T: [?Sized + TransformItem], U: [?Sized + TransformItem]> -> ZigTransform<T, U>;
    pub fn open(mut self) -> Result<ZigTransform<T, U>, OpenError> {
        let library = self.call.prepare()?;
        let (input, output) = (T::desc(), U::desc());
        if output == TypeDesc::BYTES {
            self.call.make_pool()?;
        }
        let Call { name, args, options, batch, .. } = &mut self.call;
        let (sink, source) = library.transform(name, args, options, input, output)?;
        let batches = (batch.unwrap_or(T::BATCH), batch.unwrap_or(U::BATCH));
        ZigTransform::from_halves(sink, source, batches)
    }
}

builder! {
    /// Opens a [`ZigFuture`].
    FutureBuilder<R: [?Sized + Outcome]> -> ZigFuture<R>;
    pub fn open(mut self) -> Result<ZigFuture<R>, OpenError> {
        let library = self.call.prepare()?;
        let Call { name, args, options, .. } = &mut self.call;
        ZigFuture::from_sink(library.future(name, args, options, R::desc())?)
    }
}

/// For bytes that come out; as of a [`ByteStreamBuilder`].
impl<T: ?Sized + TransformItem> TransformBuilder<T, [u8]> {
    /// Where the chunks' memory comes from: see [`ByteStreamBuilder::pool`].
    pub fn pool(mut self, pool: BufferPool) -> Self {
        self.call.options.pool = Some(pool);
        self
    }

    /// Bytes in each block of the transform's own pool; 64 KiB unless set.
    pub fn block_size(mut self, bytes: usize) -> Self {
        self.call.block_size = bytes;
        self
    }
}
