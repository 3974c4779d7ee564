//! Versions as compilers and linkers print them: parsed, and compared by what matters here.

/// A release: major and minor. Patch levels never decide anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number, 0 where there is none.
    pub minor: u32,
}

impl Version {
    /// Reads `1.96.0`, `1.97.0-nightly` or `22.1.8`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Some(Version { major, minor })
    }
}

/// What `rustc -vV` says about a compiler, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustc {
    /// The compiler's own release.
    pub release: Version,
    /// The same as printed, for messages.
    pub printed: String,
    /// The major version of the LLVM inside; bitcode goes only to a linker with the same.
    pub llvm: u32,
}

impl Rustc {
    /// Reads the output of `rustc -vV`.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let printed = value("release:")?.to_owned();
        let llvm = Version::parse(value("LLVM version:")?)?.major;
        Some(Rustc { release: Version::parse(&printed)?, printed, llvm })
    }
}

/// The major version of the libLLVM that a program loads, from the output of `ldd`. `None` when it loads none
/// (LLVM is inside the program) or when the one it wants is gone.
pub fn llvm_of_ldd(text: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let (wanted, found) = line.trim().split_once(" => ")?;
        if found.starts_with("not found") {
            return None;
        }
        // Debian's own name is libLLVM.so.22.1; up to 17 it was libLLVM-17.so.1.
        let rest = wanted.strip_prefix("libLLVM")?;
        let digits = rest.strip_prefix(".so.").or_else(|| rest.strip_prefix('-'))?;
        Version::parse(digits).map(|version| version.major)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTC: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
                         host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    #[test]
    fn a_version_is_read_with_or_without_a_suffix() {
        assert_eq!(Version::parse("1.97.0-nightly"), Some(Version { major: 1, minor: 97 }));
        assert_eq!(Version::parse("22"), Some(Version { major: 22, minor: 0 }));
        assert_eq!(Version::parse("nightly"), None);
    }

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(Version::parse("1.100.0") > Version::parse("1.95.0"));
    }

    #[test]
    fn a_compiler_is_read_from_its_verbose_version() {
        let rustc = Rustc::parse(RUSTC).unwrap();
        assert_eq!((rustc.llvm, rustc.release.minor, rustc.printed.as_str()), (22, 96, "1.96.0"));
        assert_eq!(Rustc::parse("rustc 1.96.0"), None);
    }

    #[test]
    fn the_llvm_of_a_linker_is_the_library_it_loads() {
        let new =
            "\tlinux-vdso.so.1 (0x0)\n\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x7f)\n";
        assert_eq!(llvm_of_ldd(new), Some(22));
        assert_eq!(llvm_of_ldd("\tlibLLVM-16.so.1 => /lib/libLLVM-16.so.1 (0x7f)\n"), Some(16));
    }

    #[test]
    fn a_linker_whose_llvm_is_gone_or_inside_has_no_known_one() {
        assert_eq!(llvm_of_ldd("\tlibLLVM.so.22.1 => not found\n"), None);
        assert_eq!(llvm_of_ldd("\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n"), None);
    }
}
