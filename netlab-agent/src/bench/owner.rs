//! Whose labs are whose: each bench writes down its labs before it makes them, and the next one takes away what a
//! killed one left.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::{BenchError, Result};
use super::text::PREFIX;

/// Where benches keep their notes. Not in netlab's own folder, where each entry is a lab.
const FOLDER: &str = "/run/netlab-bench";

/// A bench's own note and folder; both go with it.
#[derive(Debug)]
pub struct Owner {
    note: PathBuf,
    /// Where it writes its lab files.
    folder: PathBuf,
    /// What tells its labs from those of other benches.
    pub number: u32,
}

impl Owner {
    /// Takes away what others left, and begins a note.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new() -> Result<Self> {
        fs::create_dir_all(FOLDER).map_err(BenchError::system(format!("make {FOLDER}")))?;
        clear();
        let number = std::process::id();
        let started = start_time(number).unwrap_or_default();
        let folder = Path::new(FOLDER).join(format!("{number}-{started}"));
        fs::create_dir_all(&folder).map_err(BenchError::system(format!("make {}", folder.display())))?;
        Ok(Owner { note: folder.join("labs"), folder, number })
    }

    /// Writes a file into its folder; gives where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(BenchError::system(format!("write {}", path.display())))?;
        Ok(path)
    }

    /// Writes a lab down as one's own.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn claim(&self, lab: &str) -> Result<()> {
        let write = |lab: &str| -> std::io::Result<()> {
            writeln!(OpenOptions::new().create(true).append(true).open(&self.note)?, "{lab}")
        };
        write(lab).map_err(BenchError::system(format!("write {}", self.note.display())))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The labs are down by now: each goes with its own value. What is left is found by the next bench.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_dir(FOLDER);
    }
}

/// Takes the labs of benches down that are not alive any more.
fn clear() {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((number, started)) = name.split_once('-') else { continue };
        let (Ok(number), Ok(started)) = (number.parse::<u32>(), started.parse::<u64>()) else { continue };
        if start_time(number) == Some(started) {
            continue;
        }
        let labs = fs::read_to_string(entry.path().join("labs")).unwrap_or_default();
        for lab in labs.lines().filter(|lab| lab.starts_with(PREFIX)) {
            // A lab that did not come up, or is down already, is no failure; another stays in the note.
            let _ = netlab(&["down", "-l", lab]);
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// Runs this very program with other arguments.
///
/// # Errors
/// When it cannot be started.
pub fn netlab(arguments: &[&str]) -> Result<Output> {
    Command::new("/proc/self/exe")
        .arg0("netlab")
        .args(arguments)
        // Ctrl-C is the bench's to answer: what it started ends its work first.
        .process_group(0)
        .stdin(Stdio::null())
        .output()
        .map_err(BenchError::system("start netlab"))
}

/// When a process began, in the kernel's ticks. With its number it tells it from every other one.
fn start_time(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it the twentieth word is the time.
    status.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_when_it_began() {
        let own = start_time(std::process::id());
        assert!(own.is_some());
        assert_eq!(start_time(std::process::id()), own);
        assert_ne!(start_time(1), None);
    }
}
