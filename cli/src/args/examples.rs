//! What follows the options in the help of each command.

pub(super) const LOAD_EXAMPLES: &str = "\
Formats:
  tsv        key, tab, value; \\xNN and the like are read as the bytes they stand for
  lines      each line is a key, byte for byte; its value is its number, from 1
  lmdb-dump  what LMDB's mdb_dump prints, one database or several

Without --batch the whole input is one transaction: if a line is wrong, nothing is stored. With it what
was committed before the wrong line stays, and the message says how much that is. A store that was made for
nothing is taken away again.

Examples:
  find / -xdev | mapleaf files.leaf load --format lines -
  mapleaf app.leaf load --tree users --batch 10000 users.tsv
  mdb_dump old.lmdb | mapleaf new.leaf load --format lmdb-dump -       (the database without a name)
  mdb_dump -a old.lmdb | mapleaf new.leaf load --format lmdb-dump -    (all that have names)";

pub(super) const GET_EXAMPLES: &str = "\
Exit codes:
  0  printed
  1  no such key, or no such tree
  3  any other error

Examples:
  mapleaf app.leaf get greeting
  mapleaf app.leaf get --tree images logo --raw > logo.png
  mapleaf app.leaf get --tree users ada --json";

pub(super) const PUT_EXAMPLES: &str = "\
With --json it prints whether there was a value before, and how many bytes the new one has.

Examples:
  mapleaf app.leaf put greeting 'hello\\x21'
  mapleaf app.leaf put --tree images logo --file logo.png
  date | mapleaf app.leaf put started --file -";

pub(super) const DEL_EXAMPLES: &str = "\
All of it is one transaction. Keys that are not there are named, and the exit code is 1; the others are
removed all the same. A range with nothing in it is no error. With --json it prints how many entries were
removed, and which keys were not there.

Examples:
  mapleaf app.leaf del greeting farewell
  mapleaf app.leaf del --tree events --from 2023 --to 2024 --json
  mapleaf app.leaf del --tree users --all";

pub(super) const SCAN_EXAMPLES: &str = "\
Prints key, tab, value: what `load` reads. With --keys-only a key that is text prints byte for byte, one
a line; others print with \\xNN.

Examples:
  mapleaf files.leaf scan --prefix /usr/bin/ --keys-only
  mapleaf app.leaf scan --tree events --reverse --limit 10
  mapleaf app.leaf scan --from 2024 --to 2025 --json";

pub(super) const COUNT_EXAMPLES: &str = "\
Examples:
  mapleaf app.leaf count --tree users
  mapleaf files.leaf count --prefix /usr/ --json";

pub(super) const TREES_EXAMPLES: &str = "\
Prints name, tab, number of entries; with --json also what each tree is made of, an object a line.

Examples:
  mapleaf app.leaf trees
  mapleaf app.leaf trees --json";

pub(super) const STAT_EXAMPLES: &str = "\
Pinned pages are free to be used again after the next checkpoint, or once no reader sees them.

Examples:
  mapleaf app.leaf stat
  mapleaf app.leaf stat --quick --json";

pub(super) const CHECK_EXAMPLES: &str = "\
--repair is for a store whose trees are whole, but not its free pages: what no tree reaches becomes free,
and no page that was there before is written to but the two metas. A store with damage in a tree is left
as it is; `salvage` copies what can be read of it.

Exit codes:
  0  sound; with --repair: sound, or repaired
  1  damage found; with --repair: damage that it does not repair
  3  any other error

Examples:
  mapleaf app.leaf check
  mapleaf app.leaf check --repair --json";

pub(super) const SCRUB_EXAMPLES: &str = "\
Goes on beside damage, and says of each damaged page which keys lie on it. `check` proves more: the order
of keys, the counts, and that every page is in use once. What is read is the page cache's copy where there
is one; with --evict the medium's, but for pages that another program has mapped.

Exit codes:
  0  clean
  1  damage found
  2  failed

Examples:
  mapleaf app.leaf scrub
  mapleaf app.leaf scrub --evict --rate 50 --json";

pub(super) const COPY_EXAMPLES: &str = "\
Copies every tree, in the order of its keys: a backup, and a compaction, since nothing of the new file is free.
What goes wrong leaves no new file; until it is whole it is called DEST.part. A store that a program has open is
copied by that program (Database::copy_to); one that is damaged by `salvage`.

Examples:
  mapleaf app.leaf copy backup.leaf
  mapleaf app.leaf copy small.leaf --fill 100 && mv small.leaf app.leaf
  mapleaf app.leaf copy large-pages.leaf --page-size 16384 --json";

pub(super) const SALVAGE_EXAMPLES: &str = "\
The store is read only. Trees are copied under their names, around what is damaged, with what the log
holds. Where names or inner pages are damaged, or both metas, the whole file is searched for pages that
nothing leads to: they become trees lost+found/1 and so on, whose entries may be out of date.

Exit codes:
  0  all of it was copied
  1  something was lost: the output says what
  2  failed: nothing in the file shows that it is a store, or the new one could not be written

Examples:
  mapleaf broken.leaf salvage new.leaf
  mapleaf broken.leaf salvage new.leaf --json > lost.json";

pub(super) const DUMP_EXAMPLES: &str = "\
mdb_load reads keys of 1 to 511 bytes, and one named database at a time; `mapleaf load` reads all of it.

Examples:
  mapleaf app.leaf dump > app.dump
  mapleaf app.leaf dump --tree users -p | less
  mapleaf app.leaf dump --tree users | mdb_load -n users.lmdb";
