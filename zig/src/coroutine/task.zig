//! One function as a coroutine: its fibers, and the poll that runs them.
//!
//! All fibers of a task (the function's own, and those that it starts through `io.async` and the like) run
//! inside `poll` only, one at a time, on the thread of whoever polls. So nothing here is shared between
//! threads but what says so: `woken_afar`, `wakeup`, `cancel_asked`, `over`.
//!
//! This is how a function runs; what it is, is none of this file's business (see `Callbacks`).

const std = @import("std");
const Io = std.Io;
const assert = std.debug.assert;
const abi = @import("../abi.zig");
const current = @import("current.zig");
const groups = @import("groups.zig");
const io_table = @import("io.zig");
const overflow = @import("overflow.zig");
const poison = @import("poison.zig");
const switching = @import("switch.zig");
const Descriptors = @import("descriptors.zig").Descriptors;
const Fiber = @import("fiber.zig").Fiber;
const Queue = @import("fiber.zig").Queue;
const Slots = @import("lane.zig").Slots;
const Timer = @import("timers.zig").Timer;
const Timers = @import("timers.zig").Timers;
const Wakeup = @import("wakeup.zig").Wakeup;

pub const Task = struct {
    callbacks: *const Callbacks,
    /// Retained.
    host: *const abi.HostHandle,
    /// What each fiber of the task gets.
    stack_size: u64,
    running: ?*Fiber = null,
    /// What the fiber that has just stopped wants done before it goes on.
    visit: ?Fiber.Visit = null,
    ready: Queue = .{},
    /// Those that wait for the hand-off's other side: all of them look again at each poll.
    pollers: Queue = .{},
    /// How many those are.
    polling: usize = 0,
    /// The only fiber, when it has filled the last poll's slice, and there is nothing else to look at: the next poll
    /// goes there at once.
    filler: ?*Fiber = null,
    /// All that are not destroyed, the function's own first.
    fibers: std.DoublyLinkedList = .{},
    /// Those of them that have not returned.
    live: usize = 0,
    root: Root = .idle,
    timers: Timers = .{},
    timer_ticket: ?*anyopaque = null,
    descriptors: Descriptors,
    /// What the rest of this poll may still do, roughly in microseconds.
    budget: u32 = 0,
    /// The hand-off's, where the function's items go. Set by that, once both are in place.
    slots: *Slots = undefined,
    /// The hand-off has something for this poll's caller, beside what is in `slots`: the poll ends when it would
    /// otherwise ask the host, or wait.
    delivered: bool = false,
    /// Polls since the host was last asked about timers and descriptors.
    polls_unasked: u8 = 0,
    /// How often a fiber was asked to end. While there is none, cancelation points are free.
    cancel_requests: usize = 0,
    /// The function has ended, for those who would ask it to.
    over: std.atomic.Value(bool) = .init(false),
    /// Somebody asks the function to end.
    cancel_asked: std.atomic.Value(bool) = .init(false),
    /// Fibers that other threads bring, the last one first, linked by `next`.
    woken_afar: std.atomic.Value(?*Fiber) = .init(null),
    wakeup: Wakeup = .{},
    panics: poison.Panics = .{},

    pub const Callbacks = struct {
        /// The exported name.
        name: []const u8,
        /// "stream", "sink".
        kind: []const u8,
        /// What the host's handle points to.
        owner: *const fn (*Task) *anyopaque,
        /// The function's body. Runs once, on a fiber.
        run: *const fn (*Task, Io) void,
        /// Adds a reference to the owner.
        retain: *const fn (*Task) void,
        /// Drops a reference to the owner; the last one frees it, this task included.
        release: *const fn (*Task) void,
        /// A panic has ended the task, as `panics.words` says. On the polling thread's stack.
        poisoned: *const fn (*Task) void,
    };

    const Root = enum {
        /// Not started.
        idle,
        /// The function has not returned.
        running,
        /// It has; fibers that it did not await may be left.
        returned,
        /// Nothing is left, or nothing ever ran.
        finished,
    };

    /// How much a poll may do before other tasks get their turn: fibers run, or operations that did not
    /// have to wait.
    const poll_budget = 128;

    pub fn init(callbacks: *const Callbacks, host: *const abi.HostHandle, stack_size: u64) Task {
        host.vtable.retain(host);
        return .{
            .callbacks = callbacks,
            .host = host,
            .stack_size = stack_size,
            .descriptors = .{ .host = host },
        };
    }

    /// No fiber is left.
    pub fn deinit(t: *Task) void {
        assert(t.fibers.first == null);
        assert(t.timer_ticket == null);
        t.wakeup.deinit();
        t.host.vtable.release(t.host);
        t.* = undefined;
    }

    pub fn started(t: *const Task) bool {
        return t.root != .idle;
    }

    /// Makes the function's fiber; the next poll runs it. A second call does nothing.
    pub fn start(t: *Task) error{ StackUnavailable, Canceled }!void {
        if (t.started()) return;
        errdefer t.root = .finished;
        if (t.cancel_asked.load(.acquire)) return error.Canceled;
        overflow.prepare();
        const fiber: *Fiber = try .create(t, .root, .{ .root = &runRoot }, &.{}, .@"1", 0, .@"1");
        t.root = .running;
        t.ready.push(fiber);
    }

    fn runRoot(t: *Task) void {
        t.callbacks.run(t, t.io());
    }

    /// The function's `Io`, for its own fibers only.
    pub fn io(t: *Task) Io {
        return .{ .userdata = t, .vtable = &io_table.vtable };
    }

    /// Nothing is left to run.
    pub fn finished(t: *const Task) bool {
        return t.root == .finished;
    }

    /// The last poll ended by waiting: whatever can help it on wakes its waker.
    pub fn waits(t: *const Task) bool {
        return t.wakeup.waits();
    }

    pub fn adopt(t: *Task, fiber: *Fiber) void {
        const section: poison.Section = .begin(t);
        defer section.end();
        t.fibers.append(&fiber.all);
        t.live += 1;
        t.filler = null;
    }

    pub fn disown(t: *Task, fiber: *Fiber) void {
        const section: poison.Section = .begin(t);
        defer section.end();
        t.fibers.remove(&fiber.all);
    }

    // The poll.

    /// A poll begins. The caller then sets up what fibers find at the hand-off, and calls `run`.
    pub inline fn begin(t: *Task, cx: *const abi.PollContext) void {
        t.wakeup.begin(cx.waker);
        t.budget = poll_budget;
        t.delivered = false;
        t.slots.clear();
    }

    /// As `begin`, when there is nothing to do but to go on with the filler. The caller then calls `runFiller`.
    pub inline fn beginAgain(t: *Task, cx: *const abi.PollContext) ?*Fiber {
        const fiber = t.filler orelse return null;
        // Whoever asks the function to end, or brings a fiber, notifies afterwards.
        if (!t.wakeup.beginAgain(cx.waker)) return null;
        t.budget = poll_budget;
        return fiber;
    }

    /// As `run`, after `beginAgain`. Whether the slice is full again; otherwise all of `run` has been done.
    pub inline fn runFiller(t: *Task, slots: *Slots, fiber: *Fiber) bool {
        const outer = current.swap(t);
        defer _ = current.swap(outer);
        overflow.prepareThread();
        t.running = fiber;
        switching.switchTo(&slots.poll_context, slots.full_context);
        t.running = null;
        // Still the filler, unless it has started others.
        if (slots.full and t.filler != null) return true;
        t.filler = null;
        t.goOn(fiber);
        return false;
    }

    /// Runs fibers until the hand-off has a delivery, nothing is left, or nothing can run: then the waker
    /// is going to be woken.
    pub fn run(t: *Task) void {
        const outer = current.swap(t);
        defer _ = current.swap(outer);
        overflow.prepareThread();
        // Before those that a loop of ready fibers would keep from ever being asked about.
        if (t.polls_unasked >= 8) _ = t.askHost();
        t.polls_unasked +|= 1;
        if (t.filler) |fiber| {
            t.filler = null;
            fiber.context = t.slots.full_context;
            t.ready.push(fiber);
        }
        t.lookAgain();
        t.goOn(null);
    }

    /// At what comes with a notification and nothing else: a request to end, or a change at the hand-off.
    fn lookAgain(t: *Task) void {
        t.deliverCancel();
        while (t.pollers.pop()) |fiber| fiber.wake(.event);
    }

    /// The rest of a poll, after `first` has stopped.
    noinline fn goOn(t: *Task, first: ?*Fiber) void {
        var stopped = first;
        while (true) {
            const fiber = stopped orelse next: {
                t.takeWoken();
                const fiber = t.ready.pop() orelse {
                    if (t.hasDelivery() or t.finished()) return;
                    if (t.askHost()) continue;
                    if (t.wakeup.wait()) return;
                    t.lookAgain();
                    continue;
                };
                t.budget -|= 1;
                t.enter(fiber);
                break :next fiber;
            };
            stopped = null;
            t.makeVisits(fiber);
            if (t.slots.full) return t.keepForPoll(fiber);
            if (fiber.done) {
                t.reap(fiber);
                // After a panic, too, whoever else has been brought meanwhile.
                if (t.finished()) return;
            }
            if (t.budget > 0) continue;
            if (t.hasDelivery() or t.finished()) return;
            // Another poll is certain to come, so that nobody need be notified until then.
            const waker = t.wakeup.waker.?;
            return waker.vtable.wake(waker);
        }
    }

    fn hasDelivery(t: *const Task) bool {
        return t.delivered or !t.slots.isEmpty();
    }

    /// Runs `fiber` until it stops.
    inline fn enter(t: *Task, fiber: *Fiber) void {
        t.running = fiber;
        switching.switchTo(&t.slots.poll_context, fiber.context);
        t.running = null;
    }

    /// `fiber` has stopped in `pauseFull`.
    fn keepForPoll(t: *Task, fiber: *Fiber) void {
        fiber.context = t.slots.full_context;
        // It has neither timer nor descriptor, but the host may still know of one.
        if (t.live == 1 and t.cancel_requests == 0 and t.timer_ticket == null and t.descriptors.isEmpty()) {
            t.filler = fiber;
            return;
        }
        fiber.waiting = .poll;
        t.pollers.push(fiber);
    }

    /// Until `fiber` has stopped for good.
    fn makeVisits(t: *Task, fiber: *Fiber) void {
        while (t.visit) |call| {
            t.visit = null;
            call.function(call.context);
            t.enter(fiber);
        }
    }

    /// `fiber` has returned, or has ended the task by a panic.
    fn reap(t: *Task, fiber: *Fiber) void {
        if (t.panics.words != null) return poison.bury(t);
        t.live -= 1;
        switch (fiber.kind) {
            .root => {
                t.root = .returned;
                t.cancelOrphans();
            },
            .future => if (fiber.awaiter) |awaiter| awaiter.wake(.event),
            .member => {
                groups.finish(fiber);
                fiber.destroy();
            },
        }
        if (t.root == .returned and t.live == 0) t.finish();
    }

    /// std demands that a function awaits or cancels whatever it started. What one has forgotten is
    /// cancelled; the function's stack stays until it has ended.
    fn cancelOrphans(t: *Task) void {
        var at = t.fibers.first;
        while (at) |node| : (at = node.next) {
            const fiber: *Fiber = @alignCast(@fieldParentPtr("all", node));
            if (!fiber.done) fiber.requestCancel();
        }
    }

    fn finish(t: *Task) void {
        while (t.fibers.first) |node| {
            const fiber: *Fiber = @alignCast(@fieldParentPtr("all", node));
            fiber.destroy();
        }
        t.dropTickets();
        t.root = .finished;
        t.over.store(true, .monotonic);
    }

    /// Nobody waits any more, also if the handle stays. On the polling thread's stack.
    pub fn dropTickets(t: *Task) void {
        if (t.timer_ticket) |ticket| t.host.vtable.drop_timer(ticket);
        t.timer_ticket = null;
        t.descriptors.deinit();
        t.descriptors = .{ .host = t.host };
    }

    /// Asks the host about deadlines and descriptors. Whether a fiber can run because of it.
    fn askHost(t: *Task) bool {
        t.polls_unasked = 0;
        var any = false;
        const waker = t.wakeup.waker.?;
        if (!t.descriptors.isEmpty() and t.descriptors.poll(waker)) any = true;
        const at = t.timers.earliest() orelse {
            // A timer that nobody waits for would wake the task, and move a test's clock, for nothing.
            if (t.timer_ticket) |ticket| {
                t.timer_ticket = null;
                t.host.vtable.drop_timer(ticket);
            }
            return any;
        };
        // A host that keeps time no more says neither: then nobody waits any longer.
        if (t.host.vtable.poll_timer(t.host, &t.timer_ticket, at, waker) == abi.status.pending) return any;
        const time = @max(at, t.host.vtable.now(t.host, abi.clock.awake));
        while (t.timers.popDue(time)) |timer| {
            const fiber: *Fiber = @alignCast(@fieldParentPtr("timer", timer));
            fiber.interrupt(.timeout);
        }
        return true;
    }

    fn takeWoken(t: *Task) void {
        if (t.woken_afar.load(.monotonic) == null) return;
        var fibers = t.woken_afar.swap(null, .seq_cst);
        // The last one came first.
        var rest: ?*Fiber = null;
        while (fibers) |fiber| {
            fibers = fiber.next;
            fiber.next = rest;
            rest = fiber;
        }
        while (rest) |fiber| {
            rest = fiber.next;
            fiber.wake(.event);
        }
    }

    /// From any thread, with a reference to the owner: what `fiber` waits for has come.
    pub fn bring(t: *Task, fiber: *Fiber) void {
        var last = t.woken_afar.load(.monotonic);
        while (true) {
            fiber.next = last;
            last = t.woken_afar.cmpxchgWeak(last, fiber, .seq_cst, .monotonic) orelse break;
        }
        t.wakeup.notify();
    }

    /// From any thread, with a reference to the owner: those that wait for the hand-off look again.
    pub fn unpark(t: *Task) void {
        t.wakeup.notify();
    }

    // The end.

    /// Asks the function to end. Idempotent, from any thread with a reference to the owner, never blocks.
    pub fn cancel(t: *Task) void {
        // Monotonic: it hides nothing and shows nothing, as there is no one left to ask. Not seen, it is asked in vain.
        if (t.over.load(.monotonic)) return;
        if (t.cancel_asked.swap(true, .seq_cst)) return;
        t.wakeup.notify();
    }

    /// Whether the function is to end. Then its hand-off takes and gives nothing more.
    pub fn isCanceled(t: *const Task) bool {
        return t.cancel_asked.load(.monotonic);
    }

    fn deliverCancel(t: *Task) void {
        if (!t.cancel_asked.load(.acquire) or t.root != .running) return;
        const root: *Fiber = @alignCast(@fieldParentPtr("all", t.fibers.first.?));
        root.requestCancel();
    }

    // What fibers do.

    /// The fiber that makes this call.
    pub inline fn self(t: *Task) *Fiber {
        return t.running.?; // a coroutine's `io` was used outside of its own fibers
    }

    /// The running fiber has done something without waiting. Now and then it lets others run: a loop of such
    /// things would keep the executor's thread.
    pub inline fn spend(t: *Task) void {
        t.budget -|= 1;
        if (t.budget == 0) t.self().yield();
    }

    /// As a cancelation point of the hand-off's, which also says so whenever the other side is gone.
    pub fn checkCancel(t: *Task) Io.Cancelable!void {
        const fiber = t.self();
        try fiber.checkCancel();
        if (!t.isCanceled()) return;
        // A protection cannot help: nothing will ever come, or be taken.
        fiber.cancel = .delivered;
        return error.Canceled;
    }

    /// Until the next poll. Not a cancelation point.
    pub fn pauseForPoll(t: *Task) void {
        const fiber = t.self();
        t.pollers.push(fiber);
        t.polling += 1;
        defer t.polling -= 1;
        _ = fiber.park(.poll);
    }

    /// As `Runner.wait`: until `isReady(context)`, which the other side's polls may change. A cancelation
    /// point, as long as it waits.
    pub fn wait(t: *Task, context: anytype, comptime isReady: fn (@TypeOf(context)) bool) Io.Cancelable!void {
        while (!isReady(context)) {
            try t.checkCancel();
            t.pauseForPoll();
        }
    }

    /// The time of the timers' clock.
    pub fn now(t: *Task) i64 {
        return t.clock(abi.clock.awake);
    }

    pub fn clock(t: *Task, which: u32) i64 {
        const Reading = struct { host: *const abi.HostHandle, which: u32, result: i64 };
        var reading: Reading = .{ .host = t.host, .which = which, .result = undefined };
        current.onThreadStack(&reading, struct {
            fn read(r: *Reading) void {
                r.result = r.host.vtable.now(r.host, r.which);
            }
        }.read);
        return reading.result;
    }

    /// Before parking: the running fiber is woken at `deadline` if nothing else wakes it.
    pub fn arm(t: *Task, deadline: i64) void {
        t.timers.insert(&t.self().timer, deadline);
    }
};
