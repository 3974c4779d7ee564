//! Packet sockets of the thread's namespace: whoever captures there sees what passes the host's stack, and not what
//! passes by it.

use std::fs;
use std::io;

/// What the thread's namespace has. `/proc/net` would be the process's.
const PATH: &str = "/proc/thread-self/net/packet";

/// The interfaces on which somebody receives IPv4 by a packet socket; 0 stands for all of them.
///
/// # Errors
/// When the kernel does not say.
pub fn open() -> io::Result<Vec<u32>> {
    match fs::read_to_string(PATH) {
        Ok(list) => Ok(read(&list)),
        // A kernel without packet sockets has no list of them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A line has the socket, its references, type, protocol, interface, whether it receives, and more.
fn read(list: &str) -> Vec<u32> {
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, protocol, interface, receives, ..] = words.as_slice() else { return None };
        let protocol = i32::from_str_radix(protocol, 16).ok()?;
        let sees_ipv4 = [libc::ETH_P_ALL, libc::ETH_P_IP].contains(&protocol);
        (sees_ipv4 && *receives == "1").then(|| interface.parse().ok())?
    };
    let mut interfaces: Vec<u32> = list.lines().skip(1).filter_map(line).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_receive_ipv4_count() {
        let list = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    0000000000000000 3      3    0003   7     1 0      0      9001\n\
                    0000000000000000 3      3    0800   4     1 0      0      9002\n\
                    0000000000000000 3      2    0806   5     1 0      0      9003\n\
                    0000000000000000 3      3    0000   6     0 0      0      9004\n\
                    0000000000000000 3      3    0003   8     0 0      0      9005\n\
                    0000000000000000 3      3    0003   0     1 0      0      9006\n\
                    0000000000000000 3      3    0003   7     1 0      0      9007\n";
        assert_eq!(read(list), [0, 4, 7]);
        assert_eq!(read(""), Vec::<u32>::new());
    }
}
