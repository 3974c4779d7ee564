//! One mistake in a lab file and how it is shown: what is wrong, the place, why, and what to write instead.
//! All mistakes of a file are collected first and then drawn together, in the look of rustc.

use std::cell::RefCell;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A place in the file, in bytes.
pub type Span = Range<usize>;

/// A mistake, with everything its reader needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    span: Span,
    label: String,
    others: Vec<(Span, String)>,
    help: Vec<String>,
}

impl Diagnostic {
    /// A mistake at `span`; `label` stands next to the carets and may be empty.
    pub fn new(message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Diagnostic {
            message: message.into(),
            span,
            label: label.into(),
            others: Vec::new(),
            help: Vec::new(),
        }
    }

    /// The same mistake, pointing at one more place that takes part in it, if the text has it.
    #[must_use]
    pub fn also(mut self, span: impl Into<Option<Span>>, label: impl Into<String>) -> Self {
        self.others.extend(span.into().map(|span| (span, label.into())));
        self
    }

    /// The same mistake with one more line of advice.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// Collects mistakes, so that reading and checking go on after each.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    /// Notes one mistake.
    pub fn push(&self, problem: Diagnostic) {
        self.0.borrow_mut().push(problem);
    }

    /// Keeps the value, or notes why there is none.
    pub fn note<T>(&self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }

    /// How many there are so far. Comparing two counts tells whether the part between them was sound.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them, in the order of their places in the file.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|problem| problem.span.start);
        all
    }
}

/// Whether the drawing carries terminal colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Plain text.
    #[default]
    Plain,
    /// With ANSI colours, for a terminal.
    Colour,
}

/// Draws all the mistakes, one below the other with an empty line between.
pub fn render(file_name: &str, text: &str, problems: &[Diagnostic], look: Look) -> String {
    let renderer = match look {
        Look::Plain => Renderer::plain(),
        Look::Colour => Renderer::styled(),
    };
    let drawn: Vec<String> = problems
        .iter()
        .map(|problem| {
            let lines = renderer.render(&[group(file_name, text, problem)]);
            // Labels leave blanks at the ends of otherwise empty lines.
            lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
        })
        .collect();
    drawn.join("\n\n")
}

fn group<'a>(file_name: &'a str, text: &'a str, problem: &'a Diagnostic) -> Group<'a> {
    let primary = AnnotationKind::Primary.span(within(text, &problem.span));
    let mut snippet = Snippet::source(text).path(file_name).annotation(if problem.label.is_empty() {
        primary
    } else {
        primary.label(&problem.label)
    });
    for (span, label) in &problem.others {
        snippet = snippet.annotation(AnnotationKind::Context.span(within(text, span)).label(label));
    }
    let mut group = Level::ERROR.primary_title(&problem.message).element(snippet);
    for line in &problem.help {
        group = group.element(Level::HELP.message(printable(line)));
    }
    group
}

/// The span cut to the text and to whole characters: a place that is slightly off must still be shown.
fn within(text: &str, span: &Span) -> Span {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// Help lines may quote the file, and a file may hold escape sequences: none of them reaches the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
