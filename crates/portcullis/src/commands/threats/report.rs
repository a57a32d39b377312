//! `portcullis threats report`: how many attacks there are, by month, quarter or year.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use intel::statistics::{Period, Report, Span, Step, Vendor, from_catalogue, from_counts, from_journal, render};
use jiff::tz::TimeZone;

use super::{DataArgs, Outcome, catalogue};
use crate::commands::say;
use crate::failure::Failure;

/// Width of a terminal that does not say.
const WIDTH: usize = 100;

#[derive(Args)]
#[command(group = ArgGroup::new("form").args(["json", "csv", "html"]))]
#[command(after_help = "Examples:
  portcullis threats report --from 2008-01 --to 2008-05              as a table with sparklines
  portcullis threats report --from 2005 --to 2008 --by year --json   for programs
  portcullis threats report --source journal --html report.html      this site's last twelve months, to print
  portcullis threats report --from 2020 --to 2025 --by year --source catalogue

Without --source: what the vendor counted where it counted anything, else the catalogue.
What is not known is null, empty or a dash, never 0.")]
pub struct ReportArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The first month; 2008 and 2008-Q1 are good, too. Eleven months before the last when left out.
    #[arg(long, value_name = "MONTH", value_parser = period)]
    from: Option<Period>,
    /// The last month. This one when left out.
    #[arg(long, value_name = "MONTH", value_parser = period)]
    to: Option<Period>,
    /// Rows are months, quarters or years.
    #[arg(long, value_enum, default_value_t = By::Month)]
    by: By,
    /// What to report from: vendors' historical counts, the catalogue, or this site's journal.
    #[arg(long, value_enum)]
    source: Option<From>,
    /// Whose counts: akonix, imlogic or facetime.
    #[arg(long, value_name = "NAME", default_value = "Akonix", value_parser = vendor)]
    vendor: &'static Vendor,
    /// As JSON: an array of one object a row.
    #[arg(long)]
    json: bool,
    /// As CSV: one line a row.
    #[arg(long)]
    csv: bool,
    /// As an HTML page with plots, into this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Month,
    Quarter,
    Year,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// What vendors counted from 2004 to 2008.
    Counts,
    /// When the catalogue's threats were first seen.
    Catalogue,
    /// What this site's gateways saw and stopped.
    Journal,
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| "not a month: write 2008-04, 2008-Q2 or 2008".to_owned())
}

fn vendor(name: &str) -> Result<&'static Vendor, String> {
    Vendor::named(name).ok_or_else(|| {
        let names: Vec<&str> = Vendor::bundled().iter().map(|vendor| vendor.name.as_str()).collect();
        format!("no counts of that vendor; there are those of {}", names.join(", "))
    })
}

impl ReportArgs {
    pub fn run(self) -> Outcome {
        let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
        let to = self.to.unwrap_or_else(|| Period::of(today, Step::Month));
        let from = self.from.unwrap_or_else(|| to.months().last().unwrap_or(to).eleven_before());
        let step = match self.by {
            By::Month => Step::Month,
            By::Quarter => Step::Quarter,
            By::Year => Step::Year,
        };
        let span = Span::new(from, to, step)
            .map_err(|why| Failure::usage(why).hint("name the first month with --from and the last with --to"))?;
        let report = self.report(span)?;
        if self.json {
            say(render::json(&report).to_string());
        } else if self.csv {
            say(render::csv(&report).trim_end());
        } else if let Some(path) = &self.html {
            let page = render::html(&report, today);
            if path.as_os_str() == "-" {
                say(page);
            } else {
                std::fs::write(path, page).map_err(|error| {
                    Failure::work(format!("{}: can't be written: {error}", path.display()))
                        .hint("name a file in a folder that this user may write to, or - for standard output")
                })?;
                say(format!("wrote {}", path.display()));
            }
        } else {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH);
            say(render::table(&report, render::Look { colour, width }));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, span: Span) -> Result<Report, Failure> {
        let source = self.source.unwrap_or(if self.vendor.knows(span) { From::Counts } else { From::Catalogue });
        Ok(match source {
            From::Counts => from_counts(self.vendor, Vendor::bundled(), &catalogue(&self.data)?, span),
            From::Catalogue => from_catalogue(&catalogue(&self.data)?, span),
            From::Journal => from_journal(&mut store::reader(&self.data.directory()?)?, span)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ReportArgs,
    }

    fn parsed(line: &str) -> Result<ReportArgs, String> {
        let words = std::iter::once("report").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_source_the_vendor_is_asked_first_and_the_catalogue_next() {
        let data = tempfile::tempdir().unwrap();
        let source = |from: &str, to: &str| {
            let args = parsed(&format!("--from {from} --to {to} --data {}", data.path().display())).unwrap();
            let span = Span::new(args.from.unwrap(), args.to.unwrap(), Step::Month).unwrap();
            args.report(span).unwrap().source.as_str()
        };
        assert_eq!(source("2008-01", "2008-05"), "counts");
        assert_eq!(source("2020-01", "2025-12"), "catalogue");
    }

    #[test]
    fn a_month_that_is_none_and_two_forms_are_refused() {
        assert!(parsed("--from 2008-13").is_err_and(|error| error.contains("write 2008-04")));
        assert!(parsed("--json --csv").is_err());
        assert!(parsed("--vendor symantec").is_err_and(|error| error.contains("Akonix, FaceTime, IMlogic")));
    }
}
