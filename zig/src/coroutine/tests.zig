//! The tests of coroutines that need a host.

test {
    _ = @import("tests/buried.zig");
    _ = @import("tests/concurrency.zig");
    _ = @import("tests/ending.zig");
    _ = @import("tests/fatal.zig");
    _ = @import("tests/io.zig");
    _ = @import("tests/items.zig");
    _ = @import("tests/overflow.zig");
    _ = @import("tests/poison.zig");
    _ = @import("tests/threads.zig");
    _ = @import("tests/whole.zig");
}
