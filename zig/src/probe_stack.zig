//! The stack probe that compiled code calls before it moves the stack pointer by more than a page, so
//! that an overflow hits the guard page. It is part of Zig's compiler-rt, which is not linked: its
//! weak `memcpy` and friends would replace the C library's in the whole program.

const builtin = @import("builtin");

comptime {
    if (builtin.cpu.arch == .x86_64 and builtin.os.tag != .windows and builtin.object_format == .elf) {
        // Weak: every Zig library in a program brings one. Hidden: nobody else's business.
        @export(&probe, .{ .name = "__zig_probe_stack", .linkage = .weak, .visibility = .hidden });
    }
}

/// Touches each page of the `rax` bytes below the stack pointer; keeps every register. The stack pointer goes
/// down with it, and comes back: what is below it is nobody's, to whoever checks accesses.
fn probe() callconv(.naked) void {
    asm volatile (
        \\    pushq %%rcx
        \\    pushq %%r11
        \\    movq %%rax, %%rcx
        \\    movq %%rsp, %%r11
        \\1:
        \\    cmpq $0x1000, %%rcx
        \\    jb 2f
        \\    subq $0x1000, %%rsp
        \\    orl $0, (%%rsp)
        \\    subq $0x1000, %%rcx
        \\    jmp 1b
        \\2:
        \\    subq %%rcx, %%rsp
        \\    orl $0, (%%rsp)
        \\    movq %%r11, %%rsp
        \\    popq %%r11
        \\    popq %%rcx
        \\    retq
    );
}
