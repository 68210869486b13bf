//! `inspect --watch` at a pseudo terminal: what is drawn, what keys do, and how the terminal is left.

#![cfg(all(feature = "inspect", target_os = "linux"))]

mod run;
mod terminal;

use run::Store;
use rustix::termios::LocalModes;
use std::collections::HashSet;
use terminal::{Cell, Session, Shown};

/// The line with the keys, which is drawn last.
const KEYS: &str = "q quit";

fn store() -> Store {
    let store = Store::new();
    let tsv: String = (0..20_000).map(|i| format!("{i:06}\tvalue {i}\n")).collect();
    store.load("numbers", tsv.as_bytes());
    store
}

/// The picture of a store, drawn once.
fn watched(store: &Store, columns: u16, rows: u16) -> Session {
    let command = &mut store.command(&["inspect", "--watch", "--interval", "50"]);
    let mut session = Session::start(command, columns, rows);
    session.wait_for("the picture", |screen| screen.line(rows as usize - 1).contains(KEYS));
    session
}

/// Ends the program by a key; the terminal must be as it was.
#[track_caller]
fn ends_by(session: &mut Session, key: &str) {
    session.press(key);
    let status = session.end();
    assert!(status.success(), "{key:?}: {status} {:?}", session.screen);
    assert_eq!(session.screen.shown, Shown::default(), "the screen of before, with its cursor");
    let modes = session.settings().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
}

fn colours(session: &Session) -> HashSet<String> {
    session.screen.picture().map(|Cell { colour, .. }| colour.clone()).collect()
}

#[test]
fn a_heat_map_is_drawn_and_every_way_out_leaves_the_terminal_as_it_was() {
    let store = store();
    for key in ["q", "\x1b", "\x03"] {
        let mut session = watched(&store, 80, 24);
        assert_eq!(session.screen.shown, Shown { apart: true, cursor_hidden: true });
        assert!(
            !session.settings().local_modes.contains(LocalModes::ICANON),
            "keys come one by one"
        );
        let text = session.screen.text();
        assert!(session.screen.line(0).ends_with("s.leaf"), "{text}");
        assert!(session.screen.line(1).contains(" pages of 4,096 bytes"), "{text}");
        for kind in ["meta", "log", "inner", "leaf"] {
            assert!(text.contains(&format!("██ {kind} ")), "no {kind} in the legend: {text}");
        }
        // Metas, log, inner pages and leaves, in colours of their own.
        let pages = store.run(&["inspect", "--json"]).json()["pages"].as_u64().unwrap();
        assert!(session.screen.picture().count() as u64 * 2 >= pages.min(100), "{text}");
        assert!(colours(&session).len() >= 3, "{:?}", colours(&session));
        ends_by(&mut session, key);
    }
}

#[test]
fn keys_change_what_colours_say_and_the_file_s_changes_are_drawn() {
    let store = store();
    let mut session = watched(&store, 100, 30);
    for (key, title) in
        [("f", "by fill"), ("b", "by birth"), ("r", "by residency"), ("k", "by kind")]
    {
        let before = colours(&session);
        session.press(key);
        session.wait_for(title, |screen| screen.line(2).starts_with(title));
        assert!(key == "r" || colours(&session) != before, "{title}: {:?}", session.screen);
    }
    let before = session.screen.line(1);
    store.load("more", b"one\t1\n");
    session.wait_for("the next transaction", |screen| screen.line(1) != before);
    std::fs::write(store.path(), b"no store any more").unwrap();
    session.wait_for("what is wrong", |screen| screen.line(1).contains("not a mapleaf file"));
    ends_by(&mut session, "q");
}

#[test]
fn the_picture_takes_the_size_of_the_terminal_as_it_changes() {
    let store = store();
    let mut session = watched(&store, 80, 24);
    for (columns, rows) in [(120, 40), (40, 12), (10, 3), (1, 1), (80, 24)] {
        session.resize(columns, rows);
        // Of the line with the keys, what there is room for.
        let start: String = "k kind".chars().take(columns.into()).collect();
        session
            .wait_for("the keys", |screen| screen.line(usize::from(rows) - 1).starts_with(&start));
    }
    ends_by(&mut session, "q");
}
