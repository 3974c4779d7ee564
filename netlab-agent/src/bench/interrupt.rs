//! Ending in the middle: signals become a flag that everything which takes time looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use super::error::{BenchError, Result};

/// Whether the user wants it to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes the signals that ask a process to end. Threads that are started later leave them to this one, and
    /// programs that are started later get them as usual.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn watch() -> Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().map_err(|errno| BenchError::system("hold signals back")(errno.into()))?;
        let interrupt = Interrupt::default();
        let flag = interrupt.clone();
        let wait = move || {
            while signals.wait().is_ok() {
                flag.0.store(true, Ordering::Relaxed);
            }
        };
        thread::Builder::new()
            .name("bench-signals".into())
            .spawn(wait)
            .map_err(BenchError::system("start a thread"))?;
        Ok(interrupt)
    }

    /// Goes on only if nobody wants it to end.
    ///
    /// # Errors
    /// When somebody does.
    pub fn check(&self) -> Result<()> {
        if self.is_set() { Err(BenchError::Interrupted) } else { Ok(()) }
    }

    /// Whether somebody wants it to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits, but not longer than the user does.
    ///
    /// # Errors
    /// When the user wants it to end.
    pub fn sleep(&self, length: Duration) -> Result<()> {
        let end = Instant::now() + length;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
