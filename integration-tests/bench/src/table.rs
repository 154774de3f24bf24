//! Medians and their ratios, as Markdown.

use std::fmt::Write;
use std::time::Duration;

use crate::items::Samples;
use crate::measure::Sample;
use crate::peers::Peer;

/// A row for each item: CPU and wall of each peer, and husk against each other.
pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<String>,
}

impl Table {
    /// An empty one.
    pub fn new(peers: &[Peer]) -> Self {
        Table { names: peers.iter().map(|p| p.name).collect(), rows: Vec::new() }
    }

    /// Adds the row of an item.
    pub fn add(&mut self, item: &str, samples: &Samples) {
        let median_of = |take: fn(&Sample) -> Duration| -> Vec<Duration> {
            samples.iter().map(|list| median(list.iter().map(take).collect())).collect()
        };
        let mut row = format!("| {item} |");
        for medians in [median_of(|s| s.cpu), median_of(|s| s.wall)] {
            for value in &medians {
                let _ = write!(row, " {:.2} |", value.as_secs_f64() * 1000.0);
            }
            let first = medians.first().copied().unwrap_or_default();
            for value in medians.iter().skip(1) {
                let _ = write!(row, " {} |", ratio(first, *value));
            }
        }
        self.rows.push(row);
    }

    /// The whole table, or nothing if it has no row.
    pub fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut head = "| median, ms |".to_owned();
        for what in ["CPU", "wall"] {
            for name in &self.names {
                let _ = write!(head, " {what} {name} |");
            }
            for name in self.names.iter().skip(1) {
                let _ = write!(head, " husk/{name} |");
            }
        }
        let columns = head.matches('|').count().saturating_sub(1);
        let line = format!("|{}", " --- |".repeat(columns));
        format!("{head}\n{line}\n{}\n", self.rows.join("\n"))
    }
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn ratio(ours: Duration, theirs: Duration) -> String {
    if theirs.is_zero() {
        "-".to_owned()
    } else {
        format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: &[u64]) -> Vec<Sample> {
        let one =
            |v: &u64| Sample { cpu: Duration::from_millis(*v), wall: Duration::from_millis(2 * v) };
        values.iter().map(one).collect()
    }

    #[test]
    fn rows_have_medians_and_ratios() {
        let mut table = Table { names: vec!["husk", "crun"], rows: Vec::new() };
        table.add("run", &vec![ms(&[9, 1, 2]), ms(&[4, 100, 3])]);
        let text = table.markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "| median, ms | CPU husk | CPU crun | husk/crun | wall husk | wall crun | husk/crun |"
        );
        assert_eq!(lines[1].matches("---").count(), 7);
        assert_eq!(lines[2], "| run | 2.00 | 4.00 | 0.50 | 4.00 | 8.00 | 0.50 |");
    }

    #[test]
    fn nothing_measured_is_no_table() {
        assert_eq!(Table { names: vec!["husk"], rows: Vec::new() }.markdown(), "");
        assert_eq!(ratio(Duration::from_millis(1), Duration::ZERO), "-");
    }
}
