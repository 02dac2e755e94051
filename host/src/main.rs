//! The `lockgate` binary: all of it but its allocator is in the library.

/// A message is made by one thread and freed by another, which is where the system's allocator has them wait for each other.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    lockgate::cli::main()
}
