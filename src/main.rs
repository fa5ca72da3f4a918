//! The command `seedkit`: everything is in the library; see its documentation for the architecture.

use std::process::ExitCode;

fn main() -> ExitCode {
    seedkit::cli::main()
}
