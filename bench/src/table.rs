//! What was measured, as the tables of `docs/performance.md`: the median of the rounds, and from
//! where to where they went.
//!
//! Ratios are made of two runs of one round, because a machine that others use too is another one
//! a minute later.

mod ratio;

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context, ensure};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A line a run, with tabs: round, place, load, who, seconds, requests, bytes, the sender's CPU
    /// seconds, the server's, its peak RSS in KiB, what became of the bytes
    results: PathBuf,
    /// The memory that all uploads may have together, in MiB
    #[arg(long, default_value_t = 256)]
    budget: u64,
}

/// One run.
#[derive(Debug, Clone)]
struct Row {
    round: u32,
    place: String,
    load: String,
    who: String,
    seconds: f64,
    requests: f64,
    bytes: f64,
    sender: f64,
    cpu: f64,
    peak: f64,
    verdict: String,
}

impl Row {
    fn parse(line: &str) -> anyhow::Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        ensure!(fields.len() == 11, "{} fields in {line:?}", fields.len());
        let number = |n: usize| -> anyhow::Result<f64> {
            fields[n].parse().with_context(|| format!("{:?} in {line:?}", fields[n]))
        };
        Ok(Self {
            round: fields[0].parse()?,
            place: fields[1].into(),
            load: fields[2].into(),
            who: fields[3].into(),
            seconds: number(4)?,
            requests: number(5)?,
            bytes: number(6)?,
            sender: number(7)?,
            cpu: number(8)?,
            peak: number(9)?,
            verdict: fields[10].into(),
        })
    }

    /// Megabytes a second.
    fn pace(&self) -> f64 {
        self.bytes / 1e6 / self.seconds
    }

    fn gib(&self) -> f64 {
        self.bytes / f64::from(1 << 30)
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(&args.results)
        .with_context(|| args.results.display().to_string())?;
    let rows: Vec<Row> = text.lines().map(Row::parse).collect::<Result<_, _>>()?;
    Ok(format!("{}\n{}", measured(&rows), ratio::all(&rows, args.budget)))
}

fn measured(rows: &[Row]) -> String {
    let mut text = String::from(
        "| to | load | who | MB/s | requests/s | its CPU, s/GiB | the sender's | peak RSS | SHA-256 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let same = |it: &Row| (&it.place, &it.load, &it.who) == (&row.place, &row.load, &row.who);
        match groups.iter_mut().find(|group| same(group[0])) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.sort_by_key(|group| {
        let of = |names: &[&str], name: &str| names.iter().position(|it| *it == name);
        let places = ["one core", "nothing", "local files", "MinIO"];
        (of(&places, &group[0].place), group[0].load.clone())
    });
    for group in groups {
        let first = group[0];
        let of = |what: &dyn Fn(&Row) -> f64| Spread::of(group.iter().map(|row| what(row)));
        let peak = group.iter().map(|row| row.peak).fold(0.0, f64::max) / 1024.0;
        let verdict = group.iter().find(|row| row.verdict != "right").unwrap_or(&first);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {} | {} |",
            first.place,
            first.load,
            first.who,
            of(&Row::pace),
            of(&|row| row.requests / row.seconds),
            of(&|row| row.cpu / row.gib()),
            of(&|row| row.sender / row.gib()),
            if peak > 0.0 { format!("{peak:.1} MiB") } else { String::new() },
            verdict.verdict,
        );
    }
    text
}

/// The middle of some numbers, and their ends.
struct Spread {
    low: f64,
    middle: f64,
    high: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = numbers.collect();
        all.sort_by(f64::total_cmp);
        let (n, at) = (all.len(), |n: usize| all.get(n).copied().unwrap_or(f64::NAN));
        let middle = f64::midpoint(at(n.saturating_sub(1) / 2), at(n / 2));
        Self { low: at(0), middle, high: at(n.saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$}", self.middle)?;
        if format!("{:.digits$}", self.low) != format!("{:.digits$}", self.high) {
            write!(f, " ({:.digits$}-{:.digits$})", self.low, self.high)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn table(lines: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let results = dir.path().join("results");
        std::fs::write(&results, lines.replace(' ', "\t").replace('_', " ")).unwrap();
        run(&Args { results, budget: 256 }).unwrap()
    }

    #[test]
    fn rounds_become_their_median_and_ratios_are_of_one_round() {
        let text = table(
            "1 one_core 1_x_1_GiB SHA-256 1 1 1000000000 0 1 0 right\n\
             1 local_files 1_x_1_GiB fileyard 2 1 1000000000 0.5 1 20480 right\n\
             2 one_core 1_x_1_GiB SHA-256 4 1 1000000000 0 1 0 right\n\
             2 local_files 1_x_1_GiB fileyard 5 1 1000000000 0.5 1 40960 WRONG",
        );
        let row = text.lines().find(|line| line.contains("| fileyard |")).unwrap();
        assert!(row.contains("| 350 (200-500) |") && row.contains("| 40.0 MiB | WRONG |"), "{row}");
        let ratio = text.lines().find(|line| line.contains("SHA-256 rate")).unwrap();
        assert!(ratio.contains("0.65 (0.50-0.80)") && ratio.contains("| yes |"), "{ratio}");
        let peak = text.lines().find(|line| line.contains("peak RSS, one upload")).unwrap();
        assert!(peak.contains("| 40.0 MiB | no |"), "{peak}");
        assert!(text.lines().any(|line| line.contains("MinIO") && line.contains("not measured")));
    }

    #[test]
    fn a_line_that_is_no_run_is_an_error() {
        assert!(Row::parse("1\tone core").is_err());
        assert!(Row::parse(&["x"; 11].join("\t")).is_err());
    }
}
