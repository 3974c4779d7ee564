//! The command line of the chores: one enum, one `match`, one file a verb. Everything a developer, the README
//! or CI does with this repository goes through here, so that there is one recipe and not three.

mod build;
mod check;
mod kernel;
mod machine;
mod process;
mod run;
mod setup;
mod test;
mod tidy;
mod verifier;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// netlab's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Set up, build, bring a lab up, show it, take it down
    Run(run::Options),
    /// Set up, build, run every test
    Test(test::Options),
    /// The gate: format, lints, conventions, tests, verifier budget
    Check(check::Options),
    /// Check the conventions a program can check
    Tidy,
    /// Build the eBPF object, then the workspace
    Build(build::Options),
    /// Measure the programs with the kernel's verifier and compare with the budget
    Verifier(verifier::Options),
    /// Find out what is missing on this machine and install it
    Setup(setup::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(options) => run::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Check(options) => check::run(&options),
        Verb::Tidy => tidy::run(),
        Verb::Build(options) => build::run(&options),
        Verb::Verifier(options) => verifier::run(&options),
        Verb::Setup(options) => setup::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
