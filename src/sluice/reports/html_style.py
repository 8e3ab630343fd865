"""Style of the HTML report: one column, both colour schemes, readable from 400 pixels up.

Colours are those of Okabe and Ito, which people with any colour vision tell apart; each is doubled
by a dash, a shape or a word.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #14181d; --soft: #55606d; --line: #d9dee5;
  --candidate: #0067a3; --stable: #00785a; --bad: #b84700; --other: #8c4a78;
  --good-badge: #d9f2e6; --bad-badge: #fde3d3; --wait-badge: #fdf1c9; --run-badge: #dcecf8;
  --fill: rgba(0, 103, 163, .16);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101418; --card: #181e24; --ink: #e8ecf0; --soft: #a3afbb; --line: #313b46;
    --candidate: #6bbcf5; --stable: #3fc79d; --bad: #ff9a5c; --other: #d99ac3;
    --good-badge: #12402f; --bad-badge: #552509; --wait-badge: #4a3b08; --run-badge: #0d3653;
    --fill: rgba(107, 188, 245, .2);
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.1rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 0; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
header p { flex-basis: 100%; overflow-wrap: anywhere; }
.badge { padding: .1rem .7rem; border-radius: 1rem; font-weight: 600; white-space: nowrap; }
.promoted { background: var(--good-badge); } .aborted { background: var(--bad-badge); }
.held { background: var(--wait-badge); } .running { background: var(--run-badge); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin-top: 1rem;
}
.tiles {
  display: grid; gap: .75rem; margin: 1rem 0 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
}
.tiles div {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .7rem .9rem; display: flex; flex-direction: column-reverse; justify-content: flex-end;
}
.tiles dt { color: var(--soft); font-size: .875rem; line-height: 1.3; }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 650; line-height: 1.25; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .35rem 0 0; padding: 0; }
.legend li { list-style: none; font-size: .875rem; }
.legend svg { width: 1.6rem; height: .7rem; margin-right: .4rem; vertical-align: middle; }
.chart { position: relative; margin: .6rem .6rem 1.7rem 3.2rem; height: 10rem; }
.chart.marked { margin-top: 3.3rem; }
.chart.low { height: 5rem; }
.chart > svg { width: 100%; height: 100%; display: block; overflow: visible; }
.chart path, .chart line { vector-effect: non-scaling-stroke; }
.tick { position: absolute; font-size: .75rem; color: var(--soft); line-height: 1; }
.tick.x { top: calc(100% + .35rem); transform: translateX(-50%); white-space: nowrap; }
.tick.x.last { transform: translateX(-100%); }
.tick.y { right: calc(100% + .4rem); transform: translateY(-50%); white-space: nowrap; }
.mark {
  position: absolute; transform: translateX(-50%); width: 1.25rem; height: 1.25rem;
  border-radius: 50%; background: var(--ink); color: var(--card);
  font-size: .7rem; font-weight: 700; text-align: center; line-height: 1.25rem;
}
.rule { position: absolute; top: 0; bottom: 0; border-left: 1px dotted var(--soft); }
.grid { stroke: var(--line); stroke-width: 1; }
.candidate { stroke: var(--candidate); } .stable { stroke: var(--stable); stroke-dasharray: 7 3; }
.bad { stroke: var(--bad); } .other { stroke: var(--other); stroke-dasharray: 2 3; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.dots { fill: none; stroke-width: 6; stroke-linecap: round; stroke-dasharray: none; }
.area { fill: var(--fill); stroke: none; }
.limit { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 4; }
.bars { margin: .6rem 0 0; padding: 0; }
.bars li { list-style: none; margin-top: .55rem; }
.bars .name { display: flex; justify-content: space-between; gap: 1rem; }
.bars .bar { height: .8rem; border-radius: .2rem; background: var(--other); min-width: 3px; }
.bars .ours .bar { background: var(--candidate); }
.bars .ours { font-weight: 600; }
.steps { margin: .6rem 0 0; padding: 0; }
.steps li {
  list-style: none; display: grid; grid-template-columns: 2rem 1fr; gap: 0 .5rem;
  padding: .55rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere;
}
.steps .number {
  width: 1.5rem; height: 1.5rem; border-radius: 50%; background: var(--ink);
  color: var(--card); font-size: .75rem; font-weight: 700; text-align: center; line-height: 1.5rem;
}
.steps .what { font-weight: 600; display: flex; flex-wrap: wrap; gap: 0 .8rem; }
.steps .what .soft { font-weight: 400; }
.steps .body { grid-column: 2; }
table { border-collapse: collapse; width: 100%; margin-top: .6rem; font-size: .9rem; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: .35rem .9rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; }
.number-cell { text-align: right; }
.verdict-failed { color: var(--bad); font-weight: 650; }
.verdict-passed { color: var(--stable); font-weight: 650; }
footer { margin-top: 1.5rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 44rem) {
  .chart { margin-left: 2.7rem; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0; }
  td, td.number-cell {
    display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0;
    text-align: right;
  }
  td::before { content: attr(data-name); color: var(--soft); text-align: left; }
}
@media print { body { background: none; } section, .tiles div { break-inside: avoid; } }
"""
