//! Reads the shape of a user's function: what it consumes, produces, takes and returns.

const std = @import("std");
const abi = @import("abi.zig");
const types = @import("types.zig");
const ends = @import("channel/ends.zig");
const AcceptError = @import("channel/layout.zig").AcceptError;
const In = @import("in.zig").In;
const Out = @import("out.zig").Out;

/// What `ziggurat.source` and its like want of a function.
pub const Role = enum {
    source,
    sink,
    transform,
    future,

    /// How many parameters are for items.
    fn ports(role: Role) usize {
        return switch (role) {
            .future => 0,
            .source, .sink => 1,
            .transform => 2,
        };
    }

    fn Port(comptime role: Role, comptime index: usize, comptime T: type) type {
        return switch (role) {
            .future => comptime unreachable,
            .source => Out(T),
            .sink => In(T),
            .transform => if (index == 0) In(T) else Out(T),
        };
    }

    fn want(role: Role) []const u8 {
        return switch (role) {
            .source => "fn (io: std.Io, out: *ziggurat.Out(T), args…) !void",
            .sink => "fn (io: std.Io, in: *ziggurat.In(T), args…) !R",
            .transform => "fn (io: std.Io, in: *ziggurat.In(T), out: *ziggurat.Out(U), args…) !void",
            .future => "fn (io: std.Io, args…) !R",
        };
    }
};

/// The shape of `function`, or a compile error that names both signatures.
pub fn Shape(comptime role: Role, comptime name: []const u8, comptime function: anytype) type {
    const Function = @TypeOf(function);
    const info = switch (@typeInfo(Function)) {
        .@"fn" => |f| f,
        else => mismatch(role, name, Function, "it is not a function"),
    };
    if (info.is_generic) mismatch(role, name, Function, "it is generic");
    if (info.param_types.len < 1 or info.param_types[0].? != std.Io)
        mismatch(role, name, Function, "its first parameter is not `std.Io`");
    const first_arg = 1 + role.ports();
    if (info.param_types.len < first_arg) mismatch(role, name, Function, "it has too few parameters");
    var Ports_: [role.ports()]type = undefined;
    for (&Ports_, info.param_types[1..first_arg], 0..) |*slot, T, i| {
        slot.* = switch (@typeInfo(T.?)) {
            .pointer => |p| if (p.size == .one) p.child else void,
            else => void,
        };
        if (slot.* == void or !hasItem(slot.*) or slot.* != role.Port(i, slot.Item)) mismatch(
            role,
            name,
            Function,
            "its " ++ (if (i == 0) "second" else "third") ++ " parameter is not the one for this role",
        );
    }
    const ports = Ports_;
    const Return = info.return_type.?;
    const Payload = switch (@typeInfo(Return)) {
        .error_union => |u| u.payload,
        else => Return,
    };
    if ((role == .source or role == .transform) and Payload != void)
        mismatch(role, name, Function, "it returns a value");
    return struct {
        /// What its parameters for items point to.
        pub const Ports = ports;
        pub const Result = Payload;
        pub const Params = ParamsFrom(info.param_types[first_arg..]);

        /// `its_ports` are pointers to one of each of `Ports`.
        pub fn call(io: std.Io, its_ports: anytype, params: *Params) anyerror!Result {
            var args: std.meta.ArgsTuple(Function) = undefined;
            args[0] = io;
            inline for (its_ports, 1..) |port, i| args[i] = port;
            inline for (params, first_arg..) |*param, i| {
                args[i] = if (comptime ends.isEnd(@TypeOf(param.*))) param else param.*;
            }
            // The ends that the function has not moved elsewhere end with it.
            defer dropEnds(Params, params);
            return @call(.auto, function, args);
        }
    };
}

fn hasItem(comptime T: type) bool {
    return switch (@typeInfo(T)) {
        .@"struct" => @hasDecl(T, "Item"),
        else => false,
    };
}

fn mismatch(comptime role: Role, comptime name: []const u8, comptime Found: type, comptime why: []const u8) noreturn {
    @compileError("ziggurat: `" ++ name ++ "` cannot be a " ++ @tagName(role) ++ ": " ++ why ++
        "\n    wanted: " ++ role.want() ++ "\n    found:  " ++ @typeName(Found));
}

/// A function's further parameters: a tuple, how it is described, and how it is copied in. Ends of
/// channels, which the function gets pointers to, are kept in it.
pub fn ParamsFrom(comptime param_types: []const ?type) type {
    var list: [param_types.len]type = undefined;
    for (&list, param_types) |*slot, T| slot.* = ends.Kept(T.?);
    return @Tuple(&list);
}

/// The descriptions of a parameter tuple's types.
pub fn describeParams(comptime Params: type) [@typeInfo(Params).@"struct".field_types.len]abi.TypeDesc {
    const field_types = @typeInfo(Params).@"struct".field_types;
    var table: [field_types.len]abi.TypeDesc = undefined;
    for (&table, field_types) |*slot, T| slot.* = types.desc(T);
    return table;
}

pub const ParamError = error{ OutOfMemory, ArgumentMismatch } || AcceptError;

/// Copies the arguments in. `freeParams` frees the copies. Ends of channels are the host's until the handle
/// is: `dropEnds` is for later.
pub fn readParams(comptime Params: type, gpa: std.mem.Allocator, args: []const abi.Arg) ParamError!Params {
    const field_types = @typeInfo(Params).@"struct".field_types;
    if (args.len != field_types.len) return error.ArgumentMismatch;
    // Rust has checked the types against the same descriptions; a foreign host may not have.
    inline for (field_types, args[0..field_types.len]) |T, arg| {
        if (!arg.ty.eql(types.desc(T))) return error.ArgumentMismatch;
    }
    var params: Params = undefined;
    var copied: usize = 0;
    errdefer inline for (field_types, 0..) |T, i| {
        if (comptime types.isBytes(T)) if (i < copied) gpa.free(params[i]);
    };
    inline for (field_types, 0..) |T, i| {
        if (comptime types.isBytes(T)) {
            const slice: *const abi.Slice = @ptrCast(@alignCast(args[i].value));
            params[i] = try gpa.dupe(u8, slice.get());
        } else if (comptime ends.isEnd(T)) {
            params[i] = try .fromAbi(@as(*const ?*anyopaque, @ptrCast(@alignCast(args[i].value))).*);
        } else {
            params[i] = @as(*const T, @ptrCast(@alignCast(args[i].value))).*;
        }
        copied = i + 1;
    }
    return params;
}

pub fn freeParams(comptime Params: type, gpa: std.mem.Allocator, params: Params) void {
    inline for (@typeInfo(Params).@"struct".field_types, 0..) |T, i| {
        if (comptime types.isBytes(T)) gpa.free(params[i]);
    }
}

/// Drops the ends that have not been moved elsewhere.
pub fn dropEnds(comptime Params: type, params: *Params) void {
    inline for (params) |*param| {
        if (comptime ends.isEnd(@TypeOf(param.*))) param.deinit();
    }
}

/// Whether a function takes ends of channels.
pub fn hasEnds(comptime Params: type) bool {
    for (@typeInfo(Params).@"struct".field_types) |T| if (ends.isEnd(T)) return true;
    return false;
}

test "arguments are copied, and freed when one cannot be" {
    const Params = struct { []const u8, u32, []const u8 };
    const number: u32 = 7;
    const first: abi.Slice = .of("one");
    const second: abi.Slice = .of("two");
    const args = [_]abi.Arg{
        .{ .ty = types.desc([]const u8), .value = &first },
        .{ .ty = types.desc(u32), .value = &number },
        .{ .ty = types.desc([]const u8), .value = &second },
    };
    const Tuple = @Tuple(@typeInfo(Params).@"struct".field_types);
    const params = try readParams(Tuple, std.testing.allocator, &args);
    try std.testing.expectEqualStrings("one", params[0]);
    try std.testing.expectEqual(7, params[1]);
    freeParams(Tuple, std.testing.allocator, params);
    try std.testing.expectError(error.ArgumentMismatch, readParams(Tuple, std.testing.allocator, args[0..2]));
    var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = 1 });
    try std.testing.expectError(error.OutOfMemory, readParams(Tuple, failing.allocator(), &args));
}
