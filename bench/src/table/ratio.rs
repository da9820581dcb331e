//! What fileyard wants to be, as ratios to what stood beside it in the same round, and the memory
//! that it promises to stay within.

use std::fmt::Write as _;

use super::{Row, Spread};

/// Which runs: a place and who; of one stream.
type Side = (&'static str, &'static str);

const RATIOS: [(&str, Side, Side, f64); 4] = [
    (
        "one stream to local files, of one core's SHA-256 rate",
        ("local files", "fileyard"),
        ("one core", "SHA-256"),
        0.55,
    ),
    (
        "one stream into a null sink, of one core's SHA-256 rate",
        ("nothing", "fileyard"),
        ("one core", "SHA-256"),
        0.8,
    ),
    (
        "one stream to local files without its digest, of plain recv->file",
        ("local files", "fileyard without digest"),
        ("local files", "plain recv->file"),
        0.75,
    ),
    (
        "one stream to MinIO, of a direct multipart PUT",
        ("MinIO", "fileyard"),
        ("MinIO", "direct multipart PUT"),
        0.9,
    ),
];

pub(super) fn all(rows: &[Row], budget: u64) -> String {
    let mut text = String::from("| goal | at least | seen | met |\n| --- | --- | --- | --- |\n");
    for (what, ours, theirs, least) in RATIOS {
        let seen: Vec<f64> = rows
            .iter()
            .filter(|row| of(row, ours))
            .filter_map(|row| {
                let beside = |it: &&Row| it.round == row.round && of(it, theirs);
                Some(row.pace() / rows.iter().find(beside)?.pace())
            })
            .collect();
        let (seen, met) = if seen.is_empty() {
            ("not measured".into(), "")
        } else {
            let spread = Spread::of(seen.into_iter());
            (format!("{spread:.2}"), yes(spread.middle >= least))
        };
        let _ = writeln!(text, "| {what} | {least} | {seen} | {met} |");
    }
    text.push_str("\n| promise | at most | seen | met |\n| --- | --- | --- | --- |\n");
    for (what, place, load, most) in [
        ("peak RSS, one upload to local files", "local files", "1 x", 32),
        ("peak RSS, a hundred at once to local files", "local files", "100 x", 64),
        ("peak RSS, whatever goes to MinIO: the budget and 64 MiB", "MinIO", "", budget + 64),
    ] {
        let peaks = rows.iter().filter(|row| {
            row.place == place && row.load.starts_with(load) && row.who.starts_with("fileyard")
        });
        let peak = peaks.map(|row| row.peak / 1024.0).reduce(f64::max);
        let (seen, met) = match peak {
            None => ("not measured".into(), ""),
            #[expect(clippy::cast_precision_loss, reason = "some hundred MiB")]
            Some(peak) => (format!("{peak:.1} MiB"), yes(peak <= most as f64)),
        };
        let _ = writeln!(text, "| {what} | {most} MiB | {seen} | {met} |");
    }
    text
}

fn of(row: &Row, (place, who): Side) -> bool {
    row.load.starts_with("1 x") && row.place == place && row.who == who
}

fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}
