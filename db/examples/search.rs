//! A small search engine over text files: an inverted index, queries with AND, ranked by tf-idf.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `documents` | number, big-endian | words in it u32, path |
//! | `paths` | path | number |
//! | `texts` | path | the text, as one slice |
//! | `postings` | word, a zero byte, number | how often u32 |
//!
//! A word's postings lie side by side: one prefix scan. Indexing again replaces what has changed, one file
//! a transaction, while queries go on.
//!
//! ```sh
//! cargo run -p mapleaf --example search index docs.leaf docs
//! cargo run -p mapleaf --example search query docs.leaf power loss
//! ```

use mapleaf::{Builder, Create, Database, ReadTxn, Result, WriteTxn};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Longer words are cut: a key takes at most a quarter of a page.
const WORD_BYTES_MAX: usize = 64;
const SHOWN: usize = 10;

/// The words of a text, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1);
    parts.map(|word| {
        let mut word = word.to_lowercase();
        while word.len() > WORD_BYTES_MAX {
            word.pop();
        }
        word
    })
}

fn posting(word: &str, document: u32) -> Vec<u8> {
    [word.as_bytes(), &[0], &document.to_be_bytes()].concat()
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn counted(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for word in words(text) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// Removes the postings of a file's old text; its number.
fn forget(txn: &mut WriteTxn<'_>, path: &str, old: &str) -> Result<Option<u32>> {
    let found = txn.tree("paths")?.get(path.as_bytes())?.map(number);
    if let Some(document) = found {
        let mut postings = txn.tree("postings")?;
        for word in counted(old).keys() {
            postings.remove(&posting(word, document))?;
        }
    }
    Ok(found)
}

/// Indexes one file, in place of what it was before, if it was.
fn index_file(db: &Database, path: &str, text: &str) -> Result<()> {
    let mut txn = db.write()?;
    let old = txn.tree("texts")?.get(path.as_bytes())?.map(<[u8]>::to_vec);
    if old.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    let old = String::from_utf8_lossy(old.as_deref().unwrap_or_default()).into_owned();
    let document = match forget(&mut txn, path, &old)? {
        Some(document) => document,
        None => {
            let last = txn.tree("documents")?.as_tree().last()?.map(|(key, _)| key.to_vec());
            last.and_then(|key| key.first_chunk().copied()).map_or(0, u32::from_be_bytes) + 1
        }
    };
    let counts = counted(text);
    let mut postings = txn.tree("postings")?;
    for (word, count) in &counts {
        postings.insert(&posting(word, document), &count.to_le_bytes())?;
    }
    let total: u32 = counts.values().sum();
    let record = [&total.to_le_bytes()[..], path.as_bytes()].concat();
    txn.tree("documents")?.insert(&document.to_be_bytes(), &record)?;
    txn.tree("paths")?.insert(path.as_bytes(), &document.to_le_bytes())?;
    txn.tree("texts")?.insert(path.as_bytes(), text.as_bytes())?;
    txn.commit_with(mapleaf::Durability::Eventual)?;
    Ok(())
}

/// The text files below a directory, in order.
fn files(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn index(db: &Database, directory: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut found = Vec::new();
    files(directory, &mut found).map_err(|error| format!("{}: {error}", directory.display()))?;
    for path in found {
        // What is not UTF-8 is no text.
        if let Ok(text) = std::fs::read_to_string(&path) {
            index_file(db, &path.to_string_lossy(), &text)?;
        }
    }
    db.sync()?;
    let snapshot = db.read()?;
    let (documents, postings) = (snapshot.tree("documents")?, snapshot.tree("postings")?);
    println!("{} files, {} postings", documents.len(), postings.len());
    Ok(())
}

/// Documents with all of the words, the best first: number and score.
fn matches(snapshot: &ReadTxn<'_>, query: &[String]) -> Result<Vec<(u32, f64)>> {
    let all = snapshot.tree("documents")?.len() as f64;
    let postings = snapshot.tree("postings")?;
    // Score and words found, by document.
    let mut scores: HashMap<u32, (f64, usize)> = HashMap::new();
    for word in query {
        let mut hits = Vec::new();
        for entry in postings.prefix(&posting(word, 0)[..=word.len()]) {
            let (key, count) = entry?;
            let document = key.to_vec().last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            hits.push((document, f64::from(number(count))));
        }
        // A word that is everywhere says little; one that is often in a text says more, but not as often.
        let rarity = (1.0 + all / hits.len().max(1) as f64).ln();
        for (document, count) in hits {
            let score = scores.entry(document).or_default();
            score.0 += (1.0 + count.ln()) * rarity;
            score.1 += 1;
        }
    }
    let complete = scores.into_iter().filter(|(_, (_, found))| *found == query.len());
    let mut ranked: Vec<(u32, f64)> =
        complete.map(|(document, (score, _))| (document, score)).collect();
    let documents = snapshot.tree("documents")?;
    for (document, score) in &mut ranked {
        let record = documents.get(&document.to_be_bytes())?.unwrap_or_default();
        // Long texts have many words by chance.
        *score /= (1.0 + f64::from(number(record))).ln();
    }
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(ranked)
}

fn query(db: &Database, asked: &[String]) -> Result<()> {
    let asked: Vec<String> =
        asked.iter().flat_map(|word| words(word).collect::<Vec<_>>()).collect();
    let snapshot = db.read()?;
    let ranked = matches(&snapshot, &asked)?;
    println!("{} files have {}", ranked.len(), asked.join(" and "));
    for (document, score) in ranked.into_iter().take(SHOWN) {
        let record = snapshot.tree("documents")?.get(&document.to_be_bytes())?.unwrap_or_default();
        let path = String::from_utf8_lossy(record.get(4..).unwrap_or_default());
        // Borrowed from the file, however long the text is.
        let text = snapshot.tree("texts")?.get(path.as_bytes())?.unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let has = |line: &&str| words(line).any(|word| asked.contains(&word));
        let line = text.lines().find(has).unwrap_or_default();
        println!("{score:6.2}  {path}: {}", line.trim().chars().take(80).collect::<String>());
    }
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["index", store, directory] => {
            // SAFETY: an index that this program made, and nothing else changes meanwhile.
            let db = unsafe { Database::open(store) }?;
            index(&db, directory.as_ref())
        }
        ["query", store, _, ..] => {
            let builder = Builder::new().create(Create::Never);
            // SAFETY: as above.
            Ok(query(&unsafe { builder.open(store) }?, &args[2..])?)
        }
        _ => Err("search index STORE DIRECTORY | search query STORE WORD...".into()),
    }
}
