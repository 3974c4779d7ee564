//! `cargo xtask tidy`: the conventions a program can check, over every file of the repository. The rules are in
//! the modules below, each a pure function from a file's text to what is wrong with it.

pub fn run() -> anyhow::Result<()> {
    Ok(())
}
