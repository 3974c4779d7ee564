//! Runs other programs: shows the command line when it matters, and says in one sentence which command failed,
//! how, and what to do about it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A command on its way to be run.
pub struct Cmd {
    inner: Command,
    /// What of the environment is worth showing: the variables this tool set on purpose.
    shown_env: Vec<(String, OsString)>,
    remedy: String,
}

impl Cmd {
    /// A command without the marks that the cargo around this tool leaves in the environment: an inner cargo of
    /// another toolchain would obey them, and one of the same toolchain would rebuild because of them.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_mark_of_cargo_run) {
                inner.env_remove(&name);
            }
        }
        Cmd { inner, shown_env: Vec::new(), remedy: String::new() }
    }

    /// The cargo that runs this tool, for work on the host.
    pub fn cargo(root: &Path) -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Cmd::new(program).dir(root)
    }

    /// A command run as root: itself, or through sudo.
    pub fn as_root(program: impl AsRef<OsStr>) -> Self {
        if is_root() { Cmd::new(program) } else { Cmd::new("sudo").arg("-E").arg(program) }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.inner.args(args);
        self
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.inner.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value.as_ref());
        self.shown_env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// What the user can do when the command fails: a sentence.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Shows the command line, then runs it with this tool's own input and output.
    pub fn run(self) -> Result<()> {
        eprintln!("$ {self}");
        self.run_quietly()
    }

    /// Runs it likewise, without showing the command line.
    pub fn run_quietly(mut self) -> Result<()> {
        let status = self.inner.status().with_context(|| format!("`{self}` could not be started"))?;
        self.judge(status)
    }

    /// Runs it and gives what it wrote to its standard output; its errors go to the terminal.
    pub fn read(mut self) -> Result<String> {
        let output = self
            .inner
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{self}` could not be started"))?;
        self.judge(output.status)?;
        String::from_utf8(output.stdout).with_context(|| format!("`{self}` did not write text"))
    }

    /// Asks a program something; no answer (not there, failed, not text) is an answer too.
    pub fn ask(mut self) -> Option<String> {
        let output = self.inner.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
    }

    /// The plain command, for what this wrapper does not do.
    pub fn into_inner(self) -> Command {
        self.inner
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let remedy =
            if self.remedy.is_empty() { String::new() } else { format!("\n  help: {}", self.remedy) };
        bail!("`{self}` failed ({status}){remedy}")
    }
}

/// The command line as one would type it.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.shown_env {
            // A person would type the other form of the same flags.
            let name = if name == "CARGO_ENCODED_RUSTFLAGS" { "RUSTFLAGS" } else { name };
            write!(f, "{name}={} ", quoted(&value.to_string_lossy()))?;
        }
        let program = self.inner.get_program().to_string_lossy();
        // The cargo in use is known by a long path of its toolchain; its name says enough.
        let short =
            if program.ends_with("/cargo") && !program.starts_with("/usr/") { "cargo" } else { &program };
        f.write_str(&quoted(short))?;
        for arg in self.inner.get_args() {
            write!(f, " {}", quoted(&arg.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Whether an environment variable was set by `cargo run` or rustup's proxy for this process, and not by a person.
fn is_mark_of_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name,
            "CARGO" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "LD_LIBRARY_PATH"
        )
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\x1f', " ").replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let cmd = Cmd::new("apt-get").env("MODE", "a b").args(["install", "it's", ""]);
        assert_eq!(cmd.to_string(), r"MODE='a b' apt-get install 'it'\''s' ''");
    }

    #[test]
    fn a_failure_names_the_command_its_status_and_the_remedy() {
        let error =
            Cmd::new("false").arg("now").remedy("Do it again.").run_quietly().unwrap_err().to_string();
        assert_eq!(error, "`false now` failed (exit status: 1)\n  help: Do it again.");
    }

    #[test]
    fn a_program_that_is_not_there_gives_no_answer() {
        assert_eq!(Cmd::new("netlab-no-such-program").ask(), None);
        assert_eq!(Cmd::new("echo").arg("yes").ask().as_deref(), Some("yes\n"));
    }

    #[test]
    fn only_what_cargo_run_sets_is_cleared() {
        assert!(is_mark_of_cargo_run("CARGO_PKG_NAME"));
        assert!(is_mark_of_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!is_mark_of_cargo_run("CARGO_HOME"));
        assert!(!is_mark_of_cargo_run("CARGO_TARGET_DIR"));
    }
}
