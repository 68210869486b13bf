//! smoke
use mapleaf_tests::crash::*;
#[test]
fn smoke() {
    let start = std::time::Instant::now();
    for setup in Setup::all() {
        let mut search = Search::new(setup, Breadth::QUICK);
        for h in ["s1", "e1e2s3", "S1c0e2", "E1L2b3", "e1k0s2", "p1w2", "v2v1x0e1"] {
            let begin = std::time::Instant::now();
            if let Err(f) = search.history(&h.parse().unwrap()) {
                println!("{f}");
            }
            println!("{setup} {h} {:?}", begin.elapsed());
        }
        println!("{setup} {:?} {:?}", search.report, start.elapsed());
    }
}
