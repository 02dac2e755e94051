//! The `lockgate` binary: arguments and exit code.
fn main() {}
