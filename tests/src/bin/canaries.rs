//! Plants bugs and sees to it that the crash campaign finds them. `cargo xtask canaries` builds it with
//! the bugs in it and runs it.

use std::process::ExitCode;

#[cfg(not(mapleaf_planted))]
fn main() -> ExitCode {
    eprintln!("built without bugs: run `cargo xtask canaries`");
    ExitCode::from(2)
}

#[cfg(mapleaf_planted)]
fn main() -> ExitCode {
    use mapleaf_tests::crash::hunt_all;

    // Many of them end in a panic, which is how they are found.
    std::panic::set_hook(Box::new(|_| {}));
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let names: Vec<String> = std::env::args().skip(2).collect();
    let all = hunt_all(seed, &names, &mut |fate| {
        let took = fate.took.as_secs_f64();
        match &fate.found {
            Some(failure) => {
                let (setup, history, what) = (failure.setup, &failure.history, &failure.what);
                println!("{:?}: found in {took:.1} s: {what} ({setup}:{history})", fate.canary);
            }
            None => println!("{:?}: NOT FOUND in {took:.1} s", fate.canary),
        }
    });
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
