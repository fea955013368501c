//! The result as tables or as one JSON object.

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::out::Out;
use super::OutputKind;
use super::compare::{Compared, Figures};
use super::rows::Task;
use super::score::{Counts, Scores, Share, Worst};

pub(super) fn write(scores: &Scores, kind: OutputKind, out: &mut Out) -> Result<(), Failure> {
    if kind == OutputKind::Json {
        return out.line(as_json(scores));
    }
    for table in tables(scores) {
        table.write(kind == OutputKind::Markdown, out)?;
    }
    let at = |quantile: f64| scores.latency.value_at_quantile(quantile) as f64 / 1000.0;
    out.line(format_args!(
        "{} rows, engine {}, pack {:.12}; a row took p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, at most {:.1} µs",
        scores.rows,
        scores.engine,
        scores.pack,
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    ))?;
    if scores.passed_over > 0 {
        out.line(format_args!(
            "{} lines were passed over: recorded sessions hold no single text to judge",
            scores.passed_over
        ))?;
    }
    Ok(())
}

/// Rows of cells under a title.
struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn write(&self, markdown: bool, out: &mut Out) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width = |at: usize| {
            let of_rows = self.rows.iter().map(|row| row[at].chars().count()).max();
            of_rows.unwrap_or(0).max(self.head[at].chars().count())
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> =
                cells
                    .iter()
                    .zip(&widths)
                    .enumerate()
                    .map(|(at, (cell, width))| {
                        if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    })
                    .collect();
            if markdown {
                format!("| {} |", padded.join(" | "))
            } else {
                padded.join("  ").trim_end().to_owned()
            }
        };
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let title = &self.title;
        out.line(if markdown { format!("### {title}\n") } else { title.clone() })?;
        out.line(line(&head))?;
        if markdown {
            let rule: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(at, width)| {
                    if at == 0 {
                        "-".repeat(*width)
                    } else {
                        format!("{}:", "-".repeat(width.saturating_sub(1)))
                    }
                })
                .collect();
            out.line(line(&rule))?;
        }
        for row in &self.rows {
            out.line(line(row))?;
        }
        out.line("")
    }
}

const COUNTS: [&str; 6] = [
    "positives",
    "recall, 95% interval",
    "negatives",
    "false alarms, 95% interval",
    "blocked",
    "F1",
];

fn counts(counts: &Counts) -> Vec<String> {
    let f1 = if counts.precision.of > 0 && counts.recall.of > 0 {
        format!("{:.3}", counts.f1())
    } else {
        String::new()
    };
    vec![
        number(counts.recall.of),
        share(counts.recall),
        number(counts.false_alarms.of),
        share(counts.false_alarms),
        plain(counts.false_blocks),
        f1,
    ]
}

fn number(count: u64) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// Such as `97.5% (96.1 to 98.4)`; nothing for no tries.
fn share(share: Share) -> String {
    if share.of == 0 {
        return String::new();
    }
    let (low, high) = share.interval();
    format!("{} ({:.1} to {:.1})", plain(share), low * 100.0, high * 100.0)
}

fn plain(share: Share) -> String {
    if share.of == 0 { String::new() } else { format!("{:.1}%", share.rate() * 100.0) }
}

fn tables(scores: &Scores) -> Vec<Table> {
    let head = |first: &'static str| {
        let mut head = vec![first];
        head.extend(COUNTS);
        head
    };
    let row = |name: String, of: &Counts| {
        let mut row = vec![name];
        row.extend(counts(of));
        row
    };
    let mut tables = vec![Table {
        title: "All closed-book sources".to_owned(),
        head: head("task"),
        rows: scores.total.iter().map(|(task, of)| row(task.name().to_owned(), of)).collect(),
    }];
    tables.push(found_table(scores));
    tables.extend(compared_tables(&scores.compared));
    for task in [Task::Injection, Task::Secrets, Task::Pii] {
        tables.push(Table {
            title: format!("{}, by source", task.name()),
            head: head("source"),
            rows: scores
                .by_source
                .iter()
                .filter(|((of, ..), _)| *of == task)
                .map(|((_, source, open), of)| {
                    row(format!("{source}{}", if *open { " (open book)" } else { "" }), of)
                })
                .collect(),
        });
        tables.push(Table {
            title: format!("{}, by kind", task.name()),
            head: head("kind"),
            rows: scores
                .by_kind
                .iter()
                .filter(|((of, _), _)| *of == task)
                .map(|((_, kind), of)| row(kind.clone(), of))
                .collect(),
        });
        let mut rules: Vec<_> = scores.by_rule.iter().filter(|((of, _), _)| *of == task).collect();
        rules.sort_by_key(|((_, rule), count)| (std::cmp::Reverse(**count), rule.clone()));
        tables.push(Table {
            title: format!("{}, rules that alarmed on negatives", task.name()),
            head: vec!["rule", "rows"],
            rows: rules
                .into_iter()
                .map(|((_, rule), count)| vec![rule.clone(), count.to_string()])
                .collect(),
        });
        for (title, list) in [("missed", &scores.missed), ("falsely alarmed", &scores.alarmed)] {
            tables.push(Table {
                title: format!("{}, {title}, the first of them", task.name()),
                head: vec!["id", "source", "kind", "rules"],
                rows: list
                    .get(&task)
                    .into_iter()
                    .flatten()
                    .map(|Worst { id, source, kind, rules }| {
                        vec![id.clone(), source.clone(), kind.clone(), rules.join(" ")]
                    })
                    .collect(),
            });
        }
    }
    tables.push(Table {
        title: "Found in plain, then changed".to_owned(),
        head: vec!["change", "task", "rows", "still found, 95% interval", "first lost"],
        rows: scores
            .transformed
            .iter()
            .map(|(name, task, of, lost)| {
                vec![
                    (*name).to_owned(),
                    task.name().to_owned(),
                    of.of.to_string(),
                    share(*of),
                    lost.first().cloned().unwrap_or_default(),
                ]
            })
            .collect(),
    });
    tables
}

/// Rules alone, the classifier alone, and both.
fn compared_tables(compared: &Compared) -> Vec<Table> {
    if compared.is_empty() {
        return Vec::new();
    }
    let cells = |name: String, of: &Figures| {
        let mut row = vec![name, number(of.rules[0].of)];
        row.extend([of.rules[0], of.model[0], of.both[0], of.model_at, of.both_at].map(plain));
        row.push(number(of.rules[1].of));
        row.extend([of.rules[1], of.model[1], of.both[1], of.blocked, of.both_at_false].map(plain));
        row.push(of.auc.map_or_else(String::new, |auc| format!("{auc:.3}")));
        row
    };
    let head = |first: &'static str| {
        vec![
            first,
            "positives",
            "rules",
            "classifier",
            "both",
            "classifier at 1%",
            "both at 1%",
            "negatives",
            "rules alarm",
            "classifier alarms",
            "both alarm",
            "blocked",
            "both alarm at 1%",
            "AUC",
        ]
    };
    let rows = |groups: std::collections::BTreeMap<String, Figures>| {
        groups.into_iter().map(|(name, of)| cells(name, &of)).collect::<Vec<_>>()
    };
    let mut by_source = rows(compared.by(|row| Some(row.source.clone())));
    by_source.push(cells("all".to_owned(), &compared.total()));
    vec![
        Table {
            title: format!(
                "Rules, classifier and both, by source; calibration error {:.3}, {} rows without a score",
                compared.calibration_error(),
                compared.unscored()
            ),
            head: head("source"),
            rows: by_source,
        },
        Table {
            title: "Negatives that rules, classifier and both alarm on, by kind".to_owned(),
            head: head("kind"),
            rows: rows(compared.by(|row| (!row.positive).then(|| row.kind.clone()))),
        },
    ]
}

/// Rows rather than marked parts, with and without what was set aside.
fn found_table(scores: &Scores) -> Table {
    let line = |name: String, of: Share| vec![name, of.of.to_string(), share(of)];
    let mut rows = Vec::new();
    for (task, [all, rest]) in &scores.found {
        rows.push(line(task.name().to_owned(), *all));
        let apart: Vec<_> = scores.set_aside.iter().filter(|((of, _), _)| of == task).collect();
        if !apart.is_empty() {
            rows.push(line(format!("{} but those set aside", task.name()), *rest));
        }
        for ((_, why), of) in apart {
            rows.push(line(format!("set aside: {why}"), *of));
        }
    }
    Table {
        title: "Positive rows in which something was found whole".to_owned(),
        head: vec!["task", "rows", "found, 95% interval"],
        rows,
    }
}

fn as_json(scores: &Scores) -> serde_json::Value {
    let share = |share: Share| {
        let (low, high) = share.interval();
        json!({"hits": share.hits, "of": share.of, "rate": share.rate(), "low": low, "high": high})
    };
    let counts = |of: &Counts| {
        json!({
            "recall": share(of.recall),
            "false_alarms": share(of.false_alarms),
            "false_blocks": share(of.false_blocks),
            "precision": share(of.precision),
            "f1": of.f1(),
        })
    };
    let worst = |list: &std::collections::BTreeMap<Task, Vec<Worst>>| -> serde_json::Value {
        list.iter()
            .flat_map(|(task, rows)| rows.iter().map(move |row| (task, row)))
            .map(|(task, row)| {
                json!({"task": task.name(), "id": row.id, "source": row.source, "kind": row.kind, "rules": row.rules})
            })
            .collect()
    };
    let micros = |quantile: f64| scores.latency.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "rows": scores.rows,
        "passed_over": scores.passed_over,
        "engine": scores.engine,
        "pack": scores.pack,
        "total": scores.total.iter().map(|(task, of)| {
            let mut of = counts(of);
            of["task"] = task.name().into();
            of
        }).collect::<Vec<_>>(),
        "rows_found": scores.found.iter().map(|(task, [all, rest])| {
            json!({"task": task.name(), "all": share(*all), "but_set_aside": share(*rest)})
        }).collect::<Vec<_>>(),
        "set_aside": scores.set_aside.iter().map(|((task, why), of)| {
            json!({"task": task.name(), "reason": why, "found": share(*of)})
        }).collect::<Vec<_>>(),
        "by_source": scores.by_source.iter().map(|((task, source, open), of)| {
            let mut of = counts(of);
            of["task"] = task.name().into();
            of["source"] = source.as_str().into();
            of["open_book"] = (*open).into();
            of
        }).collect::<Vec<_>>(),
        "by_kind": scores.by_kind.iter().map(|((task, kind), of)| {
            let mut of = counts(of);
            of["task"] = task.name().into();
            of["kind"] = kind.as_str().into();
            of
        }).collect::<Vec<_>>(),
        "by_rule": scores.by_rule.iter().map(|((task, rule), rows)| {
            json!({"task": task.name(), "rule": rule, "false_alarms": rows})
        }).collect::<Vec<_>>(),
        "missed": worst(&scores.missed),
        "falsely_alarmed": worst(&scores.alarmed),
        "transformed": scores.transformed.iter().map(|(name, task, of, lost)| {
            json!({"change": name, "task": task.name(), "found": share(*of), "lost": lost})
        }).collect::<Vec<_>>(),
        "classifier": if scores.compared.is_empty() { Value::Null } else { scores.compared.as_json() },
        "latency_us": {"p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "max": micros(1.0)},
    })
}
