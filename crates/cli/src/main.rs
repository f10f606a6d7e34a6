/// A process is one of those that Limpid watches.
fn main() {}
