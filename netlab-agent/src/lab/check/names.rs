//! Who is who: turns the names in a file into places and bridges. A name that nobody has is reported with
//! the nearest one, and then taken for that one, so that one slip makes one report and not five.

use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::File;
use crate::lab::suggest;
use crate::lab::text::{Piece, Text};
use crate::lab::{Lab, Place, value};

/// The word for the host wherever a name is wanted.
pub const HOST: &str = "host";

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host's stack.
    Host,
    /// The bridge of this index.
    Bridge(usize),
    /// The node of this index.
    Node(usize),
}

/// Which kinds of name fit at a place in the file.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How a message calls what is wanted.
    pub what: &'static str,
    host: bool,
    bridges: bool,
    nodes: bool,
}

impl Wanted {
    /// Where a link can lead.
    pub const LINK_END: Wanted = Wanted { what: "bridge or node", host: true, bridges: true, nodes: true };
    /// Whose packets a masquerade hides.
    pub const SOURCE: Wanted = Wanted { what: "bridge or node", host: false, bridges: true, nodes: true };
    /// Where a command or probe runs.
    pub const PLACE: Wanted = Wanted { what: "node", host: true, bridges: false, nodes: true };
    /// Who serves a port.
    pub const NODE: Wanted = Wanted { what: "node", host: false, bridges: false, nodes: true };
}

/// Where the names come from.
#[derive(Clone, Copy)]
enum Source<'f> {
    /// A file that is being checked.
    File(&'f File),
    /// A lab that was checked before; its names have no places.
    Lab(&'f Lab),
}

impl<'f> Source<'f> {
    fn bridges(self) -> Vec<&'f str> {
        match self {
            Source::File(file) => file.bridges.iter().map(|bridge| bridge.name.value.as_str()).collect(),
            Source::Lab(lab) => lab.bridges.iter().map(|bridge| bridge.name.as_str()).collect(),
        }
    }

    fn nodes(self) -> Vec<&'f str> {
        match self {
            Source::File(file) => file.nodes.iter().map(|node| node.name.value.as_str()).collect(),
            Source::Lab(lab) => lab.nodes.iter().map(|node| node.name.as_str()).collect(),
        }
    }
}

/// The names that a file defines or a lab has.
#[derive(Clone, Copy)]
pub struct Names<'f> {
    source: Source<'f>,
    problems: &'f Problems,
}

impl<'f> Names<'f> {
    /// Checks the names themselves and makes them available.
    pub fn new(file: &'f File, problems: &'f Problems) -> Self {
        let names = Names { source: Source::File(file), problems };
        names.check(file);
        names
    }

    /// The names of a lab, which were checked when it was read.
    pub fn of_lab(lab: &'f Lab, problems: &'f Problems) -> Self {
        Names { source: Source::Lab(lab), problems }
    }

    /// What `piece` stands for. `None` after a report: nobody has this name or one near it.
    pub fn find(&self, piece: Piece<'_>, wanted: Wanted) -> Option<Target> {
        // A bridge or node of that name is a mistake of its own.
        if wanted.host && piece.text == HOST {
            return Some(Target::Host);
        }
        let bridge = self.bridge(piece.text);
        let node = self.node(piece.text);
        if let (Some(bridge), Some(node), true, true) = (bridge, node, wanted.bridges, wanted.nodes) {
            self.problems.push(self.ambiguous(piece, bridge, node));
            return Some(Target::Bridge(bridge));
        }
        let fits = match (bridge, node) {
            (Some(bridge), _) if wanted.bridges => Some(Target::Bridge(bridge)),
            (_, Some(node)) if wanted.nodes => Some(Target::Node(node)),
            _ => None,
        };
        if fits.is_some() {
            return fits;
        }
        if piece.text == HOST {
            self.problems.push(self.misfit(piece, wanted, "the host itself"));
            return None;
        }
        if let Some(bridge) = bridge {
            let place = self.bridge_span(bridge);
            self.problems.push(self.misfit(piece, wanted, "a bridge").also(place, "the bridge"));
            return None;
        }
        self.unknown(piece, wanted)
    }

    /// The place that `text` names.
    pub fn place(&self, text: &Text) -> Option<Place> {
        match self.find(text.piece(), Wanted::PLACE)? {
            Target::Node(node) => Some(Place::Node(node)),
            Target::Host | Target::Bridge(_) => Some(Place::Host),
        }
    }

    /// The node that `piece` names.
    pub fn node_named(&self, piece: Piece<'_>) -> Option<usize> {
        match self.find(piece, Wanted::NODE)? {
            Target::Node(node) => Some(node),
            Target::Host | Target::Bridge(_) => None,
        }
    }

    /// How the file calls a place.
    pub fn of(&self, place: Place) -> &'f str {
        match place {
            Place::Host => HOST,
            Place::Node(node) => match self.source {
                Source::File(file) => &file.nodes[node].name.value,
                Source::Lab(lab) => &lab.nodes[node].name,
            },
        }
    }

    /// Where the file defines the node.
    pub fn node_span(&self, node: usize) -> Option<Span> {
        match self.source {
            Source::File(file) => Some(file.nodes[node].name.span.clone()),
            Source::Lab(_) => None,
        }
    }

    fn bridge_span(&self, bridge: usize) -> Option<Span> {
        match self.source {
            Source::File(file) => Some(file.bridges[bridge].name.span.clone()),
            Source::Lab(_) => None,
        }
    }

    fn bridge(&self, name: &str) -> Option<usize> {
        self.source.bridges().into_iter().position(|bridge| bridge == name)
    }

    fn node(&self, name: &str) -> Option<usize> {
        self.source.nodes().into_iter().position(|node| node == name)
    }

    fn candidates(&self, wanted: Wanted) -> Vec<&'f str> {
        let bridges = self.source.bridges().into_iter().filter(|_| wanted.bridges);
        let nodes = self.source.nodes().into_iter().filter(|_| wanted.nodes);
        bridges.chain(nodes).chain(wanted.host.then_some(HOST)).collect()
    }

    fn unknown(&self, piece: Piece<'_>, wanted: Wanted) -> Option<Target> {
        let candidates = self.candidates(wanted);
        let what = wanted.what;
        let problem = Diagnostic::new(
            format!("there is no {what} called `{}`", piece.text),
            piece.span(),
            format!("no such {what}"),
        );
        let Some(near) = suggest::nearest(piece.text, candidates.iter().copied()) else {
            self.problems.push(if candidates.is_empty() {
                problem.help(format!("define it: `[node.{}]`", piece.text))
            } else {
                problem.help(format!("these exist: {}", suggest::row(candidates)))
            });
            return None;
        };
        self.problems.push(problem.help(format!("did you mean `{near}`?")));
        let bridge = self.bridge(near).filter(|_| wanted.bridges).map(Target::Bridge);
        let node = self.node(near).filter(|_| wanted.nodes).map(Target::Node);
        Some(bridge.or(node).unwrap_or(Target::Host))
    }

    fn misfit(&self, piece: Piece<'_>, wanted: Wanted, is: &str) -> Diagnostic {
        Diagnostic::new(
            format!("`{}` is {is}, but a {} is wanted", piece.text, wanted.what),
            piece.span(),
            format!("not a {}", wanted.what),
        )
        .help(format!("these fit: {}", suggest::row(self.candidates(wanted))))
    }

    fn ambiguous(&self, piece: Piece<'_>, bridge: usize, node: usize) -> Diagnostic {
        Diagnostic::new(
            format!("`{}` is the name of a bridge and of a node", piece.text),
            piece.span(),
            "which of the two?",
        )
        .also(self.bridge_span(bridge), "the bridge")
        .also(self.node_span(node), "the node")
        .help("rename one of them")
    }

    fn check(&self, file: &File) {
        for bridge in &file.bridges {
            self.refuse_host("bridge", &bridge.name);
        }
        let namespace = file.host.namespace.as_ref();
        for node in &file.nodes {
            self.refuse_host("node", &node.name);
            self.problems.note(value::namespace_name("a node", node.name.piece(), true, 64));
            if let Some(namespace) = namespace.filter(|namespace| namespace.value == node.name.value) {
                self.problems.push(
                    Diagnostic::new(
                        format!("node `{}` and the host would be one namespace", node.name.value),
                        node.name.span.clone(),
                        "the node's namespace gets this name",
                    )
                    .also(namespace.span.clone(), "and so does the host's")
                    .help("rename the node or the host's `namespace`"),
                );
            }
        }
    }

    fn refuse_host(&self, what: &str, name: &Text) {
        if name.value == HOST {
            let span: Span = name.span.clone();
            self.problems.push(
                Diagnostic::new(format!("a {what} cannot be called `host`"), span, "reserved").help(
                    "`host` always means the machine between the nodes; the table `[host]` describes it",
                ),
            );
        }
    }
}
