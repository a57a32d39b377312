//! A report as one HTML page that needs nothing else: no scripts, no fonts, no pictures. Plots are SVG.

use jiff::civil::Date;

use super::super::figure::{Figure, Side};
use super::super::report::{Report, Row};
use super::super::{Dimension, Source, Step};
use super::chart::{self, Run};
use super::style::SHEET;
use super::{figure, media, other, percent, plain, said, short};
use crate::Reference;

/// Items of a dimension that are plotted.
const SHOWN: usize = 8;

/// The report as a page that was made on a day.
pub fn html(report: &Report, made: Date) -> String {
    let what = report.source.counts_what();
    let title = format!("{}{}, {}", what[..1].to_uppercase(), &what[1..], report.span);
    let mut page = String::with_capacity(64 << 10);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    page.push_str(&format!(
        "<title>{} · Portcullis</title>\n<style>{SHEET}</style>\n</head>\n<body>\n<main>\n",
        text(&title)
    ));
    let source = match (&report.vendor, report.source) {
        (Some(vendor), _) => format!("as {vendor} counted them"),
        (None, Source::Journal) => "from this site's journal".to_owned(),
        (None, _) => "from the catalogue".to_owned(),
    };
    page.push_str(&format!(
        "<header>\n<p class=\"over\">Portcullis threat report</p>\n<h1>{}</h1>\n<p>{} {}</p>\n</header>\n",
        text(&title),
        text(&report.about),
        text(&format!("Figures {source}; by {}.", report.span.first.step.as_str())),
    ));
    cards(report, &mut page);
    by_period(report, &mut page);
    through_years(report, &mut page);
    divided(report, &mut page);
    vendor_shares(report, &mut page);
    figures(report, &mut page);
    notes(report, &mut page);
    computed(report, &mut page);
    sources(report, &mut page);
    page.push_str(&format!(
        "<footer>* computed from other figures · – unknown, not 0 · \
         “said” is the change as the press gave it. Made on {made} by Portcullis.</footer>\n</main>\n</body>\n</html>\n"
    ));
    page
}

/// Text for HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn text(text: &str) -> String {
    escape(&plain(text))
}

/// The newest figures at a glance.
fn cards(report: &Report, page: &mut String) {
    page.push_str("<section class=\"cards\">\n");
    for (name, of) in media(report) {
        let Some(row) = report.rows.iter().rev().find(|row| of(row).0.new.value.is_some()) else { continue };
        let (side, _) = of(row);
        let below = match side.change_pct() {
            Some(change) => {
                let press = side.said.map(|value| format!(" (said: {})", said(value))).unwrap_or_default();
                format!(
                    "<span class=\"{}\">{}</span> on {}{press}",
                    direction(change),
                    percent(change),
                    row.period.previous()
                )
            }
            None => format!("{} is not known", row.period.previous()),
        };
        card(&format!("{}, {}", short(name), row.period), &figure(&side.new), &below, page);
    }
    let total = report.rows.iter().rev().find(|row| row.year.im.value.is_some());
    if let Some(row) = total.filter(|row| row.period.step != Step::Year) {
        let below = row.year.im.how.as_deref().map(text).unwrap_or_else(|| format!("to the end of {}", row.period));
        card(&format!("IM in {}", row.period.year()), &figure(&row.year.im), &below, page);
    }
    if report.source == Source::Journal {
        let sum = |of: fn(&super::super::Attacks) -> u64| {
            report.rows.iter().filter_map(|row| row.attacks.as_ref()).map(of).sum::<u64>()
        };
        let seen = sum(|attacks| attacks.seen);
        card("Stopped", &sum(|attacks| attacks.stopped).to_string(), &format!("of {seen} attacks"), page);
    } else if report.breakdown.of > 0 {
        card("In the catalogue", &report.breakdown.of.to_string(), "threats first seen in this time", page);
    }
    page.push_str("</section>\n");
}

fn capital(source: Source) -> &'static str {
    match source {
        Source::Counts => "New threats",
        Source::Catalogue => "First seen",
        Source::Journal => "Attacks",
    }
}

/// More is worse.
fn direction(change: f64) -> &'static str {
    match change {
        _ if change > 0.0 => "up",
        _ if change < 0.0 => "down",
        _ => "same",
    }
}

/// A card; `below` is HTML already.
fn card(label: &str, value: &str, below: &str, page: &mut String) {
    page.push_str(&format!(
        "<div class=\"card\"><p>{}</p><p class=\"value\">{}</p><p>{below}</p></div>\n",
        text(label),
        text(value)
    ));
}

/// The runs of which anything is known.
fn runs<'a>(report: &'a Report, of: [fn(&'a Row) -> &'a Figure; 3]) -> Vec<Run<'a>> {
    let named = [("IM", "im"), ("P2P", "p2p"), ("IM, P2P and chat together", "all")];
    let runs = named.into_iter().zip(of).map(|((name, class), of)| Run {
        name,
        class,
        figures: report.rows.iter().map(of).collect(),
    });
    runs.filter(|run| run.figures.iter().any(|figure| figure.value.is_some() || figure.more_than.is_some())).collect()
}

fn labels(report: &Report) -> Vec<String> {
    report.rows.iter().map(|row| row.period.to_string()).collect()
}

fn by_period(report: &Report, page: &mut String) {
    let runs = runs(report, [|row| &row.im.new, |row| &row.p2p.new, |row| &row.all.new]);
    if runs.is_empty() {
        page.push_str("<h2>Nothing is known of this time</h2>\n<p>Name another source or other months.</p>\n");
        return;
    }
    let title = format!("{} a {}", capital(report.source), report.span.first.step.as_str());
    page.push_str(&format!("<h2>{}</h2>\n<figure>{}", text(&title), chart::bars(&title, &labels(report), &runs)));
    legend(&runs, true, page);
    page.push_str("</figure>\n");
}

fn legend(runs: &[Run<'_>], gaps: bool, page: &mut String) {
    page.push_str("<ul class=\"legend\">");
    for run in runs {
        page.push_str(&format!("<li><i class=\"{}\"></i>{}</li>", run.class, text(run.name)));
    }
    let shown = |of: fn(&Figure) -> bool| runs.iter().flat_map(|run| &run.figures).any(|figure| of(figure));
    if shown(|figure| figure.how.is_some()) {
        page.push_str("<li><i class=\"computed\"></i>computed</li>");
    }
    if gaps && shown(|figure| figure.value.is_none()) {
        page.push_str("<li><i class=\"gap\"></i>unknown</li>");
    }
    page.push_str("</ul>");
}

/// Running totals, each year's anew. Years' own totals are the bars already.
fn through_years(report: &Report, page: &mut String) {
    if report.span.first.step == Step::Year {
        return;
    }
    let runs = runs(report, [|row| &row.year.im, |row| &row.year.p2p, |row| &row.year.all]);
    let known = |run: &Run<'_>| run.figures.iter().filter(|figure| figure.value.is_some()).count() >= 2;
    if !runs.iter().any(known) {
        return;
    }
    let breaks: Vec<bool> = report.rows.iter().map(|row| row.period.previous().year() != row.period.year()).collect();
    let title = "Year to date";
    page.push_str(&format!(
        "<h2>{title}</h2>\n<p>The total since January; where it is unknown the line is broken.</p>\n<figure>{}",
        chart::lines(title, &labels(report), &runs, &breaks)
    ));
    legend(&runs, false, page);
    page.push_str("</figure>\n");
}

fn divided(report: &Report, page: &mut String) {
    let breakdown = &report.breakdown;
    if breakdown.of == 0 {
        return;
    }
    let of = match report.source {
        Source::Journal => "attacks that this site's gateways saw. One can be in several bars.",
        Source::Counts | Source::Catalogue => "catalogue entries first seen in this time. One can be in several bars.",
    };
    page.push_str(&format!("<h2>How they divide</h2>\n<p>Of {} {of}</p>\n<div class=\"divided\">\n", breakdown.of));
    for dimension in &breakdown.dimensions {
        let items = most_frequent(dimension);
        if items.is_empty() {
            continue;
        }
        let title = dimension.title();
        page.push_str(&format!("<div><h3>{}</h3>{}</div>\n", text(title), chart::shares(title, &items, None)));
    }
    page.push_str("</div>\n");
}

fn most_frequent(dimension: &Dimension) -> Vec<(String, f64)> {
    dimension.top(SHOWN).map(|item| (dimension.label(item), item.count as f64)).collect()
}

/// What the vendor said of networks.
fn vendor_shares(report: &Report, page: &mut String) {
    let said: Vec<&Row> = report.rows.iter().filter(|row| !row.shares.is_empty()).collect();
    if said.is_empty() {
        return;
    }
    page.push_str("<h2>By network, as the vendor said</h2>\n<div class=\"divided\">\n");
    for row in said {
        let title = row.period.to_string();
        page.push_str(&format!("<div><h3>{title}</h3>{}</div>\n", chart::shares(&title, &row.shares, Some(100.0))));
    }
    page.push_str("</div>\n");
}

/// Which columns of the table have anything in them.
#[derive(Clone, Copy)]
struct Columns {
    said: bool,
    /// Of the same period a year before; for years that is the one before.
    year_ago: bool,
    /// The running total; for years that is the figure itself.
    total: bool,
}

impl Columns {
    fn of(report: &Report) -> Columns {
        let any =
            |of: fn(&Side) -> bool| report.rows.iter().any(|row| [&row.im, &row.p2p, &row.all].into_iter().any(of));
        let years = report.span.first.step == Step::Year;
        Columns {
            said: any(|side| side.said.is_some()),
            year_ago: !years && any(|side| side.year_before.value.is_some()),
            total: !years,
        }
    }

    fn titles(self) -> Vec<&'static str> {
        let mut titles = vec!["new", "before", "change"];
        titles.extend(self.said.then_some("said"));
        titles.extend(self.year_ago.then_some(["year ago", "change"]).into_iter().flatten());
        titles.extend(self.total.then_some("to date"));
        titles
    }

    fn cells(self, side: &Side, total: &Figure) -> String {
        let mut cells =
            format!("<td class=\"new first\">{}</td><td>{}</td>", explained(&side.new), explained(&side.previous));
        cells.push_str(&changed(side.change_pct()));
        if self.said {
            cells.push_str(&format!("<td>{}</td>", side.said.map(said).unwrap_or_default()));
        }
        if self.year_ago {
            cells.push_str(&format!("<td>{}</td>{}", explained(&side.year_before), changed(side.change_year_pct())));
        }
        if self.total {
            cells.push_str(&format!("<td>{}</td>", explained(total)));
        }
        cells
    }
}

/// What became of attacks: the columns of a report from the journal.
const BECAME: [&str; 5] = ["stopped", "released", "people", "reached", "senders"];

fn figures(report: &Report, page: &mut String) {
    let (columns, media) = (Columns::of(report), media(report));
    let journal = report.source == Source::Journal;
    let titles = columns.titles();
    page.push_str("<h2>Figures</h2>\n<div class=\"scroll\"><table>\n<thead>\n<tr><th></th>");
    for (name, _) in &media {
        page.push_str(&format!("<th class=\"first\" colspan=\"{}\">{name}</th>", titles.len()));
    }
    if journal {
        page.push_str(&format!("<th class=\"first\" colspan=\"{}\">What became of them</th>", BECAME.len()));
    }
    page.push_str(&format!("</tr>\n<tr><th>{}</th>", report.span.first.step.as_str()));
    for _ in &media {
        page.push_str(&group("th", titles.iter().copied()));
    }
    if journal {
        page.push_str(&group("th", BECAME));
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &report.rows {
        page.push_str(&format!("<tr><td>{}</td>", row.period));
        for (_, of) in &media {
            let (side, total) = of(row);
            page.push_str(&columns.cells(side, total));
        }
        if journal {
            let counts =
                row.attacks.map(|a| [a.stopped, a.released, a.people, a.reached, a.senders].map(|n| n.to_string()));
            let counts = counts.unwrap_or_else(|| std::array::from_fn(|_| "–".to_owned()));
            page.push_str(&group("td", counts.iter().map(String::as_str)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

/// Cells that belong together, set off from those before.
fn group<'a>(tag: &str, cells: impl IntoIterator<Item = &'a str>) -> String {
    let first = |number: usize| if number == 0 { " class=\"first\"" } else { "" };
    cells.into_iter().enumerate().map(|(number, cell)| format!("<{tag}{}>{cell}</{tag}>", first(number))).collect()
}

fn changed(change: Option<f64>) -> String {
    match change {
        None => "<td>–</td>".to_owned(),
        Some(value) => format!("<td class=\"{}\">{}</td>", direction(value), percent(value)),
    }
}

/// A figure with how it was computed behind it.
fn explained(shown: &Figure) -> String {
    match &shown.how {
        Some(how) => format!("<abbr title=\"{}\">{}</abbr>", text(how), text(&figure(shown))),
        None => text(&figure(shown)),
    }
}

fn notes(report: &Report, page: &mut String) {
    page.push_str("<h2>Notes</h2>\n<ul class=\"notes\">\n");
    let mut before = Vec::new();
    for row in &report.rows {
        let others = row.others.iter().map(other);
        for note in row.notes.iter().cloned().chain(others) {
            // What is said of several months is said once.
            if !before.contains(&note) {
                page.push_str(&format!("<li><b>{}</b> {}</li>\n", row.period, text(&note)));
                before.push(note);
            }
        }
    }
    for note in &report.notes {
        page.push_str(&format!("<li>{}</li>\n", text(note)));
    }
    page.push_str("</ul>\n");
}

/// How each computed figure was computed, for paper, which has no pointer.
fn computed(report: &Report, page: &mut String) {
    let mut items = String::new();
    for row in &report.rows {
        for (name, of) in media(report) {
            let (side, total) = of(row);
            for (what, shown) in [("new", &side.new), ("to date", total)] {
                if let (Some(value), Some(how)) = (shown.value, &shown.how) {
                    let line = format!("{} {what} {value}: {how}.", short(name));
                    items.push_str(&format!("<li><b>{}</b> {}</li>\n", row.period, text(&line)));
                }
            }
        }
    }
    if !items.is_empty() {
        page.push_str(&format!("<h2>How figures were computed</h2>\n<ul class=\"notes computed\">\n{items}</ul>\n"));
    }
}

fn sources(report: &Report, page: &mut String) {
    let mut sources: Vec<&Reference> = Vec::new();
    for source in report.rows.iter().flat_map(|row| &row.sources) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    if sources.is_empty() {
        return;
    }
    page.push_str("<h2>Sources</h2>\n<ol class=\"sources\">\n");
    for source in sources {
        let date = source.published.map(|when| format!(", {when}")).unwrap_or_default();
        let web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
        let link = source
            .url
            .as_ref()
            .filter(web)
            .map(|url| format!(": <a href=\"{0}\" rel=\"noreferrer\">{0}</a>", text(url)));
        page.push_str(&format!("<li>{}{date}{}</li>\n", text(&source.by), link.unwrap_or_default()));
    }
    page.push_str("</ol>\n");
}
