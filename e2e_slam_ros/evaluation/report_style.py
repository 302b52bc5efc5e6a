"""The style sheet of the report, for light, dark and narrow screens and for paper."""

STYLE = """
:root { color-scheme: light dark; --page:#f6f7f9; --card:#fff; --ink:#1b2330; --soft:#5d6878;
  --line:#dfe3ea; --amber:#b45309; --amber-page:#fff7e6; }
@media (prefers-color-scheme: dark) { :root { --page:#12161d; --card:#1a2029; --ink:#e6eaf0;
  --soft:#98a3b3; --line:#2c3542; --amber:#fbbf24; --amber-page:#2a2312; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--page); color:var(--ink); line-height:1.5;
  font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; }
main { max-width:1180px; margin:0 auto; padding:32px 24px 64px; }
header p { color:var(--soft); margin:2px 0; font-size:14px; }
h1 { font-size:28px; line-height:1.2; margin:0 0 8px; letter-spacing:-.01em; }
h1 small { color:var(--soft); font-weight:500; }
h2 { font-size:19px; margin:0 0 14px; }
h3 { font-size:14px; margin:0 0 6px; font-weight:600; }
section { background:var(--card); border:1px solid var(--line); border-radius:12px;
  padding:20px 22px; margin-top:20px; overflow-x:auto; }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(150px,1fr)); gap:12px;
  margin-top:22px; }
.card { background:var(--card); border:1px solid var(--line); border-radius:12px;
  padding:12px 16px; }
.card b { display:block; font-size:23px; line-height:1.3; font-variant-numeric:tabular-nums;
  white-space:nowrap; }
.card span, .hint, .none, figcaption { color:var(--soft); font-size:13px; }
.hint { margin:0 0 12px; max-width:85ch; }
.columns { display:grid; grid-template-columns:repeat(auto-fit,minmax(340px,1fr)); gap:24px;
  align-items:start; }
table { border-collapse:collapse; width:100%; font-size:14px; }
th { text-align:left; color:var(--soft); font-weight:500; }
th, td { padding:6px 12px 6px 0; border-bottom:1px solid var(--line);
  vertical-align:middle; }
tr:last-child > * { border-bottom:0; }
td.figure, th.figure { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap; }
td.result { font-variant-numeric:tabular-nums; font-weight:600; white-space:nowrap; }
td.remark { color:var(--soft); }
code, pre { font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; font-size:13px; }
pre { overflow-x:auto; margin:10px 0 0; }
figure { margin:0; min-width:0; }
img { display:block; width:100%; height:auto; border-radius:6px; background:#20262f; }
.chart { background:none; max-width:640px; }
tr.strong > * { font-weight:650; color:var(--ink); } ul { padding-left:20px; }
.renders { display:grid; grid-template-columns:repeat(2,minmax(0,1fr)); gap:16px;
  align-items:start; }
.renders figure:first-child { grid-column:1 / -1; }
.warn { border-color:var(--amber); background:var(--amber-page); }
.warn h2 { color:var(--amber); }
details summary { cursor:pointer; color:var(--soft); font-size:14px; }
@media (max-width:640px) { main { padding:20px 12px 40px; }
  .renders { grid-template-columns:1fr; } }
@media print { section { break-inside:avoid; } body { background:#fff; } }
"""
