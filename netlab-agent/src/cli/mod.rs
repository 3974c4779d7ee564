//! The command line: its grammar, and the way to each verb. One verb a file; only these files and `output`
//! print.

mod bench;
mod check;
mod conntrack;
mod down;
mod exec;
mod exits;
mod forward;
mod lint;
mod matching;
mod messages;
mod nat;
mod raise;
mod rule;
mod running;
mod stats;
mod status;
mod supervise;
mod up;
mod ways;

use std::ffi::OsString;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::{Failure, Kind, Result};

/// Network labs out of namespaces, with NAT in eBPF.
#[derive(Debug, Parser)]
#[command(name = "netlab", version, about, max_term_width = 80)]
#[command(
    after_help = "Exit status: 0 done, 1 failed, 2 wrong command or lab file, 3 no such lab or node,\n\
    4 status found drift, 5 privilege or kernel capability missing, 6 conflict, 130 interrupted and undone."
)]
pub struct Arguments {
    /// The running lab to address; not needed while only one runs.
    #[arg(short, long, global = true, value_name = "NAME")]
    lab: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For reading.
    Table,
    /// For programs; stable, with a `schema` field.
    Json,
}

/// The option that chooses it.
#[derive(Debug, Args)]
struct Output {
    /// How to show the result.
    #[arg(short = 'o', long = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    format: Format,
}

/// Which lab file.
#[derive(Debug, Args)]
struct LabFile {
    /// The lab file; without one `$NETLAB_FILE`, else `./lab.toml`.
    #[arg(value_name = "FILE", conflicts_with = "file")]
    positional: Option<PathBuf>,
    /// The same as an option.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl LabFile {
    fn path(&self) -> PathBuf {
        // Not by clap: a variable in the environment must not stand against a file on the command line.
        let variable = std::env::var_os("NETLAB_FILE").filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = self.positional.clone().or_else(|| self.file.clone());
        named.or(variable).unwrap_or_else(|| "lab.toml".into())
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring a lab up, and leave an agent that watches over it.
    Up {
        #[command(flatten)]
        file: LabFile,
        /// Stay, show live counters, and take the lab down on Ctrl-C.
        #[arg(long)]
        foreground: bool,
    },
    /// Take a lab down: everything as it was before.
    Down,
    /// Show a lab's nodes, interfaces and agent, or all running labs.
    Status(Output),
    /// Run a command in a node, or in `host`; its exit status is the command's own.
    Exec {
        /// The node.
        node: String,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Open a shell in a node, or in `host`.
    Shell {
        /// The node.
        node: String,
    },
    /// Try the lab's checks.
    Check(Output),
    /// Port forwards: their counters, and adding and removing them.
    Forward {
        #[command(subcommand)]
        verb: rule::Verb,
    },
    /// Masquerades and their counters.
    Masquerade {
        #[command(subcommand)]
        verb: List,
    },
    /// The flow table, and ending flows.
    Conntrack {
        #[command(subcommand)]
        verb: conntrack::Verb,
    },
    /// What each hook received and what became of it.
    Stats(Output),
    /// Check a lab file; needs no root.
    Lint {
        #[command(flatten)]
        file: LabFile,
    },
    /// Measure netlab beside iptables and nftables, in labs of its own.
    Bench(bench::Options),
    /// Brings the lab up and watches over it: what `up` starts.
    #[command(name = "agent", hide = true)]
    Agent {
        /// The lab file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum List {
    /// List them.
    Ls(Output),
}

/// Does what the command line says; the number is the exit code.
///
/// # Errors
/// Whatever the verb fails with, ready to be printed.
pub fn run(arguments: Arguments) -> Result<u8> {
    let lab = arguments.lab.as_deref();
    if lab.is_some() && matches!(arguments.verb, Verb::Up { .. } | Verb::Lint { .. }) {
        return Err(Failure::new(Kind::Usage, "`-l` names a running lab, and this command takes a lab file")
            .hint("a lab's name is the `name` in its file"));
    }
    match arguments.verb {
        Verb::Up { file, foreground: true } => supervise::foreground(&file.path()),
        Verb::Up { file, foreground: false } => up::up(&file.path()),
        Verb::Agent { file } => supervise::background(&file),
        Verb::Down => down::down(lab),
        Verb::Status(output) => status::status(lab, output.format),
        Verb::Exec { node, command } => exec::exec(lab, &node, &command),
        Verb::Shell { node } => exec::shell(lab, &node),
        Verb::Check(output) => check::check(lab, output.format),
        Verb::Forward { verb: rule::Verb::Ls(output) } => forward::forwards(lab, output.format),
        Verb::Forward { verb: rule::Verb::Add { publish, allow } } => rule::add(lab, &publish, &allow),
        Verb::Forward { verb: rule::Verb::Rm { forward, keep_flows } } => rule::rm(lab, &forward, keep_flows),
        Verb::Masquerade { verb: List::Ls(output) } => forward::masquerades(lab, output.format),
        Verb::Conntrack { verb } => conntrack::run(lab, verb),
        Verb::Stats(output) => stats::stats(lab, output.format),
        Verb::Bench(options) => bench::bench(&options),
        Verb::Lint { file } => lint::lint(&file.path()),
    }
}

/// A number of things, in words.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Prints a result.
fn print(text: &str) -> Result<()> {
    stream(|out| out.write_all(text.as_bytes()))
}

/// Prints a result piece by piece. A reader that has gone away (`| head`) is not an error.
fn stream(write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Failed, format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints progress or a warning, beside the result.
fn note(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A runtime on this thread: netlink, timers and signals need no other.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Kind::Failed, format!("the system gives no resources to run on: {error}"))
    })
}
