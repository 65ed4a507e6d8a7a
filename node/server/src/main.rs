//! The program `cairn`: see the library of this package.

use tikv_jemallocator::Jemalloc;

/// It gives memory back to the system and keeps little apart, where glibc's keeps an arena for each of our many threads, and it
/// costs a third of that: most of what a request allocates is freed by another thread.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> std::process::ExitCode {
    cairn_server::main()
}
