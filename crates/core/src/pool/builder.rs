//! How a pool is configured, and what is wrong with a configuration.

use std::num::NonZeroUsize;

use super::BufferPool;
use super::storage::{Shape, Storage};
use crate::free_list::MAX_SLOTS;

/// What a pool does when every block is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Growth {
    /// Nothing: `try_acquire` returns `None`, and `acquire` waits for a block to come back.
    #[default]
    Fixed,
    /// It doubles its blocks up to this number in all; then as `Fixed`.
    UpTo(NonZeroUsize),
    /// It doubles its blocks for as long as the allocator gives memory. Blocks are reused, and freed
    /// with the pool.
    Unbounded,
}

/// Why a pool was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The block size is zero.
    #[error("a pool's block size must not be zero")]
    ZeroBlockSize,
    /// The number of blocks is zero.
    #[error("a pool must have at least one block")]
    ZeroBlocks,
    /// The alignment is not a power of two.
    #[error("a pool's alignment {align} is not a power of two")]
    Align {
        /// The alignment that was asked for.
        align: usize,
    },
    /// The growth limit is below the number of blocks to begin with.
    #[error("a pool of {blocks} blocks cannot be limited to {limit}")]
    LimitBelowBlocks {
        /// The number of blocks to begin with.
        blocks: usize,
        /// The limit that was asked for.
        limit: usize,
    },
    /// The blocks do not fit the address space.
    #[error("{blocks} blocks of {block_size} bytes are beyond the address space")]
    TooLarge {
        /// The number of blocks.
        blocks: usize,
        /// Bytes in each.
        block_size: usize,
    },
    /// The allocator has no memory for the blocks.
    #[error("out of memory for {blocks} blocks of {block_size} bytes")]
    OutOfMemory {
        /// The number of blocks.
        blocks: usize,
        /// Bytes in each.
        block_size: usize,
    },
}

/// Makes a [`BufferPool`].
#[derive(Debug, Clone, Copy)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    block_size: usize,
    blocks: usize,
    align: usize,
    growth: Growth,
}

impl PoolBuilder {
    pub(super) fn new(block_size: usize) -> Self {
        PoolBuilder { block_size, blocks: 16, align: 64, growth: Growth::Fixed }
    }

    /// Blocks to begin with; 16 unless set.
    pub fn blocks(mut self, blocks: usize) -> Self {
        self.blocks = blocks;
        self
    }

    /// Alignment of every block, in bytes, a power of two; 64 (a cache line) unless set.
    ///
    /// The distance from block to block is the block size rounded up to it.
    pub fn align(mut self, align: usize) -> Self {
        self.align = align;
        self
    }

    /// What happens when every block is in use; [`Growth::Fixed`] unless set.
    pub fn growth(mut self, growth: Growth) -> Self {
        self.growth = growth;
        self
    }

    /// Allocates the blocks. Their pages are first touched by whoever fills them.
    ///
    /// # Errors
    ///
    /// [`PoolError`] when the configuration is impossible or the allocator has no memory.
    pub fn build(self) -> Result<BufferPool, PoolError> {
        let PoolBuilder { block_size, blocks, align, growth } = self;
        if block_size == 0 {
            return Err(PoolError::ZeroBlockSize);
        }
        if blocks == 0 {
            return Err(PoolError::ZeroBlocks);
        }
        if !align.is_power_of_two() {
            return Err(PoolError::Align { align });
        }
        let too_large = PoolError::TooLarge { blocks, block_size };
        let limit = match growth {
            Growth::Fixed => blocks,
            Growth::UpTo(limit) if limit.get() < blocks => {
                return Err(PoolError::LimitBelowBlocks { blocks, limit: limit.get() });
            }
            Growth::UpTo(limit) => limit.get(),
            Growth::Unbounded => MAX_SLOTS as usize,
        };
        let limit = u32::try_from(limit).ok().filter(|&l| l <= MAX_SLOTS).ok_or(too_large)?;
        let stride = block_size.checked_next_multiple_of(align).ok_or(too_large)?;
        let shape = Shape { block_size, stride, align, first: blocks as u32, limit };
        Ok(BufferPool { handle: Storage::open(shape)? })
    }
}
