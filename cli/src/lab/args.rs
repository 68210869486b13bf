//! The arguments of `mapleaf lab`.

use clap::Parser;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Measures on this machine what a file costs through pread and through a map: page faults, system calls,
copies, write-back, large pages, too little memory. It makes a file without a name, which is gone when
the command ends, however it ends. Medians; the spread is from 10 % to 90 % of the samples.

Examples:
  mapleaf lab --list
  mapleaf lab --quick
  mapleaf lab faults cold --dir /data
  mapleaf lab --report report --json > lab.jsonl";

/// Page faults, system calls and write-back, measured on this machine.
#[derive(Parser, Debug)]
#[command(name = "lab", bin_name = "mapleaf lab", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Experiments to run, in this order; all of them by default
    #[arg(value_name = "EXPERIMENT")]
    pub(crate) experiments: Vec<String>,
    /// List the experiments
    #[arg(long)]
    pub(crate) list: bool,
    /// Where to make the file: a directory on the disk that is asked about
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Size of the file in bytes, or with K, M or G behind; at least 2M [default: 512M, 128M with --quick]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) size: Option<u64>,
    /// Fewer samples of less: one or two minutes instead of several
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print JSON: an object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Write DIR/index.html: tables and plots in one file
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// The part of an experiment that needs a process of its own
    #[arg(long, hide = true)]
    pub(crate) inside: Option<String>,
}

/// Smallest file: what experiments need to have something to choose from.
const SIZE_MIN: u64 = 2 << 20;

fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "it is no number, nor one with K, M or G")?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| i64::try_from(*bytes).is_ok());
    match bytes {
        Some(bytes) if bytes >= SIZE_MIN => Ok(bytes),
        Some(_) => Err("it is less than 2M".into()),
        None => Err("it is more than a file can be".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!(size("2097152"), Ok(2 << 20));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1g"), Ok(1 << 30));
        for odd in ["", "M", "1.5G", "-1", "1024K", "99999999999G", "20000000000G"] {
            assert!(size(odd).is_err(), "{odd}");
        }
    }
}
