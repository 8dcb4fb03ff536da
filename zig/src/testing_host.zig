//! A host for tests of coroutines: virtual time, real readiness (edge-triggered, by epoll), threads for what
//! blocks, and a reaper that the test runs itself. Each can be made to refuse.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const testing = @import("testing.zig");
const gpa = std.testing.allocator;
const io = std.testing.io;

pub const TestHost = struct {
    handle: abi.HostHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    /// Over the time and the timers: a reaper's thread has some too, and a test looks at them and moves the time.
    mutex: std.Io.Mutex = .init,
    /// Of `abi.clock.awake`; the time of day is `epoch` more.
    time: i64 = 1_000,
    timers: std.ArrayList(*TimerTicket) = .empty,
    descriptors: std.ArrayList(*FdTicket) = .empty,
    epoll: i32 = -1,
    offload_mode: enum { thread, at_once, refused } = .thread,
    /// As long as it is closed, calls on threads wait before they begin.
    gate: std.atomic.Value(enum(u32) { open, closed }) = .init(.open),
    /// Calls under way on threads.
    jobs: std.atomic.Value(u32) = .init(0),
    refuse_descriptors: bool = false,
    /// Says now and then that a descriptor is ready when it may not be.
    fickle: ?std.Random.DefaultPrng = null,
    refuse_drive: bool = false,
    /// What another thread does while a poll asks about its timer; once.
    meanwhile: ?*const fn () void = null,
    driven: std.ArrayList(Driven) = .empty,
    /// Calls that must come from a poll, on the stack and thread that polls.
    poll_stack: usize = 0,

    pub const epoch: i64 = 1_700_000_000_000_000_000;
    const TimerTicket = struct { host: *TestHost, at: i64, waker: ?*const abi.WakerHandle };
    const FdTicket = struct { host: *TestHost, fd: i32, ready: u32 = 0, waker: ?*const abi.WakerHandle = null };
    const Driven = struct { poll: *const abi.DriveFn, state: ?*anyopaque };

    const vtable: abi.HostVTable = .{
        .header = .of(abi.HostVTable),
        .retain = &retain,
        .release = &release,
        .now = &now,
        .poll_timer = &pollTimer,
        .drop_timer = &dropTimer,
        .poll_fd = &pollFd,
        .drop_fd = &dropFd,
        .offload = &offload,
        .drive = &drive,
    };

    /// Everything was given back.
    pub fn deinit(host: *TestHost) void {
        while (host.jobs.load(.acquire) > 0 or host.references.load(.acquire) > 1) std.Thread.yield() catch {};
        std.debug.assert(host.timers.items.len == 0 and host.descriptors.items.len == 0);
        std.debug.assert(host.driven.items.len == 0);
        host.timers.deinit(gpa);
        host.descriptors.deinit(gpa);
        host.driven.deinit(gpa);
        if (host.epoll >= 0) _ = linux.close(host.epoll);
    }

    pub fn options(host: *TestHost, pool: ?*testing.TestPool) abi.OpenOptions {
        var how = testing.options(0, pool);
        how.host = &host.handle;
        return how;
    }

    /// What an executor does between polls: waits until `waker` is woken. Time jumps when nothing else
    /// can happen.
    pub fn wait(host: *TestHost, waker: *testing.TestWaker, seen: u32) void {
        const began = monotonic();
        while (waker.wakes.load(.seq_cst) == seen) {
            if (host.reportReadiness(0)) continue;
            if (host.jobs.load(.acquire) > 0 or host.descriptors.items.len > 0) {
                // Somebody else's turn: a thread of ours, or the other end of a descriptor.
                if (host.reportReadiness(1) or host.timerWaits() == 0) continue;
                // A call that lasts is one that waits for a descriptor, where the host cannot.
                const lasts = host.refuse_descriptors and monotonic() - began > 10 * std.time.ns_per_ms;
                if (host.jobs.load(.acquire) > 0 and !lasts) continue;
            }
            if (host.timerWaits() > 0) host.jump() else std.Thread.yield() catch {};
        }
    }

    /// The time that passes outside.
    fn monotonic() i64 {
        var time: linux.timespec = undefined;
        std.debug.assert(linux.errno(linux.clock_gettime(.MONOTONIC, &time)) == .SUCCESS);
        return @as(i64, time.sec) * std.time.ns_per_s + time.nsec;
    }

    /// How many tickets for timers there are.
    pub fn timerWaits(host: *TestHost) usize {
        host.mutex.lockUncancelable(io);
        defer host.mutex.unlock(io);
        return host.timers.items.len;
    }

    /// To the earliest deadline that somebody waits for, and wakes who does.
    pub fn jump(host: *TestHost) void {
        host.mutex.lockUncancelable(io);
        defer host.mutex.unlock(io);
        var earliest: ?i64 = null;
        for (host.timers.items) |ticket| {
            // Whose owner knows already, and has not polled since.
            if (ticket.waker == null) continue;
            earliest = @min(earliest orelse ticket.at, ticket.at);
        }
        host.time = @max(host.time, earliest orelse return);
        // No waker calls the host.
        for (host.timers.items) |ticket| {
            if (ticket.at <= host.time) wakeTaken(&ticket.waker);
        }
    }

    /// Runs what was dropped, to its end.
    pub fn reap(host: *TestHost) void {
        while (host.driven.pop()) |driven| {
            var waker: testing.TestWaker = .{};
            const cx = waker.context();
            while (true) {
                const seen = waker.wakes.load(.seq_cst);
                if (driven.poll(driven.state, &cx) != abi.status.pending) break;
                host.wait(&waker, seen);
            }
            waker.waitUnreferenced();
        }
    }

    fn of(handle: *const abi.HostHandle) *TestHost {
        return @alignCast(@constCast(@fieldParentPtr("handle", handle)));
    }

    fn retain(handle: *const abi.HostHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.HostHandle) callconv(.c) void {
        _ = of(handle).references.fetchSub(1, .acq_rel);
    }

    /// No call comes on a fiber's stack: those are all far away.
    fn checkStack(host: *TestHost) void {
        var here: u8 = 0;
        const distance = @max(@intFromPtr(&here), host.poll_stack) - @min(@intFromPtr(&here), host.poll_stack);
        if (host.poll_stack != 0) std.debug.assert(distance < 256 * 1024);
    }

    fn now(handle: *const abi.HostHandle, clock: u32) callconv(.c) i64 {
        const host = of(handle);
        host.checkStack();
        host.mutex.lockUncancelable(io);
        defer host.mutex.unlock(io);
        return switch (clock) {
            abi.clock.real => epoch + host.time,
            abi.clock.awake, abi.clock.boot => host.time,
            else => std.math.minInt(i64),
        };
    }

    fn pollTimer(
        handle: *const abi.HostHandle,
        slot: *?*anyopaque,
        at: i64,
        waker: *const abi.WakerHandle,
    ) callconv(.c) i32 {
        const host = of(handle);
        host.checkStack();
        if (host.meanwhile) |act| {
            host.meanwhile = null;
            act();
        }
        host.mutex.lockUncancelable(io);
        defer host.mutex.unlock(io);
        if (at <= host.time) return abi.status.ready;
        const ticket: *TimerTicket = if (slot.*) |old| @ptrCast(@alignCast(old)) else new: {
            const ticket = gpa.create(TimerTicket) catch return abi.status.failed;
            ticket.* = .{ .host = host, .at = at, .waker = waker };
            waker.vtable.retain(waker);
            host.timers.append(gpa, ticket) catch unreachable;
            slot.* = ticket;
            break :new ticket;
        };
        ticket.at = at;
        keep(&ticket.waker, waker);
        return abi.status.pending;
    }

    fn dropTimer(slot: ?*anyopaque) callconv(.c) void {
        const ticket: *TimerTicket = @ptrCast(@alignCast(slot orelse return));
        const host = ticket.host;
        host.mutex.lockUncancelable(io);
        defer host.mutex.unlock(io);
        const i = std.mem.indexOfScalar(*TimerTicket, host.timers.items, ticket).?;
        _ = host.timers.swapRemove(i);
        if (ticket.waker) |waker| waker.vtable.release(waker);
        gpa.destroy(ticket);
    }

    fn pollFd(
        handle: *const abi.HostHandle,
        slot: *?*anyopaque,
        fd: i32,
        interest: u32,
        waker: *const abi.WakerHandle,
    ) callconv(.c) i32 {
        const host = of(handle);
        host.checkStack();
        if (host.refuse_descriptors) return abi.status.failed;
        const ticket: *FdTicket = if (slot.*) |old| @ptrCast(@alignCast(old)) else new: {
            if (host.epoll < 0) host.epoll = @intCast(linux.epoll_create1(linux.EPOLL.CLOEXEC));
            const ticket = gpa.create(FdTicket) catch return abi.status.failed;
            ticket.* = .{ .host = host, .fd = fd };
            var event: linux.epoll_event = .{
                .events = linux.EPOLL.IN | linux.EPOLL.OUT | linux.EPOLL.RDHUP | linux.EPOLL.ET,
                .data = .{ .ptr = @intFromPtr(ticket) },
            };
            const rc = linux.epoll_ctl(host.epoll, linux.EPOLL.CTL_ADD, fd, &event);
            if (linux.errno(rc) != .SUCCESS) {
                gpa.destroy(ticket);
                return abi.status.failed;
            }
            host.descriptors.append(gpa, ticket) catch unreachable;
            slot.* = ticket;
            // What was so before is not reported: the caller is to try once more by itself.
            _ = host.reportReadiness(0);
            ticket.ready = 0;
            break :new ticket;
        };
        std.debug.assert(ticket.fd == fd);
        if (host.fickle) |*random| if (random.random().uintLessThan(u32, 3) == 0) return abi.status.ready;
        if (ticket.ready & interest != 0) {
            ticket.ready &= ~interest;
            return abi.status.ready;
        }
        keep(&ticket.waker, waker);
        return abi.status.pending;
    }

    /// Whether something became ready within `timeout_ms`.
    fn reportReadiness(host: *TestHost, timeout_ms: i32) bool {
        if (host.epoll < 0) return false;
        var events: [16]linux.epoll_event = undefined;
        const rc = linux.epoll_wait(host.epoll, &events, events.len, timeout_ms);
        if (linux.errno(rc) != .SUCCESS) return false;
        for (events[0..rc]) |event| {
            const ticket: *FdTicket = @ptrFromInt(event.data.ptr);
            const ends = linux.EPOLL.HUP | linux.EPOLL.ERR;
            if (event.events & (linux.EPOLL.IN | linux.EPOLL.RDHUP | ends) != 0) ticket.ready |= abi.interest.readable;
            if (event.events & (linux.EPOLL.OUT | ends) != 0) ticket.ready |= abi.interest.writable;
            wakeTaken(&ticket.waker);
        }
        return rc > 0;
    }

    fn dropFd(slot: ?*anyopaque) callconv(.c) void {
        const ticket: *FdTicket = @ptrCast(@alignCast(slot orelse return));
        const host = ticket.host;
        const i = std.mem.indexOfScalar(*FdTicket, host.descriptors.items, ticket).?;
        _ = host.descriptors.swapRemove(i);
        // Fails if the descriptor was closed before its ticket.
        const rc = linux.epoll_ctl(host.epoll, linux.EPOLL.CTL_DEL, ticket.fd, null);
        std.debug.assert(linux.errno(rc) == .SUCCESS);
        if (ticket.waker) |waker| waker.vtable.release(waker);
        gpa.destroy(ticket);
    }

    fn offload(handle: *const abi.HostHandle, job: *const abi.JobFn, ctx: ?*anyopaque) callconv(.c) i32 {
        const host = of(handle);
        host.checkStack();
        switch (host.offload_mode) {
            .refused => return abi.status.failed,
            .at_once => job(ctx),
            .thread => {
                _ = host.jobs.fetchAdd(1, .monotonic);
                const Thread = struct {
                    fn run(h: *TestHost, j: *const abi.JobFn, c: ?*anyopaque) void {
                        while (h.gate.load(.acquire) == .closed) std.Thread.yield() catch {};
                        j(c);
                        _ = h.jobs.fetchSub(1, .release);
                    }
                };
                const thread = std.Thread.spawn(.{}, Thread.run, .{ host, job, ctx }) catch return abi.status.failed;
                thread.detach();
            },
        }
        return abi.status.ready;
    }

    fn drive(handle: *const abi.HostHandle, poll: *const abi.DriveFn, state: ?*anyopaque) callconv(.c) i32 {
        const host = of(handle);
        if (host.refuse_drive) return abi.status.failed;
        host.driven.append(gpa, .{ .poll = poll, .state = state }) catch return abi.status.failed;
        return abi.status.ready;
    }

    fn keep(slot: *?*const abi.WakerHandle, waker: *const abi.WakerHandle) void {
        if (slot.* == waker) return;
        waker.vtable.retain(waker);
        if (slot.*) |old| old.vtable.release(old);
        slot.* = waker;
    }

    fn wakeTaken(slot: *?*const abi.WakerHandle) void {
        const waker = slot.* orelse return;
        slot.* = null;
        waker.vtable.wake(waker);
        waker.vtable.release(waker);
    }
};

/// A function that is run as a coroutine by a test, poll by poll.
pub fn Running(comptime Made: type, comptime Wire: type) type {
    return struct {
        const Self = @This();

        host: *TestHost,
        waker: testing.TestWaker = .{},
        handle: abi.RawHandle,
        polls: usize = 0,

        pub fn open(self: *Self, host: *TestHost, how: abi.OpenOptions, values: []const *const anyopaque) !void {
            self.* = .{ .host = host, .handle = try testing.open(Made, how, values) };
        }

        /// One poll of a source: how many items, and the status.
        pub fn poll(self: *Self, out: []Wire) struct { usize, i32 } {
            var here: u8 = 0;
            self.host.poll_stack = @intFromPtr(&here);
            defer self.host.poll_stack = 0;
            self.polls += 1;
            var n: usize = 0;
            const cx = self.waker.context();
            const status = Made.vtable.poll_batch(self.handle.state.?, &cx, @ptrCast(out.ptr), out.len, &n);
            return .{ n, status };
        }

        /// As an executor: polls until there are items, or the end.
        pub fn next(self: *Self, out: []Wire) struct { usize, i32 } {
            while (true) {
                const seen = self.waker.wakes.load(.seq_cst);
                const n, const status = self.poll(out);
                if (n > 0 or status != abi.status.pending) return .{ n, status };
                self.host.wait(&self.waker, seen);
            }
        }

        /// All items, and how it ended.
        pub fn collect(self: *Self, items: *std.ArrayList(Wire), batch: usize) !i32 {
            var out: [64]Wire = undefined;
            while (true) {
                const n, const status = self.next(out[0..batch]);
                try items.appendSlice(gpa, out[0..n]);
                if (status != abi.status.ready and status != abi.status.pending) return status;
            }
        }

        pub fn cancel(self: *Self) void {
            Made.vtable.cancel(self.handle.state.?);
        }

        /// As Rust's drop does.
        pub fn drop(self: *Self) void {
            Made.vtable.cancel(self.handle.state.?);
            self.close();
        }

        /// After the end.
        pub fn close(self: *Self) void {
            Made.vtable.release(self.handle.state.?);
            self.host.reap();
            self.waker.waitUnreferenced();
        }
    };
}
