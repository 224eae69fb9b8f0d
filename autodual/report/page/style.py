"""The style sheet of the page: light and dark by the reader's preference, plain black on white when printed."""

from __future__ import annotations

_LIGHT = """
  --paper: #ffffff; --panel: #f6f7f9; --ink: #1b1f24; --faint: #59636e; --line: #d4d9df; --link: #0b57a4;
  --good: #1a7f5a; --bad: #b3261e; --open: #b7791f; --other: #6b5b95; --likely: #2b6cb0;
  --alarm: #fdecea; --alarm-ink: #7a1410; --calm: #eaf5f0; --calm-ink: #0f5138;
"""

_DARK = """
  --paper: #14171b; --panel: #1d2126; --ink: #e6e9ed; --faint: #9aa4af; --line: #363c44; --link: #7db7f0;
  --good: #4fc397; --bad: #f2766d; --open: #e0b050; --other: #a998d8; --likely: #6aaef0;
  --alarm: #3b1a18; --alarm-ink: #ffc9c4; --calm: #16302a; --calm-ink: #bfe8d8;
"""

STYLE = (
    ":root {"
    + _LIGHT
    + "color-scheme: light dark; }\n@media screen and (prefers-color-scheme: dark) { :root {"
    + _DARK
    + """} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; }
a { color: var(--link); }
code { font: .88em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.faint { color: var(--faint); font-size: .9rem; }
.claim { font-size: 1.1rem; border-left: 4px solid var(--good); padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
.claim.nothing { border-color: var(--open); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 .75rem; }
.tile { flex: 1 1 9rem; background: var(--panel); border-radius: 8px; padding: .7rem .9rem; border-top: 4px solid; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; color: var(--ink); font-variant-numeric: tabular-nums; }
.tile span { color: var(--ink); }
.tile small { display: block; color: var(--faint); line-height: 1.3; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); } .other { color: var(--other); }
.likely { color: var(--likely); }
.bar { display: flex; height: .7rem; border-radius: 4px; overflow: hidden; background: var(--line); }
.bar i { background: currentColor; min-width: 2px; }
.alarm, .calm { border-radius: 8px; padding: .6rem 1rem; margin: .75rem 0; }
.alarm { background: var(--alarm); color: var(--alarm-ink); border: 2px solid; }
.calm { background: var(--calm); color: var(--calm-ink); }
.alarm h2 { margin: 0; border: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
td > p:first-child { margin-top: 0; } td > p:last-child { margin-bottom: 0; }
thead th { color: var(--faint); font-weight: 600; white-space: nowrap; }
tbody th { color: var(--faint); font-weight: 500; width: 12rem; }
td b { white-space: nowrap; }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font: 12px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .zero { stroke: var(--ink); stroke-dasharray: 4 3; }
svg rect { fill: currentColor; } svg .line { fill: none; stroke: currentColor; stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .9rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; background: currentColor; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; margin: .75rem 0; }
figure { margin: 0; font-size: .85rem; overflow-wrap: anywhere; }
figure img { width: 7rem; max-width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
.panels { display: flex; gap: .3rem; } .panels span { width: 7rem; } .panels small { color: var(--faint); }
@media (max-width: 36rem) {
  tbody th { width: 7rem; } h1 { font-size: 1.35rem; } main { padding: 1rem .75rem 3rem; }
  svg text { font-size: 20px; } svg .finer { display: none; }
  table { font-size: .8rem; } thead th, td.num, th.num { white-space: normal; } th, td { padding-right: .4rem; }
}
@media print {
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } tr, figure, .tile, .claim, .alarm, svg { break-inside: avoid; }
  .wide { overflow: visible; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
)

_CLASSES = {
    "certified": "good",
    "probably certified": "likely",
    "unsat": "good",
    "positive": "good",
    "not flagged": "good",
    "falsified": "bad",
    "sat": "bad",
    "unknown": "open",
    "timeout": "open",
    "flagged": "open",
    "zero": "open",
}


def style_class(verdict: str) -> str:
    """The colour class of a verdict."""
    return _CLASSES.get(verdict, "other")
