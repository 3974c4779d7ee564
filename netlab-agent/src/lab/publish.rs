//! One more forward for a lab that was checked before: what `netlab forward add` is given, judged by the same
//! rules as a file's `[[forward]]`.

use super::check;
use super::diagnostic::{Look, Problems, Span, render};
use super::file::ForwardTable;
use super::read::Texts;
use super::text::Text;
use super::{Forward, Lab};
use crate::error::{Failure, Kind};

/// How the command that takes these words is written; carets point into it.
const COMMAND: &str = "netlab forward add";

/// Reads and checks one `publish` and those who may use it (an empty list is everybody). It must not clash
/// with the lab's forwards; `rule` will be its number.
///
/// # Errors
/// All that is wrong, drawn under the words of the command, as [`Kind::Usage`].
pub fn publish(lab: &Lab, publish: &str, allow: &[String], rule: u32) -> Result<Forward, Failure> {
    let mut line = COMMAND.to_owned();
    let mut word = |option: &str, word: &str| -> Span {
        line.push_str(option);
        line.push_str(word);
        line.len() - word.len()..line.len()
    };
    let place = word(" ", publish);
    let places: Vec<Span> = allow.iter().map(|net| word(" --allow ", net)).collect();
    let texts = allow.iter().zip(places).map(|(net, place)| Text::new(net, place, &line));
    let table = ForwardTable {
        publish: Some(Text::new(publish, place, &line)),
        allow: Texts { items: texts.collect(), key: None },
        sound: true,
    };
    let problems = Problems::default();
    match check::one_more(lab, &table, rule, &problems) {
        Some(forward) if problems.count() == 0 => Ok(forward),
        _ => {
            let drawn = render("command line", &line, &problems.into_sorted(), Look::Plain);
            Err(Failure::report(Kind::Usage, drawn))
        }
    }
}
