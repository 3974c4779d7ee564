//! One lab of the bench, brought up by `netlab up` like anybody's, with whatever stands in its host.

use std::ffi::CStr;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::error::{BenchError, Result};

use super::measure::Traffic;
use super::object::{Floor, Object};
use super::owner::{Owner, netlab};
use super::plan::Spec;
use super::rivals;
use super::text::{self, Names};
use super::variant::Made;
use crate::netns::Namespace;
use crate::sys::bench::set_gro;

/// The environment variable by which tests make the bench expect what nobody sends.
const EXPECT: &str = "NETLAB_BENCH_EXPECT";

/// A lab that is up.
#[derive(Debug)]
pub struct Bed {
    /// What it is for.
    pub spec: Spec,
    /// The names of its parts.
    pub names: Names,
    /// The namespace that sends.
    pub earth: Namespace,
    /// The namespace that receives.
    pub world: Namespace,
    /// The namespace between them, where there is one.
    pub host: Option<Namespace>,
    /// What was sent through it last.
    pub used_to: Mutex<Option<Traffic>>,
    /// Whether frames have gone through it, so that neighbours know each other.
    pub met: AtomicBool,
    /// The redirecting program of the bench, where that is what is measured.
    floor: Option<Floor>,
    /// Takes the lab down when it goes.
    _down: Down,
}

/// A lab that is to be taken down.
#[derive(Debug)]
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        // What does not go now stays in the note, and the next bench tries again.
        let _ = netlab(&["down", "-l", &self.0]);
    }
}

impl Bed {
    /// Brings a lab up.
    ///
    /// # Errors
    /// When it, or what stands in its host, is refused.
    pub fn new(owner: &Owner, number: usize, spec: Spec, object: &mut Object) -> Result<Self> {
        let names = Names::new(owner.number, number);
        let file = owner.write(&format!("{number}.toml"), &text::lab(&spec, &names))?;
        owner.claim(&names.lab)?;
        let down = Down(names.lab.clone());
        let ran = netlab(&["up", &file.display().to_string()])?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
            return Err(match ran.status.code() {
                Some(130) => BenchError::Interrupted,
                _ => BenchError::Lab { variant: spec.variant.title(), said },
            });
        }
        let earth = Namespace::open(&names.earth)?;
        let world = Namespace::open(&names.world)?;
        let host =
            if spec.variant.made() == Made::Cable { None } else { Some(Namespace::open(&names.host)?) };
        let mut floor = None;
        if let (Some(host), Made::Kernel(Some(rival))) = (&host, spec.variant.made()) {
            rivals::load(host, rival, &rivals::script(rival, spec.forwards))?;
        }
        if let (Some(host), Made::Floor(hook)) = (&host, spec.variant.made()) {
            floor = Some(object.floor(host, hook)?);
        }
        let bed = Bed {
            spec,
            names,
            earth,
            world,
            host,
            used_to: Mutex::new(None),
            met: AtomicBool::new(false),
            floor,
            _down: down,
        };
        bed.take_frames()?;
        Ok(bed)
    }

    /// Makes each interface take frames that are redirected to it: the same in every variant.
    fn take_frames(&self) -> Result<()> {
        let on = |namespace: &Namespace, interface: &CStr| -> Result<()> {
            let set = namespace.enter(|| set_gro(interface, true))?;
            set.map_err(BenchError::system(format!("turn on GRO of {}", interface.to_string_lossy())))
        };
        on(&self.earth, c"earth-veth")?;
        on(&self.world, c"eth0")?;
        if let Some(host) = &self.host {
            on(host, c"earth-br-veth")?;
            on(host, c"eth0")?;
        }
        Ok(())
    }

    /// Ends all flows, so that a round meets an empty table, and waits until they are gone.
    ///
    /// # Errors
    /// When it is refused.
    pub fn flush(&self) -> Result<()> {
        match (self.spec.variant.made(), &self.host) {
            (Made::Kernel(Some(_)), Some(host)) => rivals::flush(host),
            (Made::Netlab(_), _) => {
                netlab(&["conntrack", "flush", "-l", &self.names.lab])?;
                let deadline = Instant::now() + Duration::from_secs(10);
                while self.flows()? > 0 && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many flows netlab has.
    fn flows(&self) -> Result<u64> {
        let ran = netlab(&["conntrack", "count", "-l", &self.names.lab, "-o", "json"])?;
        let text = String::from_utf8_lossy(&ran.stdout);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        Ok(value["flows"].as_u64().unwrap_or(0))
    }

    /// Tells the bench's programs in this lab where to send frames.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn tell(&self, object: &mut Object) -> Result<()> {
        self.floor.as_ref().map_or(Ok(()), |floor| object.tell(floor))
    }

    /// What the world sees as the source of what earth sends.
    pub fn seen(&self) -> [u8; 4] {
        // For the tests: that packets which are not as they must be fail their round.
        if std::env::var_os(EXPECT).is_some_and(|value| value == "wrong") {
            return [192, 0, 2, 1];
        }
        if self.spec.variant.translates() { text::HOST } else { text::EARTH }
    }

    /// An address of the world's servers.
    pub fn server(number: usize) -> Ipv4Addr {
        text::SERVERS[number % text::SERVERS.len()].into()
    }
}
