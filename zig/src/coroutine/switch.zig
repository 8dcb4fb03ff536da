//! The context switch: what makes one stack stop and another one go on.
//!
//! A suspended context is a stack pointer; everything else that has to survive lies on that stack. (std's
//! `Io.fiber.contextSwitch` is not used: optimised builds miscompile it, as its in-and-out register is listed as a
//! clobber as well.) There are two forms:
//!
//! - Called: an ordinary call to the compiler, of a function that it cannot see into and that saves what a
//!   called function must keep.
//! - Inlined, where every register that the compiler may use can be named as a clobber. It makes no call and no
//!   return. A processor predicts returns by the calls before them, whatever stack they are on: a switch that
//!   returns is mispredicted, and so is each return after it, as far up as the two stacks differ. That costs many
//!   times what the switch does.
//!
//! Rounding modes and other control bits of the floating-point unit are not switched: they are the thread's,
//! and neither language's code changes them.

const std = @import("std");
const builtin = @import("builtin");

/// Whether this file knows the processor, and the calling convention of the system on it.
pub const supported = builtin.os.tag == .linux and !builtin.single_threaded and switch (builtin.cpu.arch) {
    .x86_64 => builtin.abi != .gnux32 and builtin.abi != .muslx32,
    .aarch64 => true,
    // The saved registers are those of the hard-float convention.
    .riscv64 => builtin.cpu.has(.riscv, .d),
    else => false,
};

/// A suspended context.
pub const Context = *anyopaque;

const SwitchFn = fn (from: *Context, to: Context) callconv(.c) void;

/// Which form. With AVX-512 there are mask registers, and with APX more general ones, that Zig has no names for.
const inlined = builtin.cpu.arch == .x86_64 and
    !builtin.cpu.has(.x86, .avx512f) and !builtin.cpu.has(.x86, .egpr);

/// Suspends the caller into `from.*`, and goes on at `to`. Returns when somebody goes on at `from.*`,
/// perhaps on another thread.
pub inline fn switchTo(from: *Context, to: Context) void {
    if (inlined) return switchInline(from, to);
    // The address comes out of an assembly that the optimiser cannot see through: a direct call would be one
    // with another signature than the naked function has.
    const function: *const SwitchFn = @ptrFromInt(asm (""
        : [out] "=r" (-> usize),
        : [in] "0" (@intFromPtr(&switchNaked)),
    ));
    function(from, to);
}

inline fn switchInline(from: *Context, to: Context) void {
    // Inputs that the other side overwrites, and so outputs as well.
    var from_after: usize = undefined;
    var to_after: usize = undefined;
    // What the compiler keeps below the stack pointer stays where it is. It may address by `rbp` or `rbx` what
    // cannot be found otherwise, so that those are saved here and not by it.
    asm volatile (
        \\ leaq 0f(%%rip), %%rax
        \\ leaq -160(%%rsp), %%rsp
        \\ movq %%rbp, 0(%%rsp)
        \\ movq %%rbx, 8(%%rsp)
        \\ movq %%rax, 16(%%rsp)
        \\ movq %%rsp, (%%rdi)
        \\ movq 0(%%rsi), %%rbp
        \\ movq 8(%%rsi), %%rbx
        \\ movq 16(%%rsi), %%rax
        \\ leaq 160(%%rsi), %%rsp
        \\ jmpq *%%rax
        \\0:
        : [from_after] "={rdi}" (from_after),
          [to_after] "={rsi}" (to_after),
        : [from] "{rdi}" (from),
          [to] "{rsi}" (to),
        : clobbers);
}

const clobbers: std.lang.assembly.Clobbers = .{
    .rax = true,
    .rcx = true,
    .rdx = true,
    .r8 = true,
    .r9 = true,
    .r10 = true,
    .r11 = true,
    .r12 = true,
    .r13 = true,
    .r14 = true,
    .r15 = true,
    .zmm0 = true,
    .zmm1 = true,
    .zmm2 = true,
    .zmm3 = true,
    .zmm4 = true,
    .zmm5 = true,
    .zmm6 = true,
    .zmm7 = true,
    .zmm8 = true,
    .zmm9 = true,
    .zmm10 = true,
    .zmm11 = true,
    .zmm12 = true,
    .zmm13 = true,
    .zmm14 = true,
    .zmm15 = true,
    .mm0 = true,
    .mm1 = true,
    .mm2 = true,
    .mm3 = true,
    .mm4 = true,
    .mm5 = true,
    .mm6 = true,
    .mm7 = true,
    .fpsr = true,
    .rflags = true,
    .dirflag = true,
    .memory = true,
};

/// A context that begins with `main(argument)` on an empty stack that ends at `top`. `main` must not return.
pub fn prepare(
    top: [*]align(16) u8,
    main: *const fn (*anyopaque) callconv(.c) noreturn,
    argument: *anyopaque,
) Context {
    const frame: *Frame = @ptrCast(@alignCast(top - @sizeOf(Frame)));
    frame.* = .init(main, argument);
    return frame;
}

/// What a switch finds on a stack.
const Frame = switch (builtin.cpu.arch) {
    .x86_64 => if (inlined) extern struct {
        /// Zero ends a walk along frame pointers.
        rbp: usize = 0,
        rbx: usize,
        rip: usize,
        unused: usize = 0,
        /// Below the stack pointer of what goes on.
        red_zone: [128]u8 = @splat(0),
        main: usize,
        /// Keeps the alignment, and ends a walk up the stack.
        end: [2]usize = @splat(0),

        fn init(main: *const fn (*anyopaque) callconv(.c) noreturn, argument: *anyopaque) @This() {
            return .{
                .rbx = @intFromPtr(argument),
                .rip = @intFromPtr(&beginNaked),
                .main = @intFromPtr(main),
            };
        }
    } else extern struct {
        /// Zero ends a walk along frame pointers.
        rbp: usize = 0,
        rbx: usize = 0,
        r12: usize,
        r13: usize,
        r14: usize = 0,
        r15: usize = 0,
        return_address: usize,
        /// Keeps the alignment, and ends a walk up the stack.
        end: [2]usize = @splat(0),

        fn init(main: *const fn (*anyopaque) callconv(.c) noreturn, argument: *anyopaque) @This() {
            return .{
                .r13 = @intFromPtr(main),
                .r12 = @intFromPtr(argument),
                .return_address = @intFromPtr(&beginNaked),
            };
        }
    },
    .aarch64 => extern struct {
        x19: usize,
        x20: usize,
        x21_to_x28: [8]usize = @splat(0),
        fp: usize = 0,
        lr: usize,
        d8_to_d15: [8]u64 = @splat(0),

        fn init(main: *const fn (*anyopaque) callconv(.c) noreturn, argument: *anyopaque) @This() {
            return .{
                .x19 = @intFromPtr(argument),
                .x20 = @intFromPtr(main),
                .lr = @intFromPtr(&beginNaked),
            };
        }
    },
    .riscv64 => extern struct {
        ra: usize,
        s0: usize = 0,
        s1: usize,
        s2: usize,
        s3_to_s11: [9]usize = @splat(0),
        fs0_to_fs11: [12]u64 = @splat(0),
        padding: usize = 0,

        fn init(main: *const fn (*anyopaque) callconv(.c) noreturn, argument: *anyopaque) @This() {
            return .{
                .ra = @intFromPtr(&beginNaked),
                .s1 = @intFromPtr(argument),
                .s2 = @intFromPtr(main),
            };
        }
    },
    else => unreachable,
};

fn switchNaked() callconv(.naked) void {
    switch (builtin.cpu.arch) {
        .x86_64 => asm volatile (
            \\ leaq -48(%%rsp), %%rsp
            \\ movq %%rbp, 0(%%rsp)
            \\ movq %%rbx, 8(%%rsp)
            \\ movq %%r12, 16(%%rsp)
            \\ movq %%r13, 24(%%rsp)
            \\ movq %%r14, 32(%%rsp)
            \\ movq %%r15, 40(%%rsp)
            \\ movq %%rsp, (%%rdi)
            \\ movq 0(%%rsi), %%rbp
            \\ movq 8(%%rsi), %%rbx
            \\ movq 16(%%rsi), %%r12
            \\ movq 24(%%rsi), %%r13
            \\ movq 32(%%rsi), %%r14
            \\ movq 40(%%rsi), %%r15
            \\ movq 48(%%rsi), %%rax
            \\ leaq 56(%%rsi), %%rsp
            \\ jmpq *%%rax
        ),
        // x18 belongs to the platform, and stays.
        .aarch64 => asm volatile (
            \\ sub sp, sp, #160
            \\ stp x19, x20, [sp, #0]
            \\ stp x21, x22, [sp, #16]
            \\ stp x23, x24, [sp, #32]
            \\ stp x25, x26, [sp, #48]
            \\ stp x27, x28, [sp, #64]
            \\ stp x29, x30, [sp, #80]
            \\ stp d8, d9, [sp, #96]
            \\ stp d10, d11, [sp, #112]
            \\ stp d12, d13, [sp, #128]
            \\ stp d14, d15, [sp, #144]
            \\ mov x9, sp
            \\ str x9, [x0]
            \\ mov sp, x1
            \\ ldp x19, x20, [sp, #0]
            \\ ldp x21, x22, [sp, #16]
            \\ ldp x23, x24, [sp, #32]
            \\ ldp x25, x26, [sp, #48]
            \\ ldp x27, x28, [sp, #64]
            \\ ldp x29, x30, [sp, #80]
            \\ ldp d8, d9, [sp, #96]
            \\ ldp d10, d11, [sp, #112]
            \\ ldp d12, d13, [sp, #128]
            \\ ldp d14, d15, [sp, #144]
            \\ add sp, sp, #160
            \\ ret
        ),
        .riscv64 => asm volatile (
            \\ addi sp, sp, -208
            \\ sd ra, 0(sp)
            \\ sd s0, 8(sp)
            \\ sd s1, 16(sp)
            \\ sd s2, 24(sp)
            \\ sd s3, 32(sp)
            \\ sd s4, 40(sp)
            \\ sd s5, 48(sp)
            \\ sd s6, 56(sp)
            \\ sd s7, 64(sp)
            \\ sd s8, 72(sp)
            \\ sd s9, 80(sp)
            \\ sd s10, 88(sp)
            \\ sd s11, 96(sp)
            \\ fsd fs0, 104(sp)
            \\ fsd fs1, 112(sp)
            \\ fsd fs2, 120(sp)
            \\ fsd fs3, 128(sp)
            \\ fsd fs4, 136(sp)
            \\ fsd fs5, 144(sp)
            \\ fsd fs6, 152(sp)
            \\ fsd fs7, 160(sp)
            \\ fsd fs8, 168(sp)
            \\ fsd fs9, 176(sp)
            \\ fsd fs10, 184(sp)
            \\ fsd fs11, 192(sp)
            \\ sd sp, 0(a0)
            \\ mv sp, a1
            \\ ld ra, 0(sp)
            \\ ld s0, 8(sp)
            \\ ld s1, 16(sp)
            \\ ld s2, 24(sp)
            \\ ld s3, 32(sp)
            \\ ld s4, 40(sp)
            \\ ld s5, 48(sp)
            \\ ld s6, 56(sp)
            \\ ld s7, 64(sp)
            \\ ld s8, 72(sp)
            \\ ld s9, 80(sp)
            \\ ld s10, 88(sp)
            \\ ld s11, 96(sp)
            \\ fld fs0, 104(sp)
            \\ fld fs1, 112(sp)
            \\ fld fs2, 120(sp)
            \\ fld fs3, 128(sp)
            \\ fld fs4, 136(sp)
            \\ fld fs5, 144(sp)
            \\ fld fs6, 152(sp)
            \\ fld fs7, 160(sp)
            \\ fld fs8, 168(sp)
            \\ fld fs9, 176(sp)
            \\ fld fs10, 184(sp)
            \\ fld fs11, 192(sp)
            \\ addi sp, sp, 208
            \\ ret
        ),
        else => unreachable,
    }
}

/// The first thing on a new stack: calls `main(argument)`, with nothing to return to.
fn beginNaked() callconv(.naked) void {
    switch (builtin.cpu.arch) {
        .x86_64 => if (inlined) asm volatile (
            \\ popq %%rax
            \\ movq %%rbx, %%rdi
            \\ callq *%%rax
            \\ ud2
        ) else asm volatile (
            \\ movq %%r12, %%rdi
            \\ callq *%%r13
            \\ ud2
        ),
        .aarch64 => asm volatile (
            \\ mov x0, x19
            \\ mov x30, #0
            \\ br x20
        ),
        .riscv64 => asm volatile (
            \\ mv a0, s1
            \\ mv ra, zero
            \\ jr s2
        ),
        else => unreachable,
    }
}

comptime {
    if (supported) switch (builtin.cpu.arch) {
        // As `beginNaked` calls, the stack pointer is a multiple of 16.
        .x86_64 => std.debug.assert((@sizeOf(Frame) - @offsetOf(Frame, "end")) % 16 == 0),
        .aarch64 => std.debug.assert(@sizeOf(Frame) == 160),
        .riscv64 => std.debug.assert(@sizeOf(Frame) == 208),
        else => unreachable,
    };
}

const TestPair = struct {
    main: Context = undefined,
    other: Context = undefined,
    turns: u64 = 0,
    sum: f64 = 0,
    aligned: bool = false,

    fn run(argument: *anyopaque) callconv(.c) noreturn {
        const pair: *TestPair = @ptrCast(@alignCast(argument));
        const on_stack: u128 align(16) = 7;
        // Not as the compiler thinks it is: as it is.
        const address = asm volatile (""
            : [out] "=r" (-> usize),
            : [in] "0" (@intFromPtr(&on_stack)),
        );
        pair.aligned = address % 16 == 0;
        // Values that live across switches, in as many registers as there are.
        var numbers: [12]u64 = undefined;
        var floats: [12]f64 = undefined;
        for (&numbers, &floats, 1..) |*n, *f, i| {
            n.* = i * 1000;
            f.* = @floatFromInt(i);
        }
        while (true) {
            inline for (&numbers, &floats) |*n, *f| {
                n.* +%= 1;
                f.* += 0.5;
            }
            pair.turns += 1;
            switchTo(&pair.other, pair.main);
            var total: f64 = 0;
            inline for (numbers, floats, 1..) |n, f, i| {
                std.debug.assert(n == i * 1000 + pair.turns);
                total += f;
            }
            pair.sum = total;
        }
    }
};

test "two contexts take turns, and each finds its registers as it left them" {
    if (!supported) return error.SkipZigTest;
    const stack = try std.testing.allocator.alignedAlloc(u8, .@"16", 64 * 1024);
    defer std.testing.allocator.free(stack);
    var pair: TestPair = .{};
    pair.other = prepare(@alignCast(stack.ptr + stack.len), &TestPair.run, &pair);
    var mine: [12]u64 = undefined;
    var mine_floats: [12]f64 = undefined;
    for (&mine, &mine_floats, 0..) |*n, *f, i| {
        n.* = i;
        f.* = @floatFromInt(i);
    }
    for (1..1001) |turn| {
        switchTo(&pair.main, pair.other);
        try std.testing.expectEqual(turn, pair.turns);
        inline for (&mine, &mine_floats, 0..) |*n, *f, i| {
            try std.testing.expectEqual(i + turn - 1, n.*);
            n.* += 1;
            try std.testing.expectEqual(@as(f64, @floatFromInt(i + turn - 1)), f.*);
            f.* += 1;
        }
    }
    try std.testing.expect(pair.aligned);
    try std.testing.expectEqual(@as(f64, 78 + 12 * 0.5 * 999), pair.sum);
}
