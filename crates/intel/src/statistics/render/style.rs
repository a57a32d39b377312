//! The style sheet of the HTML report: for the screen, in light and dark, and for A4.

/// The whole sheet.
pub(super) const SHEET: &str = r#"
:root {
  color-scheme: light dark;
  --ink: #1a2230; --soft: #5b6675; --faint: #8b95a3; --line: #dde2e8; --paper: #ffffff; --card: #f6f8fa;
  --im: #2563ae; --p2p: #d2761e; --all: #6d5a9c; --share: #4a7fb5; --up: #b3261e; --down: #1b7f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0; --soft: #a6b0bd; --faint: #78828f; --line: #343c47; --paper: #14181e; --card: #1c222a;
    --im: #6ba4e6; --p2p: #eb9d55; --all: #ab98d8; --share: #6c9ccc; --up: #f2857c; --down: #66c795;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif;
}
main { max-width: 1040px; margin: 0 auto; padding: 40px 32px 56px; }
header { border-bottom: 3px solid var(--im); padding-bottom: 18px; margin-bottom: 26px; }
.over { font-size: 12px; font-weight: 600; letter-spacing: .12em; text-transform: uppercase; color: var(--im); margin: 0; }
h1 { font-size: 30px; line-height: 1.2; margin: 4px 0 6px; letter-spacing: -.01em; }
header p { margin: 0; color: var(--soft); }
h2 { font-size: 18px; margin: 34px 0 4px; }
h3 { font-size: 14px; margin: 0 0 4px; color: var(--soft); font-weight: 600; }
h2 + p { margin: 0 0 10px; color: var(--soft); font-size: 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 14px 16px; }
.card { display: flex; flex-direction: column; }
.card p { margin: 0; font-size: 13px; color: var(--soft); }
.card .value { font-size: 32px; line-height: 1.2; font-weight: 650; color: var(--ink); font-variant-numeric: tabular-nums; }
.up { color: var(--up); } .down { color: var(--down); }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--faint); }
svg .number { fill: var(--ink); font-size: 11.5px; font-weight: 600; }
svg .unknown { fill: var(--faint); font-weight: 600; }
svg .name { fill: var(--ink); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--faint); stroke-width: 1; }
svg .hatch { stroke: var(--line); stroke-width: 3; }
svg .gap { fill: url(#unknown); stroke: var(--line); stroke-width: 1; stroke-dasharray: 3 3; }
svg .im { fill: var(--im); stroke: var(--im); } svg .p2p { fill: var(--p2p); stroke: var(--p2p); }
svg .all { fill: var(--all); stroke: var(--all); } svg .share { fill: var(--share); }
svg rect.counted { stroke: none; }
svg rect.computed { fill-opacity: .45; stroke-width: 1; }
svg rect.bound { fill-opacity: .12; stroke-width: 1.2; stroke-dasharray: 4 3; }
svg .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
svg circle { stroke-width: 2; } svg circle.computed { fill: var(--paper); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 6px 0 0 44px; padding: 0; list-style: none; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin-right: 7px; vertical-align: -1px; }
i.im { background: var(--im); } i.p2p { background: var(--p2p); } i.all { background: var(--all); }
i.computed { background: color-mix(in srgb, var(--soft) 35%, transparent); border: 1px solid var(--soft); }
i.gap { background: repeating-linear-gradient(45deg, var(--line) 0 2px, transparent 2px 5px); border: 1px dashed var(--faint); }
.divided { display: grid; grid-template-columns: 1fr 1fr; gap: 22px 36px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead tr:first-child th { border-bottom: 0; text-align: left; color: var(--ink); }
td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; text-transform: capitalize; }
td.new { font-weight: 650; } td.first, th.first { border-left: 1px solid var(--line); }
td abbr { text-decoration: none; cursor: help; }
.notes { padding-left: 18px; margin: 6px 0; font-size: 14px; } .notes li { margin: 3px 0; }
.notes.computed { columns: 2; column-gap: 36px; font-size: 13px; } .notes.computed li { break-inside: avoid; }
.notes b { font-variant-numeric: tabular-nums; }
.sources { font-size: 13px; color: var(--soft); padding-left: 22px; margin: 6px 0; } .sources li { margin: 3px 0; overflow-wrap: anywhere; }
a { color: var(--im); }
footer { margin-top: 34px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 12.5px; color: var(--soft); }
@media (max-width: 700px) { main { padding: 24px 16px; } .divided { grid-template-columns: 1fr; } }
@page { size: A4; margin: 14mm 13mm 16mm; }
@media print {
  :root {
    color-scheme: light;
    --ink: #111; --soft: #444; --faint: #777; --line: #ccd2d9; --paper: #fff; --card: #f6f8fa;
    --im: #2563ae; --p2p: #d2761e; --all: #6d5a9c; --share: #4a7fb5; --up: #b3261e; --down: #1b7f4b;
  }
  body { font-size: 10pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 20pt; } h2 { font-size: 12.5pt; margin-top: 18pt; break-after: avoid; }
  .cards { grid-template-columns: repeat(4, 1fr); gap: 8pt; } .card { padding: 8pt 10pt; } .card .value { font-size: 20pt; }
  figure, .card, .divided > div, tr, li { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; } table { font-size: 8.5pt; } td, th { padding: 3pt 4pt; }
  .notes, .sources { font-size: 8.5pt; } a { color: inherit; text-decoration: none; }
}
"#;
