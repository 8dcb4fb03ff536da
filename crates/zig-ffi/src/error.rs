//! What can go wrong, typed.

use std::fmt;
use std::io;

use crate::abi::{self, ErrorRecord, Slice, TypeDesc};
use crate::end::EndError;
use ziggurat_core::{BufferError, PoolError};

/// How a Zig stream or sink ended, when it did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZigError {
    /// The Zig function returned an error.
    #[error(transparent)]
    Failed(Box<Failure>),
    /// The Zig function was cancelled.
    #[error("the Zig function was cancelled")]
    Canceled,
    /// The Zig function panicked, and the process lives.
    #[error(transparent)]
    Panicked(Box<Panic>),
    /// The Zig function has returned and takes no more items.
    #[error("the Zig function has returned and takes no more items")]
    Closed,
    /// The other side broke the protocol. It was cancelled, and is not called again.
    #[error("the Zig side broke the protocol")]
    Protocol(#[from] ProtocolError),
}

impl ZigError {
    /// Zig's error name, when a Zig function failed.
    pub fn name(&self) -> Option<&str> {
        match self {
            ZigError::Failed(failure) => Some(failure.name()),
            _ => None,
        }
    }

    /// Whether the stream was cancelled.
    pub fn is_canceled(&self) -> bool {
        matches!(self, ZigError::Canceled)
    }

    /// Whether the Zig function had returned before it took everything.
    pub fn is_closed(&self) -> bool {
        matches!(self, ZigError::Closed)
    }
}

/// An error that a Zig function returned.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    domain: u32,
    code: i32,
    name: Box<str>,
    message: Box<str>,
}

impl Failure {
    /// Zig's `@errorName`, as in `FileNotFound`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the function said beside the name, or `None`.
    pub fn message(&self) -> Option<&str> {
        Some(&*self.message).filter(|m| !m.is_empty())
    }

    /// Zig's error number. It is not stable from build to build: match on [`name`](Self::name).
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Whether the function never ran to its end because Ziggurat's Zig half could not run it, as
    /// when no thread could be started.
    pub fn is_runtime(&self) -> bool {
        self.domain == abi::DOMAIN_RUNTIME
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Failure");
        debug.field("name", &self.name);
        if let Some(message) = self.message() {
            debug.field("message", &message);
        }
        debug.finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "{message}: {}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl std::error::Error for Failure {}

/// A Zig panic that was contained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Zig function `{function}` panicked: {message}")]
pub struct Panic {
    /// What the panic said.
    pub message: Box<str>,
    /// The exported function that it happened in.
    pub function: Box<str>,
}

/// A rule of the ABI that the other side broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A status outside the protocol.
    #[error("unknown status {0}")]
    UnknownStatus(i32),
    /// More items than there was room for, or than were offered.
    #[error("{items} items where at most {cap} were possible")]
    TooManyItems {
        /// The count that was claimed.
        items: usize,
        /// The highest that was possible.
        cap: usize,
    },
    /// "Ready" without an item.
    #[error("ready without an item")]
    EmptyReady,
    /// "Ready for more" although items were left over.
    #[error("took {taken} of {offered} items and did not say to wait")]
    ShortReady {
        /// Items that were taken.
        taken: usize,
        /// Items that were offered.
        offered: usize,
    },
    /// A buffer that cannot be.
    #[error("an impossible buffer: {0}")]
    Buffer(#[from] BufferError),
    /// An end of a channel that cannot be used.
    #[error("an impossible end of a channel: {0}")]
    End(#[from] EndError),
}

/// Why a stream, sink or library was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A pointer that must not be null is.
    #[error("the {0} is null")]
    Null(&'static str),
    /// The table was made for another major version of the ABI.
    #[error("ABI version {found_major}.{found_minor} where {}.x is needed", abi::ABI_MAJOR)]
    AbiVersion {
        /// The major version found.
        found_major: u16,
        /// The minor version found.
        found_minor: u16,
    },
    /// The table is shorter than its version says.
    #[error("a {table} of {found} bytes where {needed} are needed")]
    TableSize {
        /// Which table.
        table: &'static str,
        /// Bytes found.
        found: u32,
        /// Bytes needed.
        needed: u32,
    },
    /// A pointer that must be aligned is not.
    #[error("the {0} is misaligned")]
    Misaligned(&'static str),
    /// The two languages disagree about the layout of a struct.
    #[error("the layout differs at {field}: {ours} here, {theirs} in Zig")]
    Layout {
        /// The struct and its field.
        field: &'static str,
        /// Rust's value.
        ours: u32,
        /// Zig's value.
        theirs: u32,
    },
    /// The library has nothing of that name and kind.
    #[error("no {kind} named `{name}`; the library has: {available}")]
    UnknownExport {
        /// "stream", "sink", "transform" or "future".
        kind: &'static str,
        /// The name asked for.
        name: Box<str>,
        /// What there is.
        available: Box<str>,
    },
    /// The item type differs between the two sides.
    #[error("the items are {found} in Zig, not {expected}")]
    ItemType {
        /// Rust's type.
        expected: TypeDesc,
        /// Zig's type.
        found: TypeDesc,
    },
    /// The type of a transform's input differs between the two sides.
    #[error("what goes in is {found} in Zig, not {expected}")]
    InputType {
        /// Rust's type.
        expected: TypeDesc,
        /// Zig's type.
        found: TypeDesc,
    },
    /// The result type differs between the two sides.
    #[error("the result is {found} in Zig, not {expected}")]
    ResultType {
        /// Rust's type.
        expected: TypeDesc,
        /// Zig's type.
        found: TypeDesc,
    },
    /// The number of arguments differs between the two sides.
    #[error("`{name}` takes {expected} arguments, not {found}")]
    ArgCount {
        /// The function.
        name: Box<str>,
        /// Zig's count.
        expected: usize,
        /// Rust's count.
        found: usize,
    },
    /// An argument's type differs between the two sides.
    #[error("argument {index} of `{name}` is {expected} in Zig, not {found}")]
    ArgType {
        /// The function.
        name: Box<str>,
        /// From 0.
        index: usize,
        /// Zig's type.
        expected: TypeDesc,
        /// Rust's type.
        found: TypeDesc,
    },
    /// A capacity or batch size of zero.
    #[error("the {0} must not be zero")]
    Zero(&'static str),
    /// There is no memory for a batch of this many items.
    #[error("no memory for a batch of {items} items")]
    BatchTooLarge {
        /// The batch size that was asked for.
        items: usize,
    },
    /// A panic of the function was to be contained, and it would not run as a coroutine: it was to get a
    /// thread, has no host, is a state machine, or the system has no coroutines.
    #[error("`{name}` would not run as a coroutine, so that its panics cannot be contained")]
    PoisonUnsupported {
        /// The function.
        name: Box<str>,
    },
    /// No buffer pool could be made.
    #[error("no buffer pool could be made")]
    Pool(#[from] PoolError),
    /// The Zig side could not make its state.
    #[error("the Zig side could not open it")]
    Failed(#[source] Box<Failure>),
    /// The Zig side broke the protocol while opening.
    #[error("the Zig side broke the protocol")]
    Protocol(#[from] ProtocolError),
}

/// A [`ZigError`] is I/O's "other" error unless its name is one of the operating system's.
impl From<ZigError> for io::Error {
    fn from(error: ZigError) -> io::Error {
        let kind = match &error {
            ZigError::Failed(failure) => kind_of(failure.name()),
            ZigError::Closed => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// The kind that Rust's standard library uses for what Zig's calls by this name.
fn kind_of(name: &str) -> io::ErrorKind {
    match name {
        "FileNotFound" => io::ErrorKind::NotFound,
        "AccessDenied" | "PermissionDenied" => io::ErrorKind::PermissionDenied,
        "PathAlreadyExists" => io::ErrorKind::AlreadyExists,
        "IsDir" => io::ErrorKind::IsADirectory,
        "NotDir" => io::ErrorKind::NotADirectory,
        "NoSpaceLeft" => io::ErrorKind::StorageFull,
        "ReadOnlyFileSystem" => io::ErrorKind::ReadOnlyFilesystem,
        "BrokenPipe" => io::ErrorKind::BrokenPipe,
        "ConnectionRefused" => io::ErrorKind::ConnectionRefused,
        "ConnectionResetByPeer" => io::ErrorKind::ConnectionReset,
        "EndOfStream" => io::ErrorKind::UnexpectedEof,
        "OutOfMemory" | "SystemResources" | "StackUnavailable" => io::ErrorKind::OutOfMemory,
        "Timeout" => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    }
}

/// Longest name or message that is taken over; more is cut.
const MAX_TEXT: usize = 64 * 1024;

/// Copies what a record points to.
///
/// # Safety
///
/// Each slice whose pointer is not null must be readable for its length (as far as [`MAX_TEXT`]).
unsafe fn text(slice: Slice) -> Box<str> {
    if slice.ptr.is_null() || slice.len == 0 {
        return "".into();
    }
    // SAFETY: readable, says the caller.
    let bytes = unsafe { std::slice::from_raw_parts(slice.ptr, slice.len.min(MAX_TEXT)) };
    String::from_utf8_lossy(bytes).into()
}

const EMPTY: Slice = Slice { ptr: std::ptr::null(), len: 0 };

impl ErrorRecord {
    /// A record that says nothing.
    pub const EMPTY: ErrorRecord =
        ErrorRecord { domain: 0, code: 0, name: EMPTY, message: EMPTY, function: EMPTY };

    /// Copies the record's texts.
    ///
    /// # Safety
    ///
    /// Each of its slices must be null or readable for its length.
    pub unsafe fn to_failure(&self) -> Box<Failure> {
        // SAFETY: passed on.
        let (name, message) = unsafe { (text(self.name), text(self.message)) };
        let name = if name.is_empty() { "Unknown".into() } else { name };
        Box::new(Failure { domain: self.domain, code: self.code, name, message })
    }

    /// Copies the record's texts as those of a panic.
    ///
    /// # Safety
    ///
    /// As for [`to_failure`](Self::to_failure).
    pub unsafe fn to_panic(&self) -> Box<Panic> {
        // SAFETY: passed on.
        unsafe { Box::new(Panic { message: text(self.message), function: text(self.function) }) }
    }
}
