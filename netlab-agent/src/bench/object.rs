//! The bench's eBPF object: loading its programs, attaching them, and their words.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader, TestRun as _, TestRunAttrs, TestRunOptions};
use nix::net::if_::if_nametoindex;
use nix::unistd::gettid;

use super::cpu;
use super::error::{BenchError, Result};
use super::frames::Stream;
use super::interrupt::Interrupt;
use super::text::mac;
use super::variant::Hook;
use super::words::{counted, expected, floor, generator};
use crate::netns::Namespace;
use crate::sys::bench::{Thread, prepare_waking, this_thread, wake};

/// The object as `cargo xtask build` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("NETLAB_BENCH_OBJECT"));

/// The programs that frames of the bench go through.
const XDP: [&str; 4] = ["bench_generate", "bench_sink_xdp", "bench_floor_xdp", "bench_empty_xdp"];
const TC: [&str; 3] = ["bench_sink_tc", "bench_floor_tc", "bench_empty_tc"];

/// Frames that the kernel makes between two looks at whether it shall end: as many as a NAPI poll takes.
const BATCH: u32 = 64;

/// The object, loaded.
pub struct Object {
    ebpf: Ebpf,
    /// How long generators ran, and how long they waited for their CPU.
    ran: Mutex<(u64, u64)>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Object")
    }
}

/// A sink at work; it ends with the value.
#[derive(Debug)]
pub struct Sink {
    _xdp: Option<XdpLink>,
    _tc: Option<SchedClassifierLink>,
}

/// A redirecting program at work, and what it must be told each time.
#[derive(Debug)]
pub struct Floor {
    _xdp: Option<XdpLink>,
    _tc: Option<SchedClassifierLink>,
    words: [u64; floor::WORDS],
}

/// A generator at work, as its caller sees it.
pub struct Running<'a> {
    goes_on: &'a dyn Fn() -> bool,
    thread: Option<i32>,
}

impl Running<'_> {
    /// Whether it still is, and nobody wants it to end.
    pub fn goes_on(&self) -> bool {
        (self.goes_on)()
    }

    /// For how long it has waited while others had its CPU.
    pub fn waited(&self) -> Duration {
        self.thread.map_or(Duration::ZERO, cpu::waited)
    }
}

/// What the sink has counted.
pub type Counts = [u64; counted::WORDS];

/// What the generator has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// Frames.
    pub frames: u64,
    /// Frames that were made before the last of the times below.
    pub timed: u64,
    /// Time between the first frame and that moment.
    pub time: Duration,
}

impl Object {
    /// Loads all programs.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn load() -> Result<Self> {
        prepare_waking().map_err(BenchError::system("take a signal"))?;
        let mut ebpf = EbpfLoader::new().load(OBJECT).map_err(BenchError::program("netlab-bench"))?;
        for name in XDP {
            xdp(&mut ebpf, name)?.load().map_err(BenchError::program(name))?;
        }
        for name in TC {
            tc(&mut ebpf, name)?.load().map_err(BenchError::program(name))?;
        }
        Ok(Object { ebpf, ran: Mutex::default() })
    }

    /// Puts a sink on an interface.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn sink(&mut self, namespace: &Namespace, interface: &str, hook: Hook) -> Result<Sink> {
        let (xdp, tc) = self.attach(namespace, interface, hook, ["bench_sink_xdp", "bench_sink_tc"])?;
        Ok(Sink { _xdp: xdp, _tc: tc })
    }

    /// Puts a redirecting program on earth's port in the host, towards the world.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn floor(&mut self, host: &Namespace, hook: Hook) -> Result<Floor> {
        let (xdp, tc) = self.attach(host, "earth-br-veth", hook, ["bench_floor_xdp", "bench_floor_tc"])?;
        let mut addresses = [0u8; 16];
        addresses[..6].copy_from_slice(&mac::WORLD);
        addresses[6..12].copy_from_slice(&mac::HOST);
        let half = |from: usize| u64::from_ne_bytes(addresses[from..from + 8].try_into().unwrap_or_default());
        let mut words = [0; floor::WORDS];
        words[floor::INTERFACE] = index(host, "eth0")?.into();
        words[floor::ADDRESSES] = half(0);
        words[floor::ADDRESSES + 1] = half(8);
        Ok(Floor { _xdp: xdp, _tc: tc, words })
    }

    /// Tells the redirecting programs where to: they share one map, and one of them is at work at a time.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn tell(&mut self, floor: &Floor) -> Result<()> {
        self.put(floor::MAP, floor.words)
    }

    fn attach(
        &mut self,
        namespace: &Namespace,
        interface: &str,
        hook: Hook,
        [on_frames, on_skbs]: [&'static str; 2],
    ) -> Result<(Option<XdpLink>, Option<SchedClassifierLink>)> {
        match hook {
            Hook::Xdp => {
                let program = xdp(&mut self.ebpf, on_frames)?;
                let id = namespace.enter(|| program.attach(interface, XdpMode::Driver))?;
                let id = id.map_err(BenchError::program(on_frames))?;
                Ok((Some(program.take_link(id).map_err(BenchError::program(on_frames))?), None))
            }
            Hook::Tc => {
                let program = tc(&mut self.ebpf, on_skbs)?;
                let way = || TcAttachOptions::TcxOrder(LinkOrder::first());
                let attach = || program.attach_with_options(interface, TcAttachType::Ingress, way());
                let id = namespace.enter(attach)?.map_err(BenchError::program(on_skbs))?;
                Ok((None, Some(program.take_link(id).map_err(BenchError::program(on_skbs))?)))
            }
        }
    }

    /// Tells the sink what is right, and has it count from zero.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn expect(&mut self, words: [u64; expected::WORDS]) -> Result<()> {
        self.put(expected::MAP, words)?;
        let zero = vec![
            [0u64; counted::WORDS];
            aya::util::nr_cpus()
                .map_err(|(_, error)| { BenchError::system("count the CPUs")(error) })?
        ];
        let mut map: PerCpuArray<_, [u64; counted::WORDS]> =
            self.map_mut(counted::MAP)?.try_into().map_err(BenchError::program(counted::MAP))?;
        let zero = aya::maps::PerCpuValues::try_from(zero).map_err(BenchError::system("count the CPUs"))?;
        map.set(0, zero, 0).map_err(BenchError::program(counted::MAP))
    }

    /// What the sink has counted since, on all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn counts(&self) -> Result<Counts> {
        let map = self.ebpf.map(counted::MAP).ok_or_else(|| missing(counted::MAP))?;
        let map: PerCpuArray<&MapData, Counts> = map.try_into().map_err(BenchError::program(counted::MAP))?;
        let values = map.get(&0, 0).map_err(BenchError::program(counted::MAP))?;
        let mut sum = Counts::default();
        for value in values.iter() {
            sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += value);
        }
        Ok(sum)
    }

    /// What the generator has made.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn made(&self) -> Result<Made> {
        let map = self.ebpf.map(generator::MAP).ok_or_else(|| missing(generator::MAP))?;
        let map: Array<&MapData, [u64; generator::WORDS]> =
            map.try_into().map_err(BenchError::program(generator::MAP))?;
        let words = map.get(&0, 0).map_err(BenchError::program(generator::MAP))?;
        let time = words[generator::LAST_TIME].saturating_sub(words[generator::FIRST_TIME]);
        Ok(Made {
            frames: words[generator::MADE],
            timed: words[generator::LAST_MADE],
            time: Duration::from_nanos(time),
        })
    }

    /// Sends frames from an interface, at most `most`, for as long as `while_running` takes. The generator makes one
    /// long call on the first CPU; `while_running` is asked on the caller's.
    ///
    /// # Errors
    /// When the kernel refuses the frames, or `while_running` fails.
    pub fn generate<T>(
        &mut self,
        from: (&Namespace, &str),
        stream: &Stream,
        most: u32,
        interrupt: &Interrupt,
        while_running: impl FnOnce(&Self, &Running<'_>) -> Result<T>,
    ) -> Result<T> {
        let (namespace, interface) = from;
        self.put(generator::MAP, stream.words(index(namespace, interface)?))?;
        let frame = stream.frame();
        let this: &Self = self;
        let program = this.ebpf.program("bench_generate").ok_or_else(|| missing("bench_generate"))?;
        let program: &Xdp = program.try_into().map_err(BenchError::program("bench_generate"))?;
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel::<(Thread, i32)>();
            let running = scope.spawn(move || {
                cpu::claim(cpu::MEASURED);
                let _ = tell.send((this_thread(), gettid().as_raw()));
                let ran = namespace.enter(|| run(program, &frame, most));
                this.note(cpu::account());
                ran
            });
            let thread = told.recv().ok();
            let goes_on = || !running.is_finished() && !interrupt.is_set();
            let result =
                while_running(this, &Running { goes_on: &goes_on, thread: thread.map(|(_, id)| id) });
            // A signal that comes before the call has begun is lost, so it is sent until it is heard.
            while let (false, Some((thread, _))) = (running.is_finished(), thread) {
                wake(thread);
                thread::sleep(Duration::from_millis(2));
            }
            let ran = running.join().unwrap_or(Ok(Ok(())))?;
            ran.map_err(BenchError::program("bench_generate"))?;
            interrupt.check()?;
            result
        })
    }

    fn note(&self, (ran, waited): (u64, u64)) {
        if let Ok(mut sum) = self.ran.lock() {
            *sum = (sum.0 + ran, sum.1 + waited);
        }
    }

    /// The share of their time for which generators waited while others had their CPU.
    pub fn waited(&self) -> f64 {
        let (ran, waited) = self.ran.lock().map_or((0, 0), |sum| *sum);
        waited as f64 / (ran + waited).max(1) as f64
    }

    fn put<const N: usize>(&mut self, name: &'static str, words: [u64; N]) -> Result<()> {
        let mut map: Array<_, [u64; N]> =
            self.map_mut(name)?.try_into().map_err(BenchError::program(name))?;
        map.set(0, words, 0).map_err(BenchError::program(name))
    }

    fn map_mut(&mut self, name: &'static str) -> Result<&mut aya::maps::Map> {
        self.ebpf.map_mut(name).ok_or_else(|| missing(name))
    }

    /// The programs that do nothing, for what a run costs by itself.
    ///
    /// # Errors
    /// When the object has none.
    pub fn empty(&self) -> Result<&SchedClassifier> {
        let program = self.ebpf.program("bench_empty_tc").ok_or_else(|| missing("bench_empty_tc"))?;
        program.try_into().map_err(BenchError::program("bench_empty_tc"))
    }
}

/// One long call; being woken out of it is how it ends.
fn run(program: &Xdp, frame: &[u8], most: u32) -> std::result::Result<(), ProgramError> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = most;
    options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
    match program.test_run(options) {
        Err(ProgramError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EINTR) => {
            Ok(())
        }
        other => other.map(drop),
    }
}

/// The number of an interface.
///
/// # Errors
/// When there is none of that name.
pub fn index(namespace: &Namespace, interface: &str) -> Result<u32> {
    namespace
        .enter(|| if_nametoindex(interface))?
        .map_err(|errno| BenchError::system(format!("find {interface}"))(errno.into()))
}

fn missing(name: &'static str) -> BenchError {
    BenchError::program(name)(std::io::Error::other("the object does not have it"))
}

fn xdp<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(BenchError::program(name))
}

fn tc<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(BenchError::program(name))
}

/// Waits for something that a running generator brings about, at most so long.
pub fn wait(most: Duration, running: &Running<'_>, mut until: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + most;
    while running.goes_on() && Instant::now() < end && !until()? {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
