//! The shape of a tree: `tree`.

use crate::args::TreeShape;
use crate::failure::{Failure, Outcome};
use crate::figures::counted;
use crate::output::Output;
use crate::{store, text};
use mapleaf::{OutlineNode, PageMap, TreeOutline};
use std::path::Path;

/// Characters of a separator that are shown.
const KEY_CHARS: usize = 32;

/// Prints the tree, indented or for Graphviz.
pub(crate) fn run(path: &Path, args: &TreeShape) -> Outcome {
    let map = PageMap::read(path)?;
    let name = if args.names { "" } else { &args.tree };
    let Some(outline) = map.outline(name, args.limit) else {
        return Err(match map.damages() {
            0 => store::no_tree(path, name),
            _ => Failure::No(format!("{}: no tree {name:?} that can be read", path.display())),
        });
    };
    let mut output = Output::new();
    if args.dot {
        dot(name, &outline, &mut output)?
    } else {
        indented(name, &outline, &mut output)?
    }
    output.end()
}

fn title(name: &str, outline: &TreeOutline) -> String {
    let record = &outline.record;
    let pages = [
        counted(record.inner_pages.into(), "inner page", "inner pages"),
        counted(record.leaf_pages.into(), "leaf", "leaves"),
        counted(record.run_pages.into(), "value page", "value pages"),
    ];
    let name = if name.is_empty() { "names of the trees".into() } else { format!("tree {name:?}") };
    let entries = counted(record.entries, "entry", "entries");
    format!("{name}: {entries}, depth {}, {}", record.height, pages.join(", "))
}

fn left_out(outline: &TreeOutline) -> Option<String> {
    let pages = counted(outline.left_out, "page", "pages");
    (outline.left_out > 0).then(|| format!("{pages} left out (see --limit)"))
}

/// What is said of a page, line by line.
fn facts(node: &OutlineNode) -> Vec<String> {
    let entries = match node.is_leaf {
        true => counted(node.entries as u64, "entry", "entries"),
        false => counted(node.entries as u64, "child", "children"),
    };
    let mut lines = vec![format!("{}: {entries}, {} % full", node.page, node.fill_percent)];
    if node.values > 0 {
        let values = counted(node.values, "large value", "large values");
        let pages = counted(node.value_pages, "page", "pages");
        lines.push(format!("{values} on {pages}"));
    }
    if let Some(trouble) = &node.trouble {
        lines.push(format!("damaged: {trouble}"));
    }
    lines
}

fn key(bytes: &[u8]) -> String {
    let shown = text::shown(bytes);
    match shown.char_indices().nth(KEY_CHARS) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

fn indented(name: &str, outline: &TreeOutline, output: &mut Output) -> Outcome {
    output.line(&title(name, outline))?;
    let mut children = vec![Vec::new(); outline.nodes.len()];
    for (i, node) in outline.nodes.iter().enumerate() {
        if let Some(siblings) = node.parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(i);
        }
    }
    let root = if outline.nodes.is_empty() { None } else { Some((0, 1)) };
    let mut steps: Vec<(usize, usize)> = root.into_iter().collect();
    while let Some((i, depth)) = steps.pop() {
        let Some(node) = outline.nodes.get(i) else { continue };
        let from =
            node.from.as_ref().map_or(String::new(), |from| format!(", from '{}'", key(from)));
        output.line(&format!("{}{}{from}", "  ".repeat(depth), facts(node).join(", ")))?;
        if node.children_left_out > 0 {
            let more = counted(node.children_left_out as u64, "child", "children");
            output.line(&format!("{}{more} left out", "  ".repeat(depth + 1)))?;
        }
        let below = children.get(i).into_iter().flatten().rev();
        steps.extend(below.map(|child| (*child, depth + 1)));
    }
    match left_out(outline) {
        Some(line) => output.line(&line),
        None => Ok(()),
    }
}

/// A string of the dot language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn dot(name: &str, outline: &TreeOutline, output: &mut Output) -> Outcome {
    let mut label = title(name, outline);
    if let Some(left_out) = left_out(outline) {
        label = format!("{label}\n{left_out}");
    }
    output.line("digraph tree {")?;
    output.line(&format!("  graph [label={}, labelloc=t, rankdir=LR];", quoted(&label)))?;
    output.line("  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];")?;
    output.line("  edge [fontname=\"sans-serif\", fontsize=9];")?;
    for (i, node) in outline.nodes.iter().enumerate() {
        let colour = match (&node.trouble, node.is_leaf) {
            (Some(_), _) => "#ff6680",
            (None, true) => "#c8e8d0",
            (None, false) => "#e0cdf0",
        };
        let label = quoted(&facts(node).join("\n"));
        output.line(&format!("  n{i} [label={label}, fillcolor={}];", quoted(colour)))?;
        if let Some(parent) = node.parent {
            let from = node.from.as_ref().map_or(String::new(), |from| key(from));
            output.line(&format!("  n{parent} -> n{i} [label={}];", quoted(&from)))?;
        }
    }
    // Behind the children that are shown.
    for (i, node) in outline.nodes.iter().enumerate() {
        if node.children_left_out > 0 {
            let more = counted(node.children_left_out as u64, "child", "children");
            let label = quoted(&format!("{more} left out"));
            output.line(&format!("  m{i} [label={label}, shape=plaintext, style=\"\"];"))?;
            output.line(&format!("  n{i} -> m{i} [style=dashed];"))?;
        }
    }
    output.line("}")
}
