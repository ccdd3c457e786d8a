"""The look of the HTML report: one style sheet, for light and dark screens and for paper."""

CSS = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1f24; --dim: #59636e; --line: #d8dee4; --soft: #f4f6f8;
  --accent: #0a5a9c; --best: #dff0e2; --notice: #fff4d6; --notice-line: #d4a72c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --ink: #e4e8ec; --dim: #9aa5b1; --line: #343b43; --soft: #1d2227;
    --accent: #7cb8f0; --best: #1f4029; --notice: #3a3013; --notice-line: #a88521;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 5rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0.4rem 0 1rem; }
h2 { font-size: 1.4rem; margin: 3rem 0 0.8rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
p, li { max-width: 62rem; }
p.quiet, caption + p { color: var(--dim); font-size: 0.875rem; }
a { color: var(--accent); }
code { font: 0.875em ui-monospace, SFMono-Regular, Consolas, "Liberation Mono", monospace; background: var(--soft);
  padding: 0.1em 0.3em; border-radius: 4px; }
.notice { background: var(--notice); border-left: 5px solid var(--notice-line); padding: 0.6rem 1rem;
  font-weight: 600; max-width: none; }
nav { background: var(--soft); padding: 0.8rem 1.2rem; border-radius: 8px; font-size: 0.95rem; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.4rem; }
.table { overflow-x: auto; margin: 1rem 0 0.3rem; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0 0.5rem; }
th, td { padding: 0.3rem 0.75rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; background: var(--soft); white-space: normal; vertical-align: bottom;
  overflow-wrap: normal; }
th.head, td.head { text-align: left; white-space: normal; min-width: 4rem; overflow-wrap: break-word; }
tbody tr.opens > * { border-top: 2px solid var(--dim); }
tbody tr:first-child.opens > * { border-top: 0; }
tbody tr:hover > * { background: var(--soft); }
td.marked, tbody tr:hover > td.marked { background: var(--best); font-weight: 600; }
td small { display: block; color: var(--dim); font-size: 0.78rem; font-weight: 400; line-height: 1.2; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.2rem; margin: 1.2rem 0; align-items: flex-start; }
figure { margin: 0; min-width: min(100%, 20rem); }
figure img { width: 100%; height: auto; display: block; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
figcaption { color: var(--dim); font-size: 0.875rem; margin-top: 0.4rem; }
details { margin: 1rem 0; border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 1rem; }
summary { cursor: pointer; font-weight: 600; }
@media print {
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
}
"""
