//! Plots as SVG: bars by period, lines through years, shares. Colours and type come from the page's style sheet.
//!
//! What is unknown is a gap that is seen to be one, never a bar of no height.

use super::super::{Basis, Figure};
use super::html::escape;
use super::{figure, plain};

/// A run of figures, one a period.
pub(super) struct Run<'a> {
    /// Its name in the legend.
    pub(super) name: &'a str,
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    /// Its figures.
    pub(super) figures: Vec<&'a Figure>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;
/// Room that a period's label takes.
const LABEL: f64 = 58.0;
/// Bars narrower than this carry no number.
const NUMBERED: f64 = 13.0;

/// What fills a gap.
const HATCHES: &str = "<defs><pattern id=\"unknown\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
    patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>";

/// The plane between the axes.
struct Plane {
    slots: usize,
    most: f64,
}

impl Plane {
    fn of(slots: usize, runs: &[Run<'_>]) -> Plane {
        let values = runs.iter().flat_map(|run| &run.figures).filter_map(|figure| figure.value.or(figure.more_than));
        let most = values.max().unwrap_or(0).max(1) as f64;
        let step = tick(most);
        Plane { slots: slots.max(1), most: (most / step).ceil() * step }
    }

    fn slot(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / self.slots as f64
    }

    fn x(&self, slot: usize) -> f64 {
        LEFT + self.slot() * slot as f64
    }

    fn y(&self, value: f64) -> f64 {
        let height = HEIGHT - TOP - BOTTOM;
        TOP + height - height * (value / self.most).min(1.0)
    }

    fn floor(&self) -> f64 {
        HEIGHT - BOTTOM
    }

    /// Grid, numbers at the left and as many labels below as have room.
    fn axes(&self, labels: &[String], out: &mut String) {
        let step = tick(self.most);
        let ticks = (self.most / step).round() as u32;
        for number in 0..=ticks {
            let value = step * f64::from(number);
            let (y, right) = (self.y(value), WIDTH - RIGHT);
            let class = if number == 0 { "axis" } else { "grid" };
            out.push_str(&format!(
                "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"
            ));
            let (x, y) = (LEFT - 8.0, y + 4.0);
            out.push_str(&format!("<text class=\"tick\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{value}</text>"));
        }
        let every = (LABEL / self.slot()).ceil().max(1.0) as usize;
        for (slot, label) in labels.iter().enumerate().step_by(every) {
            let (x, y) = (self.x(slot) + self.slot() / 2.0, HEIGHT - BOTTOM + 20.0);
            let label = escape(label);
            out.push_str(&format!("<text class=\"tick\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"));
        }
    }
}

/// Groups of bars, one group a period.
pub(super) fn bars(title: &str, labels: &[String], runs: &[Run<'_>]) -> String {
    let plane = Plane::of(labels.len(), runs);
    let mut out = open(title);
    out.push_str(HATCHES);
    plane.axes(labels, &mut out);
    let margin = plane.slot() * 0.14;
    let width = (plane.slot() - 2.0 * margin) / runs.len().max(1) as f64;
    for (slot, label) in labels.iter().enumerate() {
        for (number, run) in runs.iter().enumerate() {
            let Some(figure) = run.figures.get(slot) else { continue };
            let x = plane.x(slot) + margin + width * number as f64;
            bar(&plane, run, figure, label, (x, width), &mut out);
        }
    }
    out.push_str("</svg>");
    out
}

fn bar(plane: &Plane, run: &Run<'_>, shown: &Figure, label: &str, (x, width): (f64, f64), out: &mut String) {
    let floor = plane.floor();
    let gap = (width * 0.06).min(2.0);
    let (x, inner) = (x + gap, width - 2.0 * gap);
    let numbered = width >= NUMBERED;
    let text = |y: f64, class: &str, text: &str| {
        format!(
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>",
            x + inner / 2.0
        )
    };
    let (value, known) = match (shown.value, shown.more_than) {
        (Some(value), _) => (value as f64, if shown.basis == Basis::Computed { "computed" } else { "counted" }),
        (None, Some(bound)) => (bound as f64, "bound"),
        (None, None) => {
            let (y, height) = (floor - 26.0, 26.0);
            out.push_str(&format!(
                "<rect class=\"gap\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{inner:.1}\" height=\"{height}\">{}</rect>",
                hint(&format!("{label}, {}: unknown", run.name))
            ));
            if numbered {
                out.push_str(&text(floor - 8.0, "unknown", "?"));
            }
            return;
        }
    };
    let y = plane.y(value);
    let why = shown.how.as_deref().map(|how| format!(" ({how})")).unwrap_or_default();
    out.push_str(&format!(
        "<rect class=\"{} {known}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{inner:.1}\" height=\"{:.1}\">{}</rect>",
        run.class,
        (floor - y).max(0.6),
        hint(&format!("{label}, {}: {}{why}", run.name, figure(shown)))
    ));
    if numbered {
        out.push_str(&text(y - 5.0, "number", &escape(&figure(shown))));
    }
}

/// A line a run; broken where a figure is unknown and where `breaks` says that a new one begins.
pub(super) fn lines(title: &str, labels: &[String], runs: &[Run<'_>], breaks: &[bool]) -> String {
    let plane = Plane::of(labels.len(), runs);
    let mut out = open(title);
    plane.axes(labels, &mut out);
    for run in runs {
        let points: Vec<Option<(f64, f64)>> = run
            .figures
            .iter()
            .enumerate()
            .map(|(slot, figure)| Some((plane.x(slot) + plane.slot() / 2.0, plane.y(figure.value? as f64))))
            .collect();
        let mut path = String::new();
        for (slot, point) in points.iter().enumerate() {
            let Some((x, y)) = point else { continue };
            let before = slot.checked_sub(1).and_then(|slot| points.get(slot)).is_some_and(Option::is_some);
            let goes_on = before && !breaks.get(slot).copied().unwrap_or(false);
            path.push_str(&format!("{}{x:.1} {y:.1}", if goes_on { "L" } else { "M" }));
        }
        if path.is_empty() {
            continue;
        }
        out.push_str(&format!("<path class=\"line {}\" d=\"{path}\"/>", run.class));
        let dense = plane.slot() < NUMBERED;
        for ((point, shown), label) in points.iter().zip(&run.figures).zip(labels) {
            let Some((x, y)) = point.filter(|_| !dense) else { continue };
            let known = if shown.basis == Basis::Computed { "computed" } else { "counted" };
            let why = shown.how.as_deref().map(|how| format!(" ({how})")).unwrap_or_default();
            let said = hint(&format!("{label}, {}: {}{why}", run.name, figure(shown)));
            out.push_str(&format!(
                "<circle class=\"{} {known}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\">{said}</circle>",
                run.class
            ));
            if plane.slot() >= 2.0 * NUMBERED {
                let (y, number) = (y - 9.0, escape(&figure(shown)));
                out.push_str(&format!(
                    "<text class=\"number\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{number}</text>"
                ));
            }
        }
    }
    out.push_str("</svg>");
    out
}

/// Horizontal bars with their names before and their numbers behind them; per cent of a whole, or the longest fills
/// the room.
pub(super) fn shares(title: &str, items: &[(String, f64)], whole: Option<f64>) -> String {
    const ROW: f64 = 24.0;
    const NAME: f64 = 244.0;
    const ROOM: f64 = 460.0;
    let most = whole.unwrap_or_else(|| items.iter().map(|(_, value)| *value).fold(1.0, f64::max));
    let unit = if whole.is_some() { " %" } else { "" };
    let height = ROW * items.len() as f64 + 4.0;
    let mut out = format!(
        "<svg class=\"shares\" viewBox=\"0 0 {ROOM} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(&plain(title))
    );
    for (number, (name, value)) in items.iter().enumerate() {
        let y = ROW * number as f64 + 3.0;
        let width = ((ROOM - NAME - 52.0) * (value / most).min(1.0)).max(1.0);
        let (x, middle) = (NAME - 8.0, y + 13.5);
        let shown = escape(&plain(&clipped(name, 36)));
        out.push_str(&format!(
            "<text class=\"name\" x=\"{x}\" y=\"{middle}\" text-anchor=\"end\">{shown}{}</text>\
             <rect class=\"share\" x=\"{NAME}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" rx=\"1.5\"/>\
             <text class=\"number\" x=\"{:.1}\" y=\"{middle}\">{value}{unit}</text>",
            hint(name),
            NAME + width + 6.0,
        ));
    }
    out.push_str("</svg>");
    out
}

fn open(title: &str) -> String {
    let title = escape(&plain(title));
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>")
}

/// What is shown when a pointer rests on a shape.
fn hint(text: &str) -> String {
    format!("<title>{}</title>", escape(&plain(text)))
}

fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The distance of the grid's lines: 1, 2 or 5 times a power of ten, so that there are at most six.
fn tick(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    step.unwrap_or(rough).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_round() {
        for (most, step) in [(1.0, 1.0), (5.0, 1.0), (21.0, 5.0), (88.0, 20.0), (406.0, 100.0), (2403.0, 500.0)] {
            assert_eq!(tick(most), step, "{most}");
        }
    }

    #[test]
    fn the_unknown_is_a_gap_and_zero_is_a_bar() {
        let figures = [Figure::counted(0), Figure::UNKNOWN, Figure { more_than: Some(300), ..Figure::UNKNOWN }];
        let labels = ["a", "b", "c"].map(str::to_owned);
        let drawn = |figures: &[Figure]| {
            let run = Run { name: "IM", class: "im", figures: figures.iter().collect() };
            (bars("t", &labels, &[run]), figures.len())
        };
        let (svg, _) = drawn(&figures);
        assert!(svg.contains("a, IM: 0") && svg.contains("b, IM: unknown") && svg.contains("c, IM: &gt;300"), "{svg}");
        assert_eq!(svg.matches("class=\"gap\"").count(), 1);
        let run = Run { name: "IM", class: "im", figures: figures.iter().collect() };
        assert_eq!(lines("t", &labels, &[run], &[]).matches("<circle").count(), 1);
    }
}
