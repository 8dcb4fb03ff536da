//! What `std.Io.Threaded` does as well as we could: its functions, called on the fiber's own stack when they
//! don't block, and on a thread of the host's when they may.

const std = @import("std");
const Io = std.Io;
const VTable = Io.VTable;
const abi = @import("../abi.zig");
const current = @import("current.zig");
const Fiber = @import("fiber.zig").Fiber;
const Task = @import("task.zig").Task;

/// Shared by all tasks. Without signal handlers, threads or cancelation of its own, so that nothing has to be
/// torn down; what it opens once (`/dev/null` and the like) stays open.
var threaded: Io.Threaded = .{
    .allocator = std.heap.c_allocator,
    .stack_size = Io.Threaded.init_single_threaded.stack_size,
    .async_limit = .nothing,
    .cpu_count_error = null,
    .concurrent_limit = .nothing,
    .old_sig_io = undefined,
    .old_sig_pipe = undefined,
    .have_signal_handler = false,
    .argv0 = .empty,
    .environ_initialized = true,
    .environ = .{ .process_environ = .{ .block = .empty } },
    .worker_threads = .init(null),
    .disable_memory_mapping = false,
};
const table: *const VTable = Io.Threaded.global_single_threaded.io().vtable;

const Environment = std.atomic.Value(enum(u32) { unread, reading, read });
var environment: Environment = .init(.unread);

/// For everything that may block, and so on a thread of the host's.
pub fn io() Io {
    // Not on a fiber's stack: an overflow would leave everybody waiting.
    if (environment.load(.acquire) != .read) current.onThreadStack(&environment, readEnvironment);
    return .{ .userdata = &threaded, .vtable = table };
}

/// Late, as a program sets its own variables before it starts threads; null after `clearenv`.
fn readEnvironment(state: *Environment) void {
    while (true) switch (state.load(.acquire)) {
        .read => return,
        .reading => std.Thread.yield() catch {},
        .unread => if (state.cmpxchgStrong(.unread, .reading, .acquire, .monotonic) == null) {
            const environ: *const ?[*:null]?[*:0]u8 = @ptrCast(&std.c.environ);
            if (environ.*) |variables| {
                threaded.environ.process_environ.block.slice = std.mem.span(variables);
                threaded.environ_initialized = false;
            }
            state.store(.read, .release);
        },
    };
}

fn Function(comptime name: []const u8) type {
    return @typeInfo(@FieldType(VTable, name)).pointer.child;
}

fn Result(comptime name: []const u8) type {
    return @typeInfo(Function(name)).@"fn".return_type.?;
}

/// The arguments of an entry without its `userdata`.
pub fn Arguments(comptime name: []const u8) type {
    const params = @typeInfo(Function(name)).@"fn".param_types[1..];
    var types: [params.len]type = undefined;
    for (&types, params) |*slot, T| slot.* = T.?;
    return @Tuple(&types);
}

/// Calls std's own function for an entry.
pub fn call(comptime name: []const u8, arguments: Arguments(name)) Result(name) {
    const its = io();
    return @call(.auto, @field(its.vtable, name), .{its.userdata} ++ arguments);
}

/// As `call`, on a thread of the host's, while the fiber is parked. Not a cancelation point: the arguments,
/// and the buffers that they point to, are lent until the call is over.
pub fn offload(t: *Task, comptime name: []const u8, arguments: Arguments(name)) Result(name) {
    const Call = struct {
        arguments: Arguments(name),
        result: Result(name) = undefined,

        fn run(c: *@This()) void {
            c.result = call(name, c.arguments);
        }
    };
    var c: Call = .{ .arguments = arguments };
    elsewhere(t, &c, Call.run) catch |err| return withoutThread(name, err, arguments);
    return c.result;
}

/// What an entry says when there is no thread for it. One that cannot fail is done here and now.
fn withoutThread(comptime name: []const u8, err: error{SystemResources}, arguments: Arguments(name)) Result(name) {
    const R = Result(name);
    const errors = switch (@typeInfo(R)) {
        .error_union => |u| u.error_set,
        .error_set => R,
        else => return call(name, arguments),
    };
    if (comptime hasError(errors, "SystemResources")) return err;
    if (comptime hasError(errors, "Unexpected")) return error.Unexpected;
    return call(name, arguments);
}

fn hasError(comptime Set: type, comptime wanted: []const u8) bool {
    const names = @typeInfo(Set).error_set.error_names orelse return true;
    for (names) |name| if (std.mem.eql(u8, name, wanted)) return true;
    return false;
}

/// Runs `function(context)` on a thread of the host's that may block, and parks the fiber until it is done.
pub fn elsewhere(
    t: *Task,
    context: anytype,
    comptime function: fn (@TypeOf(context)) void,
) error{SystemResources}!void {
    const Job = struct {
        task: *Task,
        fiber: *Fiber,
        context: @TypeOf(context),
        taken: bool = false,

        fn submit(job: *@This()) void {
            const task = job.task;
            // The job's own reference: the task may run to its end before the job has let go of it.
            task.callbacks.retain(task);
            const host = task.host;
            job.taken = host.vtable.offload(host, &run, job) == abi.status.ready;
            if (!job.taken) task.callbacks.release(task);
        }

        fn run(ptr: ?*anyopaque) callconv(.c) void {
            const job: *@This() = @ptrCast(@alignCast(ptr.?));
            const task = job.task;
            function(job.context);
            // After this the job, which lies on the fiber's stack, may be gone.
            task.bring(job.fiber);
            task.callbacks.release(task);
        }
    };
    const fiber = t.self();
    var job: Job = .{ .task = t, .fiber = fiber, .context = context };
    // The job may be over before `submit` returns. This fiber is not resumed until it has, and brought only
    // after it has parked, so that the job lives long enough for both.
    current.onThreadStack(&job, Job.submit);
    if (!job.taken) return error.SystemResources;
    _ = fiber.park(.completion);
}

/// An entry that is `call`.
pub fn inlined(comptime name: []const u8) @FieldType(VTable, name) {
    const A = Arguments(name);
    const R = Result(name);
    return adapt(name, struct {
        fn apply(_: ?*anyopaque, arguments: A) R {
            return call(name, arguments);
        }
    }.apply);
}

/// An entry that is `offload`, after a cancelation point if it can say so.
pub fn offloaded(comptime name: []const u8) @FieldType(VTable, name) {
    const A = Arguments(name);
    const R = Result(name);
    return adapt(name, struct {
        fn apply(userdata: ?*anyopaque, arguments: A) R {
            const t: *Task = @ptrCast(@alignCast(userdata));
            const errors = switch (@typeInfo(R)) {
                .error_union => |u| u.error_set,
                .error_set => R,
                else => error{},
            };
            if (comptime hasError(errors, "Canceled")) {
                t.self().checkCancel() catch |err| return err;
            }
            return offload(t, name, arguments);
        }
    }.apply);
}

/// A function with the entry's own parameters, which calls `apply` with them as a tuple.
fn adapt(
    comptime name: []const u8,
    comptime apply: fn (?*anyopaque, Arguments(name)) Result(name),
) @FieldType(VTable, name) {
    const R = Result(name);
    const P = @typeInfo(Function(name)).@"fn".param_types;
    return switch (P.len) {
        1 => &struct {
            fn f(u: ?*anyopaque) R {
                return apply(u, .{});
            }
        }.f,
        2 => &struct {
            fn f(u: ?*anyopaque, a: P[1].?) R {
                return apply(u, .{a});
            }
        }.f,
        3 => &struct {
            fn f(u: ?*anyopaque, a: P[1].?, b: P[2].?) R {
                return apply(u, .{ a, b });
            }
        }.f,
        4 => &struct {
            fn f(u: ?*anyopaque, a: P[1].?, b: P[2].?, c: P[3].?) R {
                return apply(u, .{ a, b, c });
            }
        }.f,
        5 => &struct {
            fn f(u: ?*anyopaque, a: P[1].?, b: P[2].?, c: P[3].?, d: P[4].?) R {
                return apply(u, .{ a, b, c, d });
            }
        }.f,
        6 => &struct {
            fn f(u: ?*anyopaque, a: P[1].?, b: P[2].?, c: P[3].?, d: P[4].?, e: P[5].?) R {
                return apply(u, .{ a, b, c, d, e });
            }
        }.f,
        else => @compileError("std.Io." ++ name ++ " has more parameters than ever before"),
    };
}
