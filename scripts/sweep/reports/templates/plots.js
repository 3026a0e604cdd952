// The report's charts as SVG, by ECharts' rendering without a browser: node plots.js < {charts, look, data} > {name: svg}.
"use strict";
const { readFileSync } = require("node:fs");
const { runInThisContext } = require("node:vm");

const given = JSON.parse(readFileSync(0, "utf8"));
for (const source of given.sources) runInThisContext(readFileSync(source, "utf8"));

const { data, colours } = given;
const [WIDTH, FONT] = [820, "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"];
const look = { colour: (name) => colours[name], tooltip: () => ({ show: false }), still: true, font: FONT };
const drawing = globalThis.eval("sweepCharts")(data, look);
const { cut } = globalThis.eval("sweepWords")(data);
const made = {};

// A title of its own above what the page has under a heading.
const HEAD = 44;
const lowered = (one) => (one && isFinite(one.top) ? { ...one, top: one.top + HEAD } : one);
const draw = (name, title, height, option, width = WIDTH) => {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height: height + HEAD });
  chart.setOption({
    ...drawing.base(),
    backgroundColor: colours.page,
    title: { text: cut(title, Math.floor(width / 9)), left: 12, top: 10, textStyle: { color: colours.text, fontSize: 15, fontFamily: FONT } },
    ...option,
    ...(option.grid ? { grid: lowered(option.grid) } : {}),
    ...(option.parallel ? { parallel: lowered(option.parallel) } : {}),
  });
  made[name] = chart.renderToSVGString();
  chart.dispose();
};

const metric = data.objective.metric;
if (drawing.drawn.length) {
  data.names.forEach((name, place) => draw(`hyperparameter-${place + 1}`, `${metric} over ${name}`, 280, drawing.hyperparameter(place, false), 480));
  if (data.names.length) draw("parallel", `${data.sweep}: parallel coordinates`, 400, drawing.parallel(false));
  if (data.names.length > 1) {
    const [across, up] = drawing.ranked;
    draw("pair", `${data.sweep}: mean ${metric}, and trials`, 420, drawing.pair(across, up, WIDTH));
  }
}
if (data.importance) draw("importance", `${data.sweep}: importance for ${metric}, with 90 % intervals`, 70 + 34 * data.importance.shares.length, drawing.importance());
if (data.front) draw("front", `${data.sweep}: Pareto front`, 400, drawing.front(1, 0));
if (data.rungs) draw("rungs", `${data.sweep}: rungs`, 400, drawing.rungs());
if (data.progress.length > 1) draw("progress", `${data.sweep}: best so far`, 400, drawing.progress());
if (data.curves.metrics.length) draw("curves", `${data.sweep}: learning curves`, 400, drawing.curve(0));
if (data.attempts.length) draw("timeline", `${data.sweep}: attempts by node`, drawing.timelineHeight, drawing.timeline());
process.stdout.write(JSON.stringify(made));
