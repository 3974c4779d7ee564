//! From a path to a checked lab: reads the file, and turns all that is wrong with it into one failure.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Look, Problems, render};
use super::{Lab, check, file};
use crate::error::{Explain, Failure, Kind};

/// A checked lab with the text it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The lab.
    pub lab: Lab,
    /// The whole file, as it was.
    pub text: String,
}

/// Why a lab file could not be read at all.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("there is no lab file `{}`", path.display())]
    Missing { path: PathBuf },
    #[error("`{}` is a directory, not a lab file", path.display())]
    Directory { path: PathBuf },
    #[error("`{}` is not a text file: byte {at} is not UTF-8", path.display())]
    NotText { path: PathBuf, at: usize },
    #[error("cannot read the lab file `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

impl LoadError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => LoadError::Missing { path },
            io::ErrorKind::IsADirectory => LoadError::Directory { path },
            _ => LoadError::Unreadable { path, source },
        }
    }
}

impl Explain for LoadError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let choose =
            "name the file with `-f FILE` or the variable NETLAB_FILE; without them netlab reads ./lab.toml";
        match self {
            LoadError::Missing { .. } => vec![choose.to_owned()],
            LoadError::Directory { path } => {
                vec![format!("did you mean `{}`?", path.join("lab.toml").display()), choose.to_owned()]
            }
            LoadError::NotText { .. } => {
                vec!["save it as UTF-8, or choose another file with `-f FILE`".to_owned()]
            }
            LoadError::Unreadable { .. } => vec![choose.to_owned()],
        }
    }
}

/// Reads and checks a lab file. Its mistakes are drawn without colours.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    load_for(path, Look::Plain)
}

/// Reads and checks a lab file.
pub fn load_for(path: &Path, look: Look) -> Result<Loaded, Failure> {
    let bytes = read_bounded(path).map_err(|source| LoadError::new(path, source))?;
    let text = String::from_utf8(bytes).map_err(|error| LoadError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })?;
    let lab = parse_for(&path.display().to_string(), &text, look)?;
    Ok(Loaded { lab, text })
}

/// A lab file of any sense is far smaller; something like `/dev/zero` never ends.
const LONGEST: u64 = 4 << 20;

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 4 MiB"));
    }
    Ok(bytes)
}

/// Checks the text of a lab file; `file_name` is how messages call it.
pub fn parse(file_name: &str, text: &str) -> Result<Lab, Failure> {
    parse_for(file_name, text, Look::Plain)
}

fn parse_for(file_name: &str, text: &str, look: Look) -> Result<Lab, Failure> {
    let (document, broken) = DeTable::parse_recoverable(text);
    let problems = Problems::default();
    // After a syntax error half a table may be missing, and every rule about it would cry wolf: what the
    // names and addresses mean is looked at once the file is TOML.
    for error in &broken {
        problems.push(syntax(error, text));
    }
    if problems.count() > 0 {
        let end = "is not valid TOML yet; what it means is checked once it is";
        return Err(report(file_name, text, problems, look, end));
    }
    let file = file::read(text, document.get_ref(), &problems);
    let lab = check::check(&file, &problems);
    if problems.count() == 0 {
        return Ok(lab);
    }
    let end = match problems.count() {
        1 => "has 1 problem".to_owned(),
        count => format!("has {count} problems"),
    };
    Err(report(file_name, text, problems, look, &end))
}

fn report(file_name: &str, text: &str, problems: Problems, look: Look, end: &str) -> Failure {
    let drawn = render(file_name, text, &problems.into_sorted(), look);
    Failure::report(Kind::Usage, format!("{drawn}\n\nerror: {file_name} {end}"))
}

fn syntax(error: &toml::de::Error, text: &str) -> Diagnostic {
    // Without a place it is the end of the file that came too early.
    let span = error.span().unwrap_or(text.len()..text.len());
    match error.message() {
        "duplicate key" => Diagnostic::new("the same key or table twice", span, "written before already")
            .help("keep one of them; a node's or bridge's keys all stand under one header"),
        message => Diagnostic::new(message, span, ""),
    }
}
