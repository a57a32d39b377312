//! A report for the terminal: a table, sparklines, how attacks divide, notes and legend.

use super::super::figure::Side;
use super::super::report::Report;
use super::super::{Dimension, Source};
use super::{figure, media, other, percent, plain, said, spark};

/// Items of a dimension that are shown.
const SHOWN: usize = 6;

/// How a terminal wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// Columns.
    pub width: usize,
}

/// The report as lines of a terminal.
pub fn table(report: &Report, look: Look) -> String {
    let paint = Paint(look.colour);
    let mut out = Vec::new();
    let who = match (&report.vendor, report.source) {
        (Some(vendor), _) => format!("as {} counted them", plain(vendor)),
        (None, Source::Journal) => "as this site's gateways saw them".to_owned(),
        (None, _) => "in the catalogue".to_owned(),
    };
    let what = report.source.counts_what();
    let heading = format!("{}{}, {}, {who}", what[..1].to_uppercase(), &what[1..], report.span);
    out.extend([paint.bold(&heading), paint.dim(&plain(&report.about)), String::new()]);
    match report.source {
        Source::Journal => journal_rows(report, paint, &mut out),
        Source::Counts | Source::Catalogue => rows(report, paint, &mut out),
    }
    sparklines(report, paint, &mut out);
    divided(report, paint, look, &mut out);
    notes(report, paint, look.width, &mut out);
    out.push(String::new());
    out.join("\n")
}

fn rows(report: &Report, paint: Paint, out: &mut Vec<String>) {
    let media = media(report);
    let mut head = format!("{:<8}", "");
    let mut under = format!("{:<8}", report.span.first.step.as_str());
    for (title, _) in &media {
        head.push_str(&format!("  {title:<38}"));
        under.push_str(&format!("  {:>6}{:>8}{:>10}{:>7}{:>7}", "new", "before", "change", "said", "year"));
    }
    out.extend([paint.dim(head.trim_end()), paint.dim(&under)]);
    for row in &report.rows {
        let mut line = format!("{:<8}", row.period.to_string());
        for (_, of) in &media {
            let (side, total) = of(row);
            let new = paint.bold(&format!("{:>6}", figure(&side.new)));
            let said = side.said.map(said).unwrap_or_default();
            line.push_str(&format!(
                "  {new}{:>8}{}{said:>7}{:>7}",
                figure(&side.previous),
                change(side, paint),
                figure(total)
            ));
        }
        out.push(line.trim_end().to_owned());
    }
}

fn journal_rows(report: &Report, paint: Paint, out: &mut Vec<String>) {
    let titles = ["attacks", "change", "stopped", "released", "people", "reached", "senders", "year"];
    let head: String = titles.iter().map(|title| format!("{title:>10}")).collect();
    out.push(paint.dim(&format!("{:<8}{head}", report.span.first.step.as_str())));
    for row in &report.rows {
        let mut line = format!("{:<8}", row.period.to_string());
        line.push_str(&paint.bold(&format!("{:>10}", figure(&row.im.new))));
        line.push_str(&change(&row.im, paint));
        let counts =
            row.attacks.map(|a| [a.stopped, a.released, a.people, a.reached, a.senders].map(|n| n.to_string()));
        for cell in counts.unwrap_or_else(|| std::array::from_fn(|_| "–".to_owned())) {
            line.push_str(&format!("{cell:>10}"));
        }
        line.push_str(&format!("{:>10}", figure(&row.year.im)));
        out.push(line);
    }
}

/// The change in ten columns: more is worse.
fn change(side: &Side, paint: Paint) -> String {
    match side.change_pct() {
        None => format!("{:>10}", "–"),
        Some(value) => {
            let text = format!("{:>10}", percent(value));
            if value > 0.0 { paint.red(&text) } else { paint.green(&text) }
        }
    }
}

fn sparklines(report: &Report, paint: Paint, out: &mut Vec<String>) {
    if report.rows.len() < 3 {
        return;
    }
    out.push(String::new());
    let lines = [
        ("IM", spark::line(report.rows.iter().map(|row| &row.im.new))),
        ("P2P", spark::line(report.rows.iter().map(|row| &row.p2p.new))),
        ("all", spark::line(report.rows.iter().map(|row| &row.all.new))),
    ];
    for (name, line) in lines {
        if line.chars().any(|c| c != '·') {
            out.push(format!("{name:<8}  {}", paint.cyan(&line)));
        }
    }
}

fn divided(report: &Report, paint: Paint, look: Look, out: &mut Vec<String>) {
    if report.breakdown.of == 0 {
        return;
    }
    let of = match report.source {
        Source::Journal => "attacks".to_owned(),
        Source::Counts | Source::Catalogue => "catalogue entries first seen then".to_owned(),
    };
    out.extend([String::new(), paint.bold(&format!("How {} {of} divide", report.breakdown.of))]);
    const INDENT: usize = 28;
    for dimension in &report.breakdown.dimensions {
        let lines = wrapped(&items(dimension), look.width.saturating_sub(INDENT).max(40));
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
            let title = if number == 0 { dimension.title() } else { "" };
            out.push(format!("  {title:<26}{line}"));
        }
    }
}

/// The most frequent, each with its number.
fn items(dimension: &Dimension) -> String {
    let mut items: Vec<String> =
        dimension.top(SHOWN).map(|item| format!("{} {}", item.count, plain(&dimension.label(item)))).collect();
    if let Some(more) = dimension.top(usize::MAX).count().checked_sub(SHOWN).filter(|more| *more > 0) {
        items.push(format!("{more} more"));
    }
    items.join(" · ")
}

fn notes(report: &Report, paint: Paint, width: usize, out: &mut Vec<String>) {
    let mut notes: Vec<String> = Vec::new();
    for row in &report.rows {
        let others = row.others.iter().map(other);
        notes.extend(row.notes.iter().cloned().chain(others).map(|note| format!("{}: {note}", row.period)));
    }
    notes.extend(report.notes.iter().cloned());
    out.push(String::new());
    for note in notes {
        for (number, line) in wrapped(&plain(&note), width.saturating_sub(2).max(40)).into_iter().enumerate() {
            out.push(paint.dim(&format!("{} {line}", if number == 0 { "·" } else { " " })));
        }
    }
    out.push(paint.dim("* computed from other figures   – unknown   the rest was counted"));
}

/// Text in lines of at most so many characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn code(self, code: u8, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.code(1, text)
    }

    fn dim(self, text: &str) -> String {
        self.code(2, text)
    }

    fn red(self, text: &str) -> String {
        self.code(31, text)
    }

    fn green(self, text: &str) -> String {
        self.code(32, text)
    }

    fn cyan(self, text: &str) -> String {
        self.code(36, text)
    }
}
