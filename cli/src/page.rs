//! One page, byte by byte: `page`.

use crate::args::Page;
use crate::failure::{Failure, Outcome};
use crate::figures::{count, counted};
use crate::json::put_bytes;
use crate::output::Output;
use crate::text;
use mapleaf::{
    ExplainedField, ExplainedPage, FieldContent, PageChecksum, PageId, PageKind, PageMap,
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Bytes on a line of the dump.
const LINE_BYTES: usize = 16;
/// Bytes of keys and values that are shown beside their field; the dump has all.
const SHOWN_BYTES: usize = 40;
/// Columns for the names beside a line of the dump.
const NAMES_COLUMNS: usize = 60;

/// Explains the page.
pub(crate) fn run(path: &Path, args: &Page) -> Outcome {
    let map = PageMap::read(path)?;
    let page = map.explain(PageId(args.page)).map_err(|trouble| {
        Failure::No(format!("{}: page {}: {trouble}", path.display(), args.page))
    })?;
    let mut output = Output::new();
    if args.json {
        output.line(&as_json(&map, &page).to_string())?;
    } else {
        for line in summary(path, &map, &page) {
            output.line(&line)?;
        }
        output.line("")?;
        for field in &page.fields {
            let bytes = format!("{}..{}", field.bytes.start, field.bytes.end);
            let line = format!("{bytes:>12}  {:<32}  {}", name(field), shown(&field.content));
            output.line(line.trim_end())?;
        }
        output.line("")?;
        dump(&page, &mut output)?;
    }
    output.end()
}

fn summary(path: &Path, map: &PageMap, page: &ExplainedPage) -> Vec<String> {
    let offset = u64::from(page.page.0) * u64::from(map.page_size());
    let mut lines = vec![format!(
        "{}, page {}: {}; {} bytes from byte {} of the file",
        path.display(),
        page.page.0,
        use_of(page),
        count(map.page_size().into()),
        count(offset)
    )];
    lines.push(match page.checksum {
        PageChecksum::Right => "checksum: right".into(),
        PageChecksum::Wrong { found, wanted } if in_use(page) => {
            format!("checksum: WRONG: it is {found:#018x}, its bytes come to {wanted:#018x}")
        }
        PageChecksum::Wrong { .. } => {
            "checksum: none that matches; on a page that is not in use that means nothing".into()
        }
        _ if page.kind == Some(PageKind::Log) => {
            "checksum: each block has its own; blocks that are named here have the right one".into()
        }
        _ if page.run.is_some_and(|(first, _)| first != page.page) => {
            "checksum: in the value's first page, over all of it".into()
        }
        _ => "checksum: how far it reaches cannot be read".into(),
    });
    if let Some(damage) = page.damage.filter(|_| in_use(page)) {
        lines.push(format!("damaged: {damage}"));
    }
    for (damaged, trouble) in map.damaged() {
        if *damaged == page.page && *damaged != PageId::NONE {
            lines.push(format!("the way to it: {trouble}"));
        }
    }
    lines
}

fn in_use(page: &ExplainedPage) -> bool {
    !matches!(page.kind, None | Some(PageKind::Free | PageKind::Pinned | PageKind::Unreached))
}

fn use_of(page: &ExplainedPage) -> String {
    let tree = match page.tree.as_deref() {
        Some("") => " of the names of the trees".into(),
        Some(name) => format!(" of tree {name:?}"),
        None => String::new(),
    };
    match page.kind {
        Some(PageKind::Meta) => "meta".into(),
        Some(PageKind::Log) => "a page of the log ring".into(),
        Some(PageKind::Inner) => format!("inner page{tree}"),
        Some(PageKind::Leaf) => format!("leaf{tree}"),
        Some(PageKind::Value) => {
            let (first, pages) = page.run.unwrap_or((page.page, 1));
            let part = page.page.0 - first.0 + 1;
            format!("page {part} of {pages} of a large value{tree}, which begins on {first}")
        }
        Some(PageKind::Space) => "a page of the lists of free pages".into(),
        Some(PageKind::Free) => "free; what is on it is left over".into(),
        Some(PageKind::Pinned) => "freed; an older state may still see it".into(),
        Some(_) => "nothing that can be read leads to it".into(),
        None => "grown, and not yet in use".into(),
    }
}

fn name(field: &ExplainedField) -> String {
    match field.index {
        Some(index) => format!("{}[{index}]", field.name),
        None => field.name.into(),
    }
}

fn shown(content: &FieldContent) -> String {
    match content {
        FieldContent::Number(number) => count(*number),
        FieldContent::Hex(number) => format!("{number:#x}"),
        FieldContent::Page(PageId::NONE) => "none".into(),
        FieldContent::Page(page) => page.to_string(),
        FieldContent::Txn(txn) => txn.to_string(),
        FieldContent::Text(text) => (*text).into(),
        FieldContent::Bytes(bytes) => match bytes.get(..SHOWN_BYTES) {
            Some(start) if start.len() < bytes.len() => {
                let all = counted(bytes.len() as u64, "byte", "bytes");
                format!("'{}'... ({all})", text::shown(start))
            }
            _ => format!("'{}'", text::shown(bytes)),
        },
        _ => String::new(),
    }
}

/// Of each byte the field it is in, the first where several claim it; and where the field begins.
fn owners(page: &ExplainedPage) -> Vec<usize> {
    let mut owners = vec![usize::MAX; page.bytes.len()];
    for (i, field) in page.fields.iter().enumerate() {
        let bytes = owners.get_mut(field.bytes.clone()).unwrap_or_default();
        for owner in bytes.iter_mut().filter(|owner| **owner == usize::MAX) {
            *owner = i;
        }
    }
    owners
}

/// The bytes, with a bar where a field ends, and the names of the fields that begin on each line. Lines
/// like the one before, of the same field, are left out.
fn dump(page: &ExplainedPage, output: &mut Output) -> Outcome {
    let owners = owners(page);
    let mut before: Option<(&[u8], &[usize])> = None;
    let mut skipped = false;
    for (i, bytes) in page.bytes.chunks(LINE_BYTES).enumerate() {
        let at = i * LINE_BYTES;
        let owned = owners.get(at..at + bytes.len()).unwrap_or_default();
        let next = owners.get(at + bytes.len());
        let plain = owned.first() == owned.last() && owned.last() == next;
        if plain && before == Some((bytes, owned)) {
            if !skipped {
                output.line("       *")?;
            }
            skipped = true;
            continue;
        }
        (before, skipped) = (Some((bytes, owned)), false);
        output.line(&dump_line(page, at, bytes, (owned, next)))?;
    }
    Ok(())
}

fn dump_line(
    page: &ExplainedPage,
    at: usize,
    bytes: &[u8],
    (owned, next): (&[usize], Option<&usize>),
) -> String {
    let mut line = format!("{at:8}  ");
    let mut plain = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        let behind = owned.get(i + 1).or(next);
        let bar = if owned.get(i) == behind { ' ' } else { '|' };
        line.push_str(&format!("{byte:02x}{bar}"));
        plain.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
    }
    let mut names = String::new();
    let fields =
        page.fields.iter().filter(|field| (at..at + bytes.len()).contains(&field.bytes.start));
    for field in fields {
        let name = name(field);
        if names.len() + name.len() > NAMES_COLUMNS {
            names.push_str(" ...");
            break;
        }
        if !names.is_empty() {
            names.push_str(", ");
        }
        names.push_str(&name);
    }
    let width = 10 + 3 * LINE_BYTES;
    format!("{line:<width$} {plain:<16}  {names}").trim_end().to_owned()
}

fn as_json(map: &PageMap, page: &ExplainedPage) -> Value {
    let checksum = match page.checksum {
        PageChecksum::Right => json!("right"),
        PageChecksum::Wrong { .. } => json!("wrong"),
        _ => Value::Null,
    };
    json!({
        "page": page.page.0,
        "offset": u64::from(page.page.0) * u64::from(map.page_size()),
        "kind": page.kind.map(PageKind::name),
        "tree": page.tree,
        "checksum": checksum,
        "damage": page.damage.map(|damage| damage.to_string()),
        "fields": page.fields.iter().map(field_as_json).collect::<Vec<_>>(),
    })
}

fn field_as_json(field: &ExplainedField) -> Value {
    let mut object = Map::new();
    object.insert("from".into(), field.bytes.start.into());
    object.insert("to".into(), field.bytes.end.into());
    object.insert("name".into(), field.name.into());
    if let Some(index) = field.index {
        object.insert("index".into(), index.into());
    }
    match &field.content {
        FieldContent::Number(number) => object.insert("value".into(), (*number).into()),
        FieldContent::Hex(number) => object.insert("value".into(), format!("{number:#x}").into()),
        FieldContent::Page(page) => object.insert("value".into(), page.0.into()),
        FieldContent::Txn(txn) => object.insert("value".into(), txn.0.into()),
        FieldContent::Text(text) => object.insert("value".into(), (*text).into()),
        FieldContent::Bytes(bytes) => {
            put_bytes(&mut object, "value", bytes);
            None
        }
        _ => None,
    };
    Value::Object(object)
}
