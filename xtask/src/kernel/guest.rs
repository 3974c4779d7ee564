//! The virtual machine: started, read along, ended in time, and summed up.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::image::Kernel;
use crate::process::Cmd;

/// What is started.
pub struct Guest {
    /// The kernel.
    pub kernel: Kernel,
    /// Its first file system.
    pub initramfs: PathBuf,
    /// Where the guest's script and list are, and its console goes.
    pub folder: PathBuf,
    /// How many tests it is going to run.
    pub tests: usize,
    /// How long it may take.
    pub limit: Duration,
}

/// What was heard.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// Which test runs.
    running: Option<String>,
    /// What it said.
    said: Vec<String>,
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    /// Whether the list was gone through to its end, and no test on it was left out.
    done: bool,
}

/// Runs the tests; an error when one failed, or when the guest did not come to its end.
pub fn run(guest: &Guest) -> Result<()> {
    let begun = Instant::now();
    let console = guest.folder.join("console.log");
    let mut child = start(guest)?;
    let output = child.stdout.take().context("the pipe was asked for")?;
    let over = Arc::new(AtomicBool::new(false));
    let watch = guard(child, guest.limit, Arc::clone(&over));
    let mut heard = Heard::default();
    read(output, |line| {
        if let Some(shown) = heard.hear(line, guest.tests) {
            eprintln!("{shown}");
        }
    });
    over.store(true, Ordering::Relaxed);
    let in_time = watch.join().unwrap_or(false);
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let release = &guest.kernel.release;
    eprintln!(
        "kernel: {release}: {} passed, {} failed, {} skipped, in {minutes:.1} minutes",
        heard.passed,
        heard.failed.len(),
        heard.skipped
    );
    if !heard.done {
        let last = heard.running.map_or_else(String::new, |name| format!(" while {name} ran"));
        let how = if in_time { "ended by itself" } else { "was ended, because it took too long" };
        let tail = tail(&fs::read(&console).unwrap_or_default());
        bail!("the guest {how}{last}; the end of {}:\n{tail}", console.display());
    }
    if !heard.failed.is_empty() {
        bail!("{} failed on {release}: {}", heard.failed.len(), heard.failed.join(", "));
    }
    Ok(())
}

fn start(guest: &Guest) -> Result<Child> {
    let kernel = &guest.kernel;
    let console = guest.folder.join("console.log");
    let words = format!(
        "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on netlab.guest={}",
        guest.folder.display()
    );
    let cmd = Cmd::new("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "5G"])
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-kernel"])
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&guest.initramfs)
        .args(["-append", &words])
        .args(["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"])
        .args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host", "-serial"])
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"]);
    eprintln!("$ {cmd}");
    let mut command = cmd.into_inner();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("qemu-system-x86_64 could not be started")
}

/// Ends the guest when its time is up. Whether it ended before that.
fn guard(mut child: Child, limit: Duration, over: Arc<AtomicBool>) -> thread::JoinHandle<bool> {
    let deadline = Instant::now() + limit;
    thread::spawn(move || {
        loop {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return true;
            }
            // Once its output is at its end it is on its way out.
            if Instant::now() >= deadline || over.load(Ordering::Relaxed) {
                let in_time = Instant::now() < deadline;
                let _ = child.kill();
                let _ = child.wait();
                return in_time;
            }
            thread::sleep(Duration::from_millis(200));
        }
    })
}

fn read(output: impl Read, mut each: impl FnMut(&str)) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

impl Heard {
    /// Takes a line in; what is to be shown of it.
    fn hear(&mut self, line: &str, tests: usize) -> Option<String> {
        let Some((word, rest)) =
            line.strip_prefix('@').map(|line| line.split_once(' ').unwrap_or((line, "")))
        else {
            if self.running.is_none() {
                return Some(line.to_owned());
            }
            self.said.push(line.to_owned());
            return None;
        };
        match word {
            "up" => {
                let (release, seconds) = rest.split_once(' ')?;
                Some(format!("kernel: Linux {release} is up after {seconds} s"))
            }
            "start" => {
                self.running = Some(rest.to_owned());
                None
            }
            "end" => Some(self.end(rest, tests)),
            "done" => {
                // A guest that did not find its list is through with it at once.
                self.done = self.ended() == tests;
                None
            }
            _ => None,
        }
    }

    /// How many tests have ended.
    fn ended(&self) -> usize {
        self.passed + self.skipped + self.failed.len()
    }

    fn end(&mut self, rest: &str, tests: usize) -> String {
        let name = self.running.take().unwrap_or_default();
        let said = std::mem::take(&mut self.said);
        let (code, took) = rest.split_once(' ').unwrap_or((rest, "0"));
        let seconds = took.parse::<f64>().unwrap_or_default() / 1000.0;
        let skipped = said.iter().any(|line| line.starts_with("SKIPPED"));
        let what = match code {
            "0" if skipped => "SKIP",
            "0" => "PASS",
            "124" | "137" => "LATE",
            _ => "FAIL",
        };
        match what {
            "SKIP" => self.skipped += 1,
            "PASS" => self.passed += 1,
            _ => self.failed.push(name.clone()),
        }
        let number = self.ended();
        let mut shown = format!("{what} [{seconds:>7.1} s] ({number}/{tests}) {name}");
        for line in said {
            shown.push_str("\n    ");
            shown.push_str(&line);
        }
        shown
    }
}

/// The last lines of a console.
fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_how_they_ended_and_what_failed_is_shown() {
        let mut heard = Heard::default();
        assert!(heard.hear("@up 6.1.0-56-amd64 4.2", 3).is_some_and(|shown| shown.contains("after 4.2 s")));
        for line in ["@start a::one", "@end 0 1500", "@start a::two", "SKIPPED: two needs netem", "@end 0 10"]
        {
            let _ = heard.hear(line, 3);
        }
        let _ = heard.hear("@start a::three", 3);
        assert_eq!(heard.hear("thread panicked", 3), None);
        let shown = heard.hear("@end 101 20", 3).unwrap();
        assert_eq!(shown, "FAIL [    0.0 s] (3/3) a::three\n    thread panicked");
        assert_eq!((heard.passed, heard.skipped, heard.failed.len(), heard.done), (1, 1, 1, false));
        let _ = heard.hear("@done", 3);
        assert!(heard.done);
    }

    #[test]
    fn a_guest_that_ran_fewer_tests_than_it_was_given_did_not_come_to_its_end() {
        let mut heard = Heard::default();
        let _ = heard.hear("/tmp/a/list: No such file or directory", 2);
        let _ = heard.hear("@done", 2);
        assert!(!heard.done);
    }
}
