//! What a stack overflow in a coroutine does: a fault in the guard below its stack becomes a message that names
//! the function, and the process ends; or a panic of the coroutine's, where those are contained. Any other fault is
//! passed on to whoever handled it before.
//!
//! The handler needs a stack that has not overflowed. Rust's runtime gives one to each of its threads; a thread
//! that polls and has none gets one here, for the rest of its life.

const std = @import("std");
const builtin = @import("builtin");
const posix = std.posix;
const linux = std.os.linux;
const current = @import("current.zig");
const panic = @import("../panic.zig");
const poison = @import("poison.zig");

var installed: std.atomic.Value(enum(u32) { no, installing, yes }) = .init(.no);
var before: posix.Sigaction = undefined;

/// Installs the handler, once. Before the first coroutine starts.
pub fn prepare() void {
    if (installed.load(.acquire) == .yes) return;
    if (installed.cmpxchgStrong(.no, .installing, .acquire, .monotonic) != null) return;
    var action: posix.Sigaction = .{
        .handler = .{ .sigaction = &onFault },
        .mask = posix.sigemptyset(),
        .flags = posix.SA.SIGINFO | posix.SA.ONSTACK,
    };
    findOurCode();
    // What to pass other faults on to is known before there can be one.
    posix.sigaction(.SEGV, null, &before);
    posix.sigaction(.SEGV, &action, null);
    installed.store(.yes, .release);
}

/// Whether this thread is known to have a stack for signals. For a poll's own code: see `current`.
threadlocal var has_signal_stack: bool = false;

/// At each poll: makes sure that the handler has a stack on this thread.
pub inline fn prepareThread() void {
    if (!has_signal_stack) makeSignalStack();
}

const signal_stack_size = 32 * 1024;

noinline fn makeSignalStack() void {
    @branchHint(.cold);
    has_signal_stack = true;
    var present: linux.stack_t = undefined;
    if (linux.errno(linux.sigaltstack(null, &present)) != .SUCCESS) return;
    if (present.flags & linux.SS.DISABLE == 0) return;
    // Kept as long as the thread lives, which has no hook for its end here: threads that poll are few.
    const memory = std.heap.c_allocator.alignedAlloc(u8, .@"16", signal_stack_size) catch return;
    var stack: linux.stack_t = .{ .sp = memory.ptr, .flags = 0, .size = memory.len };
    _ = linux.sigaltstack(&stack, null);
}

fn onFault(signal: posix.SIG, info: *const posix.siginfo_t, context: ?*anyopaque) callconv(.c) void {
    const address = @intFromPtr(info.fields.sigfault.addr);
    if (current.get()) |task| if (task.running) |fiber| {
        if (fiber.stack.guards(address)) {
            if (poison.containOverflow(task, fiber, @ptrCast(@alignCast(context.?)))) return;
            panic.die("stack overflow");
        }
    };
    passOn(signal, info, context);
}

fn passOn(signal: posix.SIG, info: *const posix.siginfo_t, context: ?*anyopaque) void {
    if (before.flags & posix.SA.SIGINFO != 0) {
        if (before.handler.sigaction) |handler| return handler(signal, info, context);
    } else if (before.handler.handler) |handler| {
        if (handler != posix.SIG.DFL and handler != posix.SIG.IGN) return handler(signal);
    }
    // On return the access faults again, and ends the process as it would have without us.
    const default: posix.Sigaction = .{
        .handler = .{ .handler = posix.SIG.DFL },
        .mask = posix.sigemptyset(),
        .flags = 0,
    };
    posix.sigaction(.SEGV, &default, null);
}

/// Where the machine code of the program or library lies that this is a part of.
var our_code: struct { start: usize = 0, end: usize = 0 } = .{};

fn findOurCode() void {
    _ = std.c.dl_iterate_phdr(struct {
        fn look(info: *std.c.dl_phdr_info, _: usize, _: ?*anyopaque) callconv(.c) c_int {
            const here = @intFromPtr(&onFault);
            for (info.phdr[0..info.phnum]) |segment| {
                if (segment.type != .LOAD or !segment.flags.X) continue;
                const start = info.addr + segment.vaddr;
                if (here < start or here >= start + segment.memsz) continue;
                our_code = .{ .start = start, .end = start + segment.memsz };
                return 1;
            }
            return 0;
        }
    }.look, null);
}

/// Whether an address is in the same program or library as this. What is elsewhere may hold locks of the
/// process's, such as the C library's allocator.
pub fn isOurCode(address: usize) bool {
    return address >= our_code.start and address < our_code.end;
}

/// What the kernel passes to a signal handler as its third argument, as far as it is needed: what the thread goes
/// on with when the handler returns.
pub const SignalContext = extern struct {
    flags: usize,
    link: ?*anyopaque,
    stack: linux.stack_t,
    machine: switch (builtin.cpu.arch) {
        .x86_64 => extern struct {
            r8_to_r15: [8]usize,
            rdi: usize,
            rsi_rbp_rbx_rdx_rax_rcx: [6]usize,
            rsp: usize,
            rip: usize,
            eflags: usize,
        },
        .aarch64 => extern struct {
            signal_mask: [128]u8,
            fault_address: u64 align(16),
            x: [31]u64,
            sp: u64,
            pc: u64,
        },
        .riscv64 => extern struct {
            signal_mask: [128]u8,
            pc: usize align(16),
            ra_sp_gp_tp: [4]usize,
            t0_t1_t2_s0_s1: [5]usize,
            a0: usize,
        },
        else => extern struct {},
    },

    pub fn programCounter(context: *const SignalContext) usize {
        return switch (builtin.cpu.arch) {
            .x86_64 => context.machine.rip,
            .aarch64, .riscv64 => context.machine.pc,
            else => unreachable,
        };
    }

    /// Makes the thread go on with `function(argument)`, on a stack that ends at `top`.
    pub fn callOn(
        context: *SignalContext,
        top: [*]u8,
        function: *const fn (*anyopaque) callconv(.c) noreturn,
        argument: *anyopaque,
    ) void {
        const machine = &context.machine;
        const end = std.mem.alignBackward(usize, @intFromPtr(top), 16);
        switch (builtin.cpu.arch) {
            .x86_64 => {
                // As if it had been called, by nobody.
                machine.rsp = end - 8;
                @as(*usize, @ptrFromInt(machine.rsp)).* = 0;
                machine.rip = @intFromPtr(function);
                machine.rdi = @intFromPtr(argument);
                // The calling convention wants strings to go forwards.
                machine.eflags &= ~@as(usize, 1 << 10);
            },
            .aarch64 => {
                machine.sp = end;
                machine.pc = @intFromPtr(function);
                machine.x[0] = @intFromPtr(argument);
                machine.x[29] = 0;
                machine.x[30] = 0;
            },
            .riscv64 => {
                machine.ra_sp_gp_tp[0] = 0;
                machine.ra_sp_gp_tp[1] = end;
                machine.pc = @intFromPtr(function);
                machine.a0 = @intFromPtr(argument);
            },
            else => unreachable,
        }
    }
};
