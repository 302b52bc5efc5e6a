"""The report's style sheet: light and dark, wide and narrow, on paper too."""

STYLE = """
:root { color-scheme: light dark; --page:#f6f7f9; --card:#fff; --ink:#1b2330; --soft:#5d6878;
  --line:#dfe3ea; --grid:#e9ecf1; --blue:#2f6fed; --pink:#e0417a; --green:#0e9f6e;
  --amber:#b45309; --amber-page:#fff7e6; }
@media (prefers-color-scheme: dark) { :root { --page:#12161d; --card:#1a2029; --ink:#e6eaf0;
  --soft:#98a3b3; --line:#2c3542; --grid:#262e3a; --blue:#6aa0ff; --pink:#ff6b9d;
  --green:#34d399; --amber:#fbbf24; --amber-page:#2a2312; } }
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
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(340px,1fr)); gap:24px; }
table { border-collapse:collapse; width:100%; font-size:14px; }
th { text-align:left; color:var(--soft); font-weight:500; }
th, td { padding:6px 12px 6px 0; border-bottom:1px solid var(--line);
  vertical-align:middle; }
tr:last-child > * { border-bottom:0; }
td.n, th.n { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap; }
td.v { font-variant-numeric:tabular-nums; font-weight:600; white-space:nowrap; }
td.r { color:var(--soft); }
code, pre { font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; font-size:13px; }
pre { overflow-x:auto; margin:10px 0 0; }
figure { margin:0; min-width:0; }
img { display:block; width:100%; height:auto; border-radius:6px; background:#20262f; }
.photo { image-rendering:auto; } .values { image-rendering:pixelated; }
.renders { display:grid; grid-template-columns:repeat(2,minmax(0,1fr)); gap:16px;
  align-items:start; }
.renders figure:first-child { grid-column:1 / -1; }
.strip { display:grid; grid-template-columns:repeat(3,minmax(180px,1fr)); gap:12px;
  margin-bottom:6px; }
.key-line { color:var(--soft); font-size:13px; margin:0 0 22px;
  font-variant-numeric:tabular-nums; }
.key-line:last-child { margin-bottom:0; }
.key-line b { color:var(--ink); }
.bar { display:flex; align-items:center; gap:8px; font-size:12px; color:var(--soft);
  font-variant-numeric:tabular-nums; white-space:nowrap; }
.bar img { height:10px; width:100%; min-width:40px; border-radius:3px; }
.blank { display:grid; place-items:center; min-height:120px; border:1px dashed var(--line);
  border-radius:6px; color:var(--soft); font-size:13px; text-align:center; padding:12px; }
.warn { border-color:var(--amber); background:var(--amber-page); }
.warn h2 { color:var(--amber); }
.chart { width:100%; height:auto; display:block; overflow:visible; }
.chart text { fill:var(--soft); font-size:11px; font-variant-numeric:tabular-nums; }
.chart .title { font-size:12px; }
.chart .grid { stroke:var(--grid); fill:none; } .chart .axis { stroke:var(--line); fill:none; }
.chart .line { fill:none; stroke-width:2; stroke-linejoin:round; stroke:currentColor; }
.chart .area { fill:currentColor; opacity:.13; stroke:none; }
.chart .dot { fill:var(--green); stroke:var(--card); stroke-width:2; }
.estimate { color:var(--pink); } .truth { color:var(--blue); } .plain { color:var(--blue); }
.before { color:var(--soft); }
.chart .truth.line { stroke-width:5; opacity:.45; }
.legend { display:flex; gap:16px; font-size:13px; color:var(--soft); margin-top:4px; }
.key { display:inline-block; width:16px; height:3px; border-radius:2px; vertical-align:middle;
  margin-right:6px; background:currentColor; }
.meter { background:var(--grid); border-radius:4px; height:10px; min-width:120px;
  position:relative; overflow:hidden; }
.meter i { position:absolute; inset:0 auto 0 0; background:var(--blue); opacity:.35; }
.meter i + i { opacity:1; }
details summary { cursor:pointer; color:var(--soft); font-size:14px; }
@media (max-width:640px) { main { padding:20px 12px 40px; }
  .strip, .renders { grid-template-columns:1fr; } }
@media print { section { break-inside:avoid; } body { background:#fff; } }
"""
