//! Runs the Zig that builds would use, with the arguments that follow:
//!
//! ```text
//! cargo run -q -p ziggurat-zig-build --example zig -- fmt --check zig
//! ```

use std::process::ExitCode;

use ziggurat_zig_build::Build;

fn main() -> ExitCode {
    // Nothing is built, so the root file need not exist. Beside the folder lies the cache of a user
    // who has none.
    let out_dir = std::env::temp_dir();
    let mut zig = match Build::new("root.zig").out_dir(out_dir).try_zig_command() {
        Ok(zig) => zig,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match zig.args(std::env::args_os().skip(1)).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot run {}: {error}", zig.get_program().to_string_lossy());
            ExitCode::FAILURE
        }
    }
}
