//! Taking away flows whose time is up, by running the program that does it in the kernel. It works to its end
//! whatever becomes of the agent, so nothing is ever left half done.

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use netlab_common::abi::names;
use netlab_common::abi::port::{Order, Swept};

use super::maps::Maps;
use super::{Error, Result, bpffs, programs};

/// Slots that one run looks at: a fraction of a millisecond's work.
const SLICE: u32 = 4096;

/// A lab's sweep program.
pub struct Sweeper(SchedClassifier);

impl Sweeper {
    /// Opens a lab's pinned program.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(lab: &str) -> Result<Self> {
        bpffs::look(lab)?;
        programs::open(lab, names::SWEEP_PROGRAM).map(Sweeper)
    }

    /// Sweeps a slice of slots.
    ///
    /// # Errors
    /// What the kernel says.
    fn slice(&self, first: u32, count: u32) -> Result<Swept> {
        let order = Order { first, count }.frame();
        let options = TestRunOptions { data_in: Some(&order), ..TestRunOptions::new() };
        let result = self
            .0
            .test_run(options)
            .map_err(|source| Error::Program { name: names::SWEEP_PROGRAM, source: Box::new(source) })?;
        // It understands its order, unless it is another netlab's; then nothing was done.
        Ok(Swept::returned(result.return_value).unwrap_or(Swept::new(0, 0)))
    }

    /// Sweeps all slots that were ever used, slice by slice; between two of them others may work. How many stay in use.
    ///
    /// # Errors
    /// What the kernel says; flows that were not reached are left for the next time.
    pub async fn all(&self, maps: &Maps) -> Result<u32> {
        let used = u32::try_from(maps.used_slots()?).unwrap_or(u32::MAX);
        let mut stayed = 0;
        let mut first = 0;
        // An empty table is swept too: the datapath hears by it that the agent lives.
        loop {
            stayed += self.slice(first, SLICE.min(used - first))?.stayed();
            first += SLICE;
            if first >= used {
                return Ok(stayed);
            }
            tokio::task::yield_now().await;
        }
    }
}
