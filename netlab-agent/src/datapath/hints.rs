//! How many places for hints the datapath makes use of: enough for the flows that there are, and no more, because all of
//! them are to fit into a CPU's caches if they can. A change makes it search once for each flow, and nothing else.

use aya::maps::{Array, Map, MapData};
use netlab_common::abi::{names, recent};

use super::maps::{failed, typed};
use super::{Result, bpffs};

/// The map that says so.
pub struct Hints {
    map: Array<MapData, u32>,
    /// As many as there are, as a power of two.
    most: u32,
    said: u32,
}

impl Hints {
    /// Opens a lab's pinned map. It says nothing yet.
    ///
    /// # Errors
    /// As [`Maps::open`](super::maps::Maps::open).
    pub fn open(lab: &str) -> Result<Self> {
        bpffs::look(lab)?;
        let folder = bpffs::folder(lab);
        let places: Array<MapData, [u64; recent::HINTS]> = typed(&folder, names::RECENT, Map::Array)?;
        let map = typed(&folder, names::EPOCH, Map::Array)?;
        Ok(Hints { map, most: places.len().max(1).ilog2(), said: 0 })
    }

    /// Makes it say what is right for so many flows.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn follow(&mut self, flows: u32) -> Result<()> {
        let bits = next(self.said, recent::place_bits(flows, self.most));
        if bits != self.said {
            self.map.set(recent::BITS_AT, bits, 0).map_err(|error| failed(names::EPOCH, error))?;
            self.said = bits;
        }
        Ok(())
    }
}

/// More as soon as they are wanted, fewer only when it is far fewer: a number of flows that goes up and down by a few
/// is to change nothing.
fn next(said: u32, wanted: u32) -> u32 {
    if wanted > said || wanted + 1 < said { wanted } else { said }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn there_are_more_places_at_once_and_fewer_when_far_fewer_are_wanted() {
        assert_eq!([next(0, 10), next(10, 11), next(12, 11), next(12, 10)], [10, 11, 12, 10]);
    }
}
