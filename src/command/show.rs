//! Jobs for a person. Names and messages come from strangers, so nothing in them reaches the
//! terminal as a command.

use crate::{
    client::{File, Job},
    config::show_size,
};

/// Text with its control characters written out.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Beside controls: the marks that turn the direction of writing around.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A whole job.
pub(crate) fn job(job: &Job) -> String {
    let mut lines = vec![format!("{}  {}", plain(&job.job_id), standing(job))];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    row("input", file(&job.input));
    if let Some(processor) = &job.processor {
        row("processor", plain(processor));
    }
    for (name, value) in &job.params {
        row("param", format!("{}={}", plain(name), plain(&bare(value))));
    }
    if let Some(attempt) = job.attempt {
        row("attempt", attempt.to_string());
    }
    row("created", plain(&job.created_at));
    for (name, at) in [("started", &job.started_at), ("finished", &job.finished_at)] {
        if let Some(at) = at {
            row(name, plain(at));
        }
    }
    for output in &job.outputs {
        row("output", file(output));
    }
    if let Some(result) = job.result.as_ref().filter(|result| !result.is_null()) {
        let text = serde_json::to_string_pretty(result).unwrap_or_default();
        let text: Vec<String> = text.lines().map(plain).collect();
        row("result", text.join(&format!("\n{:13}", "")));
    }
    lines.join("\n")
}

/// Where a job stands, in a few words: `running, 40%: resizing`.
pub(crate) fn standing(job: &Job) -> String {
    let mut text = plain(&job.state);
    if job.has_ended() {
        if let Some(reason) = &job.reason {
            text = format!("{text} ({}): {}", plain(&reason.code), plain(&reason.message));
        }
        return text;
    }
    if let Some(waiting_for) = &job.waiting_for {
        text = format!("{text}, waits for {}", plain(waiting_for).replace('_', " "));
    }
    if let Some(phase) = job.phase.as_ref().filter(|phase| **phase != job.state) {
        text = format!("{text}, {}", plain(phase));
    }
    if let Some(progress) = &job.progress {
        if let Some(fraction) = progress.fraction {
            text = format!("{text}, {:.0}%", fraction * 100.0);
        }
        if let Some(message) = progress.message.as_ref().filter(|message| !message.is_empty()) {
            text = format!("{text}: {}", plain(message));
        }
    }
    text
}

/// A table with a line a job.
pub(crate) fn table(jobs: &[Job]) -> String {
    let rows: Vec<[String; 5]> = jobs
        .iter()
        .map(|job| {
            let processor = plain(job.processor.as_deref().unwrap_or("-"));
            let created = plain(job.created_at.get(..19).unwrap_or(&job.created_at));
            let state = plain(&job.state);
            [
                plain(&job.job_id),
                state,
                processor,
                created.replace('T', " "),
                plain(&job.input.name),
            ]
        })
        .collect();
    let heads = ["JOB", "STATE", "PROCESSOR", "CREATED", "FILE"].map(String::from);
    columns(&std::iter::once(heads).chain(rows).collect::<Vec<_>>())
}

/// Rows below each other, as wide as they have to be.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn file(file: &File) -> String {
    format!("{}  {}  {}", plain(&file.name), plain(&file.r#type), show_size(file.size))
}

fn bare(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    //! What a person sees.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn example(changes: &serde_json::Value) -> Job {
        let mut json = serde_json::json!({
            "job_id": "0199-a", "state": "succeeded", "phase": null, "processor": "sample",
            "params": {"height": 720, "lang": "de"}, "batch_id": null, "retry_of": null,
            "waiting_for": null, "attempt": 1, "created_at": "2026-01-02T03:04:05.678Z",
            "started_at": "2026-01-02T03:04:06.000Z", "finished_at": "2026-01-02T03:04:07.000Z",
            "progress": null, "reason": null,
            "input": {"name": "a\u{1b}[2J\u{202e}.csv", "type": "text/csv", "size": 1536,
                      "sha256": "", "url": "/x"},
            "result": {"rows": 3},
            "outputs": [{"name": "b.png", "type": "image/png", "size": 7, "sha256": "", "url": "/y"}],
        });
        json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_job_and_a_table() {
        let running = serde_json::json!({
            "state": "running", "phase": "collecting", "result": null, "outputs": [],
            "progress": {"fraction": 0.4, "message": "resizing"}, "finished_at": null,
        });
        let failed = serde_json::json!({
            "state": "failed", "result": null, "outputs": [],
            "reason": {"code": "exit", "exit_code": 3, "message": "it exited with 3"},
        });
        let queued = serde_json::json!({
            "state": "queued", "waiting_for": "processor_removed", "attempt": null,
        });
        let none = serde_json::json!({});
        let jobs = [none, running, failed, queued].map(|changes| example(&changes));
        let whole = jobs.iter().map(job).collect::<Vec<_>>().join("\n\n");
        insta::assert_snapshot!(format!("{whole}\n\n{}", table(&jobs)));
    }
}
