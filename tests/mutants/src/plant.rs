//! Puts every change into the source, each behind a switch, so that one build has them all.

use crate::find::{Form, Site};
use std::collections::BTreeSet;
use std::ops::Range;

/// A mutant: one change, by its number.
pub(crate) struct Mutant {
    pub(crate) id: usize,
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) function: String,
    pub(crate) what: String,
}

/// A file with its changes; the first one's number is `first`, the others follow.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) sites: Vec<(usize, Site)>,
}

impl Source {
    pub(crate) fn new(path: &str, text: String, next: &mut usize) -> syn::Result<Source> {
        let mut sites: Vec<_> = crate::find::sites(&text)?;
        // Outer ones first, and what is inserted before what begins there.
        sites.sort_by_key(|site| (site.place.start, usize::MAX - site.place.end));
        let number = |site: Site| {
            let first = *next;
            *next += site.changes.len();
            (first, site)
        };
        let sites = sites.into_iter().map(number).collect();
        Ok(Source { path: path.to_string(), text, sites })
    }

    pub(crate) fn mutants(&self) -> impl Iterator<Item = Mutant> {
        self.sites.iter().flat_map(|(first, site)| {
            site.changes.iter().zip(*first..).map(|(change, id)| Mutant {
                id,
                file: self.path.clone(),
                line: site.line,
                function: site.function.clone(),
                what: change.what.split_whitespace().collect::<Vec<_>>().join(" "),
            })
        })
    }

    /// The source with its changes behind switches, but those `without`.
    pub(crate) fn planted(&self, without: &BTreeSet<usize>) -> String {
        let mut out = String::new();
        let mut at = 0;
        self.render(0..self.text.len(), &mut at, without, &mut out);
        out
    }

    /// `at` is the next site that may lie in the range.
    fn render(
        &self,
        range: Range<usize>,
        at: &mut usize,
        without: &BTreeSet<usize>,
        out: &mut String,
    ) {
        let mut done = range.start;
        while let Some((first, site)) =
            self.sites.get(*at).filter(|(_, site)| site.place.end <= range.end)
        {
            *at += 1;
            let place = site.place.clone();
            let changes: Vec<_> = (*first..)
                .zip(&site.changes)
                .filter(|(id, _)| !without.contains(id))
                .map(|(id, change)| (id, change.text.as_str()))
                .collect();
            out.push_str(&self.text[done..place.start]);
            done = place.end;
            let mut inner = String::new();
            self.render(place, at, without, &mut inner);
            put(site.form, first, &changes, &inner, out);
        }
        out.push_str(&self.text[done..range.end]);
    }
}

fn put(form: Form, site: &usize, changes: &[(usize, &str)], inner: &str, out: &mut String) {
    if changes.is_empty() {
        out.push_str(inner);
        return;
    }
    match form {
        Form::Expression => {
            out.push_str(&format!("/*[{site}*/(match crate::mutant::active() {{"));
            for (id, text) in changes {
                out.push_str(&format!("{id} => /*<{id}*/{text}/*{id}>*/, "));
            }
            out.push_str(&format!("_ => {inner} }})/*{site}]*/"));
        }
        Form::Start => {
            out.push_str(inner);
            for (id, text) in changes {
                out.push_str(&format!(
                    "/*<{id}*/if crate::mutant::active() == {id} {{ return {text}; }}/*{id}>*/"
                ));
            }
        }
        Form::Guard => {
            let (id, _) = changes[0];
            out.push_str(&format!("{inner} /*<{id}*/if crate::mutant::active() != {id}/*{id}>*/"));
        }
        Form::Statement => {
            let (id, _) = changes[0];
            out.push_str(&format!(
                "/*<{id}*/if crate::mutant::active() != {id} {{/*{id}>*/ {inner} /*<{id}*/}}/*{id}>*/"
            ));
        }
    }
}

/// The mutants to blame for an error at `place` of a planted source: that change, or all of the site around.
pub(crate) fn blamed(planted: &str, place: Range<usize>, source: &Source) -> Vec<usize> {
    let around = |open: &str, close: &str| {
        let mut best: Option<(usize, usize)> = None;
        let mut from = 0;
        while let Some(found) = planted[from..].find(open).map(|at| at + from) {
            from = found + open.len();
            let digits: String = planted[from..].chars().take_while(char::is_ascii_digit).collect();
            let Ok(id) = digits.parse::<usize>() else { continue };
            let end = planted[from..].find(&format!("/*{id}{close}")).map_or(0, |at| at + from);
            if found <= place.start
                && place.end <= end
                && best.is_none_or(|(len, _)| end - found < len)
            {
                best = Some((end - found, id));
            }
        }
        best.map(|(_, id)| id)
    };
    if let Some(id) = around("/*<", ">*/") {
        return vec![id];
    }
    let site = around("/*[", "]*/");
    let site = source.sites.iter().find(|(first, _)| Some(*first) == site);
    site.map_or(vec![], |(first, site)| (*first..*first + site.changes.len()).collect())
}
