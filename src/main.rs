//! The `weir` command: everything is in the library's `cli`.

fn main() -> std::process::ExitCode {
    weir::cli::main()
}
