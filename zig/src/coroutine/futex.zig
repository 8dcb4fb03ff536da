//! Who waits for a word of memory to change, fibers of all tasks and functions' threads: `std.Io`'s futex, on
//! which its mutexes, conditions, events, queues and semaphores stand.
//!
//! A waiter lies on its fiber's or thread's stack, in a queue of the bucket that its address hashes to. A bucket's
//! lock is held for a few instructions, and nothing is called under it but the counting of a reference.
//!
//! Both sides have to come through here: a thread that waits through another `std.Io` (`std.Io.Threaded`'s, say)
//! waits in the kernel, and is not woken from here, nor the other way round.

const std = @import("std");
const base = @import("base.zig");
const current = @import("current.zig");
const Fiber = @import("fiber.zig").Fiber;

/// One wait of one fiber, or of a thread.
pub const Waiter = struct {
    node: std.DoublyLinkedList.Node = .{},
    word: *const u32,
    /// None: a thread, which sleeps on `woken`.
    fiber: ?*Fiber,
    cancelable: bool,
    /// Guarded by the bucket's lock.
    queued: bool = false,
    /// A thread's: 1 once whoever woke it has let go of this waiter.
    woken: std.atomic.Value(u32) = .init(0),

    pub fn isWoken(waiter: *const Waiter) bool {
        // What came before the wake is seen by whoever was woken.
        return waiter.woken.load(.acquire) != 0;
    }

    /// Queues it, unless the word has changed already.
    pub fn enter(waiter: *Waiter, expected: u32) bool {
        const bucket = bucketOf(waiter.word);
        bucket.lock.lock();
        defer bucket.lock.unlock();
        // Under the lock, and so before or after any wake that follows a change of the word.
        if (@atomicLoad(u32, waiter.word, .seq_cst) != expected) return false;
        waiter.queued = true;
        bucket.waiters.append(&waiter.node);
        return true;
    }

    /// Takes it out. False: somebody who wakes it has.
    pub fn leave(waiter: *Waiter) bool {
        const bucket = bucketOf(waiter.word);
        bucket.lock.lock();
        defer bucket.lock.unlock();
        if (!waiter.queued) return false;
        waiter.queued = false;
        bucket.waiters.remove(&waiter.node);
        return true;
    }
};

/// Wakes up to `max` that wait for `word`, those first that came first. From any thread.
pub fn wake(word: *const u32, max: u32) void {
    const bucket = bucketOf(word);
    if (!bucket.mayHaveWaiters()) return;
    const taken = bucket.take(word, max);
    wakeThreads(taken.threads);
    var fibers = taken.fibers;
    if (fibers == null) return;
    // Those of the task that runs here are ready at once. The others' executors have to hear of it.
    const here = current.get();
    var elsewhere: ?*Fiber = null;
    while (fibers) |fiber| {
        fibers = fiber.next;
        const task = fiber.task;
        if (task == here) {
            fiber.wake(.event);
            task.callbacks.release(task);
        } else {
            fiber.next = elsewhere;
            elsewhere = fiber;
        }
    }
    if (elsewhere) |first| current.onThreadStack(first, bring);
}

fn wakeThreads(taken: std.DoublyLinkedList) void {
    var waiters = taken;
    while (waiters.popFirst()) |node| {
        const waiter: *Waiter = @fieldParentPtr("node", node);
        const word = &waiter.woken.raw;
        // Release: `isWoken`. From here on the waiter may be gone, and its memory be something else: for the
        // kernel the address is only a number, and who sleeps on it for another reason looks again.
        waiter.woken.store(1, .release);
        base.call("futexWake", .{ word, 1 });
    }
}

fn bring(first: *Fiber) void {
    var rest: ?*Fiber = first;
    // In the order they came again.
    var fibers: ?*Fiber = null;
    while (rest) |fiber| {
        rest = fiber.next;
        fiber.next = fibers;
        fibers = fiber;
    }
    while (fibers) |fiber| {
        fibers = fiber.next;
        const task = fiber.task;
        task.bring(fiber);
        // From `take`. The fiber may be gone: its task may have run to its end.
        task.callbacks.release(task);
    }
}

const Bucket = struct {
    lock: SpinLock align(std.atomic.cache_line) = .{},
    waiters: std.DoublyLinkedList = .{},

    /// A look without the lock: whoever is about to wait looks at the word after it has the lock, and so
    /// after the change that this wake follows.
    fn mayHaveWaiters(bucket: *Bucket) bool {
        // Orders the look after the caller's change of the word, as the lock would.
        return @atomicRmw(u32, &bucket.lock.state.raw, .Or, 0, .seq_cst) != 0 or
            @atomicLoad(?*std.DoublyLinkedList.Node, &bucket.waiters.first, .seq_cst) != null;
    }

    /// What was taken out of the queue.
    const Taken = struct {
        /// Linked by `next`.
        fibers: ?*Fiber = null,
        threads: std.DoublyLinkedList = .{},
    };

    /// Takes out up to `max` waiters, with a reference to the task of each fiber: once it is out of the queue,
    /// its task may run to its end as soon as anybody else lets it. A thread's waiter stays until it is woken.
    fn take(bucket: *Bucket, word: *const u32, max: u32) Taken {
        bucket.lock.lock();
        defer bucket.lock.unlock();
        var all: Taken = .{};
        var last: ?*Fiber = null;
        var taken: u32 = 0;
        var at = bucket.waiters.first;
        while (at) |node| {
            if (taken == max) break;
            at = node.next;
            const waiter: *Waiter = @fieldParentPtr("node", node);
            if (waiter.word != word) continue;
            waiter.queued = false;
            bucket.waiters.remove(node);
            taken += 1;
            const fiber = waiter.fiber orelse {
                all.threads.append(node);
                continue;
            };
            fiber.task.callbacks.retain(fiber.task);
            fiber.next = null;
            if (last) |l| l.next = fiber else all.fibers = fiber;
            last = fiber;
        }
        return all;
    }
};

const bucket_count = 1 << 8;
var buckets: [bucket_count]Bucket = @splat(.{});

fn bucketOf(word: *const u32) *Bucket {
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4).
    const hash = (@as(u64, @intFromPtr(word)) >> 2) *% 0x9e3779b97f4a7c15;
    return &buckets[@intCast(hash >> 56)];
}

const SpinLock = struct {
    state: std.atomic.Value(u32) = .init(0),

    fn lock(l: *SpinLock) void {
        var looks: u32 = 0;
        while (l.state.swap(1, .acquire) != 0) : (looks += 1) {
            // Whoever holds it may not be running.
            if (looks % 32 == 31) std.Thread.yield() catch {} else std.atomic.spinLoopHint();
        }
    }

    fn unlock(l: *SpinLock) void {
        l.state.store(0, .release);
    }
};
