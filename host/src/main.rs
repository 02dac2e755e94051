//! The `lockgate` binary: all of it is in the library.

fn main() -> std::process::ExitCode {
    lockgate::cli::main()
}
