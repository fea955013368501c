//! Weir's univariate core on the data of the Numenta Anomaly Benchmark, with the benchmark's score.
//!
//! `cargo run --release --example nab -- FOLDER`, where FOLDER is a clone of numenta/NAB (its data
//! are not ours to ship): `data/**/*.csv` and `labels/combined_windows.json` are read. What is run
//! is the judgement of tokens in five minutes, Student's t on the logarithm with a class of one,
//! calibrated as it goes. The benchmark's values may be anything and may fall as well as rise, so
//! each row is told as two agents' tokens, the exponential of how far the value lies above and
//! below the median of the unscored part in its quartiles' distance. A row's score is its
//! surprise, where it exceeds those of the 75 minutes of rows before it: an episode is told once.
#![expect(clippy::print_stdout, reason = "a tool prints its figures")]

mod score;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use weir::baseline::{Class, Observation, Profile, Settings, observe};
use weir::event::Millis;

use score::{PROFILES, Series, probation, score};

/// Rows are told five minutes apart, whatever the file says: windows are of five minutes.
const STEP_MS: i64 = 300_000;
const START_MS: i64 = 1_767_571_200_000;
/// Rows of an episode.
const EPISODE: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder of a clone of numenta/NAB")?;
    let folder = Path::new(&folder);
    let labels = std::fs::read_to_string(folder.join("labels/combined_windows.json"))?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&labels)?;
    let mut all = Vec::new();
    for (name, windows) in &labels {
        let text = std::fs::read_to_string(folder.join("data").join(name))
            .map_err(|error| format!("cannot read data/{name}: {error}"))?;
        all.push(series(&text, windows).ok_or_else(|| format!("data/{name} is no NAB file"))?);
    }
    println!(
        "{} files, {} windows",
        all.len(),
        all.iter().map(|one| one.windows.len()).sum::<usize>()
    );
    for profile in PROFILES {
        let (score, threshold) = score(&all, profile);
        println!("{:14} {score:.1} at a surprise of {threshold:.2}", profile.name);
    }
    Ok(())
}

/// Reads a file of `timestamp,value` and judges it; none where it is something else.
fn series(text: &str, windows: &[(String, String)]) -> Option<Series> {
    let rows: Vec<(&str, f64)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let (at, value) = line.split_once(',')?;
            Some((at, value.trim().parse().ok()?))
        })
        .collect::<Option<_>>()?;
    // Windows have fractions of a second and rows have none; both sort as text.
    let place = |at: &str| rows.partition_point(|row| row.0 < at.get(..19).unwrap_or(at));
    let windows = windows
        .iter()
        .map(|(first, last)| {
            let end = rows.partition_point(|row| row.0 <= last.get(..19).unwrap_or(last));
            (place(first), end.saturating_sub(1))
        })
        .collect();
    let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
    Some(Series { scores: judged(&values), windows })
}

/// A surprise for each value.
fn judged(values: &[f64]) -> Vec<f64> {
    let mut first: Vec<f64> = values.iter().take(probation(values.len()).max(1)).copied().collect();
    first.sort_by(f64::total_cmp);
    let at = |part: f64| first[((first.len() - 1) as f64 * part) as usize];
    let (middle, apart) = (at(0.5), (at(0.75) - at(0.25)).max(1e-9));
    let above = surprises(values.iter().map(|value| (value - middle) / apart));
    let below = surprises(values.iter().map(|value| (middle - value) / apart));
    let either: Vec<f64> = above.iter().zip(&below).map(|(a, b)| a.max(*b)).collect();
    (0..either.len())
        .map(|row| {
            let before = &either[row.saturating_sub(EPISODE)..row];
            if before.iter().all(|score| *score < either[row]) { either[row] } else { 0.0 }
        })
        .collect()
}

/// The largest surprise of each row.
fn surprises(values: impl Iterator<Item = f64>) -> Vec<f64> {
    // Everything that is at all unusual is told, so that the benchmark may choose its threshold.
    let settings = Settings { warnings_per_week: 1e9, ..Settings::default() };
    let mut class = Class::default();
    let mut profile = Profile::new(Millis(START_MS));
    let judge = |(row, value): (usize, f64)| {
        let ts = Millis(START_MS + row as i64 * STEP_MS);
        let tokens = (8.0 + value.clamp(-7.0, 30.0)).exp() as u64;
        let seen = Observation { ts, now: ts, tokens, learn: true, ..Observation::default() };
        let said = observe(&settings, &mut class, &mut profile, &seen);
        said.anomalies.iter().flatten().map(|one| one.surprise).fold(0.0, f64::max)
    };
    values.enumerate().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// A made-up file: a day's wave, noise, and a spike in its window.
    #[test]
    fn a_spike_in_a_made_up_file_is_found() {
        let mut text = "timestamp,value\n".to_owned();
        for row in 0..4000_i64 {
            let at = jiff(row);
            let noise = (row * 7919 % 101) as f64 / 20.0;
            let wave = 10.0 * (row as f64 / 288.0 * std::f64::consts::TAU).sin();
            let spike = if (3000..3010).contains(&row) { 120.0 } else { 0.0 };
            writeln!(text, "{at},{}", 50.0 + wave + noise + spike).unwrap();
        }
        let window = (format!("{}.000000", jiff(2990)), format!("{}.000000", jiff(3029)));
        let series = series(&text, &[window]).unwrap();
        assert_eq!(series.windows, [(2990, 3029)]);
        let (standard, _) = score(&[series], PROFILES[0]);
        assert!(standard > 95.0, "{standard}");
        assert!(super::series("timestamp,value\nx\n", &[]).is_none());
    }

    fn jiff(row: i64) -> String {
        let minutes = row * 5;
        let (days, rest) = (minutes / 1440, minutes % 1440);
        format!("2014-01-{:02} {:02}:{:02}:00", days + 1, rest / 60, rest % 60)
    }
}
