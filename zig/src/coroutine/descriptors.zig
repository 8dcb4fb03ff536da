//! The descriptors that fibers of one task wait for.
//!
//! The host has a ticket per descriptor, for both directions, from the first wait until the descriptor is
//! closed through this task's `io` (or until the task ends). A task has one waker, so a poll asks about each
//! descriptor that is waited for.

const std = @import("std");
const gpa = @import("../heap.zig").gpa;
const abi = @import("../abi.zig");
const poison = @import("poison.zig");
const Fiber = @import("fiber.zig").Fiber;

/// One direction of one descriptor that a fiber waits for. Lies on the fiber's stack.
pub const Wait = struct {
    fd: i32,
    /// Bits of `abi.interest`.
    interest: u32,
    /// The host cannot wait for this descriptor.
    refused: bool = false,
    fiber: *Fiber = undefined,
    entry: *Entry = undefined,
    node: std.DoublyLinkedList.Node = .{},
};

const Entry = struct {
    fd: i32,
    ticket: ?*anyopaque = null,
    waits: std.DoublyLinkedList = .{},
    /// Among those that are polled.
    polled: bool = false,
    node: std.DoublyLinkedList.Node = .{},
};

pub const Descriptors = struct {
    host: *const abi.HostHandle,
    entries: std.AutoHashMapUnmanaged(i32, *Entry) = .empty,
    /// Those that somebody waits for, and some that somebody has waited for.
    polled: std.DoublyLinkedList = .{},

    /// On the polling thread's stack.
    pub fn deinit(d: *Descriptors) void {
        // Most have never had one.
        if (d.entries.size > 0) {
            var entries = d.entries.valueIterator();
            while (entries.next()) |entry| {
                d.host.vtable.drop_fd(entry.*.ticket);
                gpa.destroy(entry.*);
            }
        }
        d.entries.deinit(gpa);
        d.* = undefined;
    }

    /// Whether the host may have a ticket for it.
    pub fn knows(d: *const Descriptors, fd: i32) bool {
        return d.entries.contains(fd);
    }

    pub fn isEmpty(d: *const Descriptors) bool {
        return d.polled.first == null;
    }

    /// `fiber` is about to park for any of `waits`. Nothing is waited for on an error.
    pub fn add(d: *Descriptors, fiber: *Fiber, waits: []Wait) error{OutOfMemory}!void {
        const section: poison.Section = .begin(fiber.task);
        defer section.end();
        for (waits, 0..) |*wait, i| {
            errdefer d.forget(waits[0..i]);
            const entry = try d.entryOf(wait.fd);
            wait.fiber = fiber;
            wait.entry = entry;
            wait.refused = false;
            entry.waits.append(&wait.node);
            if (entry.polled) continue;
            entry.polled = true;
            d.polled.append(&entry.node);
        }
    }

    fn entryOf(d: *Descriptors, fd: i32) error{OutOfMemory}!*Entry {
        const place = try d.entries.getOrPut(gpa, fd);
        if (place.found_existing) return place.value_ptr.*;
        errdefer _ = d.entries.remove(fd);
        const entry = try gpa.create(Entry);
        entry.* = .{ .fd = fd };
        place.value_ptr.* = entry;
        return entry;
    }

    /// The fiber no longer waits. An entry that nobody waits for stays until the next poll.
    pub fn forget(_: *Descriptors, waits: []Wait) void {
        for (waits) |*wait| wait.entry.waits.remove(&wait.node);
    }

    /// Asks the host about each, and wakes those that can go on. Whether there was one.
    pub fn poll(d: *Descriptors, waker: *const abi.WakerHandle) bool {
        var any = false;
        var at = d.polled.first;
        while (at) |node| {
            at = node.next;
            const entry: *Entry = @alignCast(@fieldParentPtr("node", node));
            if (entry.waits.first == null) {
                entry.polled = false;
                d.polled.remove(node);
                continue;
            }
            const fresh = entry.ticket == null;
            const status = d.host.vtable.poll_fd(d.host, &entry.ticket, entry.fd, interestOf(entry), waker);
            // What happened before the first call may not be reported: try once more.
            if (status == abi.status.pending and !fresh) continue;
            any = true;
            wakeAll(d, entry, status != abi.status.ready and status != abi.status.pending);
        }
        return any;
    }

    fn interestOf(entry: *const Entry) u32 {
        var interest: u32 = 0;
        var at = entry.waits.first;
        while (at) |node| : (at = node.next) {
            const wait: *const Wait = @alignCast(@fieldParentPtr("node", node));
            interest |= wait.interest;
        }
        return interest;
    }

    fn wakeAll(d: *Descriptors, entry: *Entry, refused: bool) void {
        while (entry.waits.first) |node| {
            const wait: *Wait = @alignCast(@fieldParentPtr("node", node));
            wait.refused = refused;
            const fiber = wait.fiber;
            d.forget(fiber.waiting.descriptors);
            fiber.wake(.event);
        }
    }

    /// The descriptor is about to be closed. On the polling thread's stack.
    pub fn close(d: *Descriptors, fd: i32) void {
        const entry = (d.entries.fetchRemove(fd) orelse return).value;
        wakeAll(d, entry, true);
        if (entry.polled) d.polled.remove(&entry.node);
        d.host.vtable.drop_fd(entry.ticket);
        gpa.destroy(entry);
    }
};
