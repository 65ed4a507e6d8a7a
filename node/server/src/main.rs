//! The program `cairn`: see the library of this package.

fn main() -> std::process::ExitCode {
    cairn_server::main()
}
