//! The binary: parse, run, print a failure if there is one, and exit with its code. Nothing else exits.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use netlab_agent::cli;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Whoever closed standard error does not want to know.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
