//! A private machine: its own network, mounts and process ids, in which a test may do anything as root.
//!
//! Nothing of it is visible outside, and everything in it, labs and processes and pins, ends with it: also
//! when the test fails or is killed.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::need::patient;

/// How long a machine lives at the most; nothing outlives its test by more.
const LIFETIME: Duration = Duration::from_secs(300);

/// A server for nodes: `echo.py NAME [tcp|udp]:ADDRESS:PORT…` answers each message with its own name, the
/// address and port it sees the client at, and the message.
const ECHO: &str = include_str!("echo.py");

/// A lab file whose host takes packets over by this datapath, where it has an uplink.
fn by_datapath(text: &str, word: &str) -> String {
    let line = |line: &str| {
        let more =
            if line.starts_with("uplink =") { format!("datapath = \"{word}\"\n") } else { String::new() };
        format!("{line}\n{more}")
    };
    text.lines().map(line).collect()
}

/// A private machine.
pub struct Machine {
    holder: Child,
    workdir: tempfile::TempDir,
}

/// A BPF object's kind, as bpftool names it, and number.
pub type BpfObject = (&'static str, String);

/// What a command printed and how it ended.
#[derive(Debug)]
#[must_use = "a test that ran a command looks at what came of it"]
pub struct Ran {
    /// Exit status; signals are 128 and their number, as in a shell.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that must succeed.
    ///
    /// # Panics
    /// When it failed, with all that it printed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "the command failed\n{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a command that must fail with this code.
    ///
    /// # Panics
    /// When it did not, with all that it printed.
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "unexpected exit code\n{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

impl Machine {
    /// A machine with nothing but a loopback interface, an empty `/run`, and no BPF file system.
    ///
    /// # Panics
    /// When the system gives none; the tests that need one need root.
    pub fn new() -> Self {
        Self::start().expect("a private machine needs root and util-linux's unshare")
    }

    fn start() -> Result<Self> {
        let script = format!(
            "set -e
             mount -t tmpfs -o size=64m tmpfs /run
             umount -l /sys/fs/bpf 2>/dev/null || true
             ip link set lo up
             echo ready
             exec sleep {}",
            patient(LIFETIME).as_secs()
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"])
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut line = String::new();
        let stdout = holder.stdout.take().context("the pipe was asked for")?;
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line == "ready\n", "the private machine did not come up");
        Ok(Machine { holder, workdir: tempfile::tempdir()? })
    }

    /// Runs a program in the machine, in the test's own folder, for at most a minute.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = self.command("timeout");
        let limit = patient(Duration::from_secs(60)).as_secs().to_string();
        command.args(["--kill-after=5", &limit, program]).args(arguments);
        let Output { status, stdout, stderr } = command.output().expect("nsenter is part of util-linux");
        Ran {
            code: status.code().unwrap_or(255),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Runs a shell script in the machine; `$NETLAB` is the binary.
    pub fn sh(&self, script: &str) -> Ran {
        self.run("bash", ["-c", script])
    }

    /// Runs netlab in the machine.
    pub fn netlab<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.run(netlab().to_str().expect("the target folder's path is UTF-8"), arguments)
    }

    /// Runs a shell script in one of the machine's named network namespaces.
    pub fn sh_in(&self, namespace: &str, script: &str) -> Ran {
        self.run("ip", ["netns", "exec", namespace, "bash", "-c", script])
    }

    /// What a verb of netlab prints as JSON.
    ///
    /// # Panics
    /// When it fails, or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.netlab(arguments.iter().chain(&["-o", "json"])).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON: {error}\n{text}"))
    }

    /// A machine on which one of the examples is up.
    pub fn with_example(name: &str) -> Self {
        let machine = Self::new();
        let mut path = example(name);
        if std::env::var_os("NETLAB_DATAPATH").is_some() {
            let text = std::fs::read_to_string(&path).expect("the example can be read");
            path = machine.write(name, &text);
            // What an example has beside it.
            std::os::unix::fs::symlink(example("site"), machine.folder().join("site"))
                .expect("the temporary folder takes links");
        }
        let _ = machine.netlab(["up".as_ref(), path.as_os_str()]).ok();
        machine
    }

    /// A machine on which the lab of this text is up. Its commands find `echo.py` in their folder.
    pub fn with_lab(text: &str) -> Self {
        let machine = Self::new();
        machine.write("echo.py", ECHO);
        machine.write("lab.toml", text);
        let _ = machine.netlab(["up"]).ok();
        machine
    }

    /// Waits until a shell condition holds in the machine, at most ten seconds.
    ///
    /// # Panics
    /// When it still does not hold then.
    pub fn wait_until(&self, condition: &str) {
        let script = format!("while ! {{ {condition}; }}; do sleep 0.02; done");
        let limit = patient(Duration::from_secs(10)).as_secs().to_string();
        let ran = self.run("timeout", [&limit, "bash", "-c", &script]);
        assert_eq!(ran.code, 0, "waited in vain for: {condition}\n{}{}", ran.stdout, ran.stderr);
    }

    /// Writes a file into the test's own folder. A lab file that does not say by which datapath gets the word of the
    /// suite's environment, if there is one.
    ///
    /// # Panics
    /// When the disk does not take it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.workdir.path().join(name);
        let text = match std::env::var("NETLAB_DATAPATH") {
            Ok(word) if name.ends_with(".toml") && !text.contains("datapath =") => by_datapath(text, &word),
            _ => text.to_owned(),
        };
        std::fs::write(&path, text).expect("the temporary folder takes files");
        path
    }

    /// The test's own folder.
    pub fn folder(&self) -> &Path {
        self.workdir.path()
    }

    /// The machine's file system as seen from outside: `/run` and the BPF file system are its own.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.holder.id()))
    }

    /// A command that will run in the machine. It dies with the machine, whatever becomes of the test.
    pub fn command(&self, program: &str) -> Command {
        let holder = self.holder.id();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{holder}/ns/mnt"))
            .arg(format!("--net=/proc/{holder}/ns/net"))
            .arg(format!("--pid=/proc/{holder}/ns/pid_for_children"))
            .arg(format!("--wdns={}", self.workdir.path().display()))
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "80")
            .env("NETLAB", netlab())
            // The whole suite can be run with the older way of attaching programs.
            .envs(std::env::var_os("NETLAB_ATTACH").map(|way| ("NETLAB_ATTACH", way)))
            .stdin(Stdio::null());
        command
    }

    /// Everything that netlab could leave behind, as text, one thing a line: compare before and after. What the
    /// kernel changes by itself a little later is left out: timers, carriers, the IPv6 addresses it makes.
    pub fn inventory(&self) -> String {
        self.sh(": inventory
             stack() {
                 ip $1 -o -details link; ip $1 -o address; ip $1 -o route show table all; ip $1 rule
                 tc $1 qdisc show | grep 'clsact\\|ingress'
             }
             settled() {
                 grep -v 'fe80::\\|ff00::/8' | sed -E 's/[a-z_]+_timer +[0-9.]+|NO-CARRIER,|,LOWER_UP| state [A-Z]+| linkdown//g'
             }
             stack '' | settled
             ls /run/netns /sys/fs/bpf 2>&1
             for n in $(ls /run/netns 2>/dev/null); do stack \"-n $n\"; done | settled
             find /run -mindepth 1 | sort
             cat /proc/self/mounts
             sysctl -a 2>/dev/null | grep '^net\\.' | grep -v 'conntrack_count\\|\\.stat\\.'
             for p in /proc/[0-9]*; do tr '\\0\\n' '  ' < $p/cmdline 2>/dev/null; echo; done |
                 grep -v '^$\\|^bash -c : inventory\\|^timeout \\|^tr \\|^grep \\|^sort ' | sort
             lsns -n -t net -o NS | sort -u")
            .ok()
    }

    /// Every BPF link, program and map that the machine's pins keep alive, by the kernel's numbers, which are
    /// not given again soon. The inventory cannot list them: other machines' are in the same list.
    pub fn bpf_objects(&self) -> Vec<BpfObject> {
        let pins = self.sh("find /sys/fs/bpf -type f").ok();
        let pinned = |kind: &str, pin: &str| {
            let shown = self.run("bpftool", ["-j", kind, "show", "pinned", pin]);
            serde_json::from_str::<Value>(&shown.stdout).ok().filter(|_| shown.code == 0)
        };
        let number = |value: &Value| value.as_u64().map(|number| number.to_string());
        let mut objects = Vec::new();
        for pin in pins.lines() {
            if let Some(map) = pinned("map", pin) {
                objects.extend(number(&map["id"]).map(|id| ("map", id)));
            } else if let Some(link) = pinned("link", pin) {
                objects.extend(number(&link["id"]).map(|id| ("link", id)));
                objects.extend(number(&link["prog_id"]).map(|id| ("prog", id)));
            } else if let Some(program) = pinned("prog", pin) {
                objects.extend(number(&program["id"]).map(|id| ("prog", id)));
            }
        }
        objects.sort();
        objects.dedup();
        objects
    }

    /// Waits until the kernel has freed these.
    ///
    /// # Panics
    /// When one is still there after five seconds.
    pub fn are_freed(&self, objects: &[BpfObject]) {
        let deadline = Instant::now() + patient(Duration::from_secs(5));
        for (kind, id) in objects {
            while self.run("bpftool", [kind, "show", "id", id]).code == 0 {
                assert!(Instant::now() < deadline, "the {kind} {id} outlives its lab");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Waits until the inventory is as it was: the kernel frees programs and namespaces a little later.
    ///
    /// # Errors
    /// With both inventories' differences when they still differ after five seconds.
    pub fn is_as_before(&self, before: &str) -> Result<()> {
        let deadline = Instant::now() + patient(Duration::from_secs(5));
        let mut now = String::new();
        while Instant::now() < deadline {
            now = self.inventory();
            if now == before {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let gone = before.lines().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
        let come = now.lines().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
        bail!("the machine is not as it was:\n{}", gone.chain(come).collect::<Vec<_>>().join("\n"))
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process gone the kernel ends all others of the machine, and frees what they held.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The binary under test: beside the folder that this test's own binary is in.
///
/// # Panics
/// When it was not built.
pub fn netlab() -> PathBuf {
    let given = std::env::var_os("NETLAB_BIN").map(PathBuf::from);
    let path = given.unwrap_or_else(|| workspace().join("target/debug/netlab"));
    assert!(path.exists(), "{} is missing: run `cargo xtask build`", path.display());
    path
}

/// The path of one of the repository's examples.
pub fn example(name: &str) -> PathBuf {
    workspace().join("examples").join(name)
}

/// The repository's top folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}
