//! The binary: parse, run, print a failure if there is one, and exit with its code. Nothing else exits.

use std::process::ExitCode;

use clap::Parser as _;
use netlab_agent::cli;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
