// What every chart of the report looks like: options of ECharts from the report's data, without a page. report.js draws
// them in the browser, plots.js as SVG. `look` is what they are drawn on: colours, a font, a way to make tooltips.
"use strict";

// ---- words and numbers, as in scripts/sweep/reports/verdict.py ----

const sweepWords = (data) => {
  const isNumber = (value) => typeof value === "number";
  const measured = (value) => {
    if (!isNumber(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1e15) return String(+value.toPrecision(6));
    return data.decimals === 12 && size > 0 && size < 1e-11 ? String(+value.toPrecision(2)) : value.toFixed(data.decimals);
  };
  // What charts draw of a value: sums and differences of the largest numbers there are would be none.
  const drawable = (value) => (isNumber(value) ? Math.max(-1e300, Math.min(1e300, value)) : value);
  const seconds = (value) => (!isNumber(value) ? "" : value < 10 ? value.toFixed(1) : Math.round(value).toString());
  const chance = (p) => (!isNumber(p) ? "" : p >= 0.995 ? "> 99 %" : p < 0.005 ? "< 1 %" : `${Math.round(100 * p)} %`);
  const plain = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") return isNumber(value) ? String(value) : JSON.stringify(value);
    const word = /^[A-Za-z_][\w./-]*$/.test(value) && !/^(true|false|null|on|off|yes|no|y|n)$/i.test(value);
    return word ? value : JSON.stringify(value);
  };
  const cut = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);
  const compare = (a, b) => {
    if (isNumber(a) && isNumber(b)) return a - b;
    return plain(a).localeCompare(plain(b), "en", { numeric: true });
  };
  return { isNumber, measured, drawable, seconds, chance, plain, cut, compare };
};

// A browser's own chart draws one thing at a time, so a chart is a function that gives its options.
const sweepCharts = (data, look) => {
  const { isNumber, measured, drawable, seconds, plain, cut, compare } = sweepWords(data);
  const { colour, tooltip } = look;
  const field = Object.fromEntries(data.fields.map((name, place) => [name, place]));
  const trials = data.trials;
  const metric = data.objective.metric;
  const sign = data.objective.sign;
  const MOST_LINES = 2000; // lines in the parallel coordinates; more are neither told apart nor drawn quickly
  const MOST_AXES = 12;
  const value = (trial) => drawable(trials[trial][field.objective]);
  const pointOf = new Map();
  data.points.forEach((point, place) => point.trials.forEach((trial) => pointOf.set(trial, place)));
  const isWinner = (trial) => pointOf.get(trial) === 0;

  const scale = () => [0, 1, 2, 3].map((step) => colour(`scale-${step}`));
  const base = () => ({
    animation: !look.still && trials.length < 1000,
    animationDuration: 300,
    textStyle: { color: colour("text"), fontFamily: look.font },
    aria: { enabled: true },
  });
  const axis = (extra) => ({
    nameTextStyle: { color: colour("dim") },
    axisLabel: { color: colour("dim"), hideOverlap: true },
    axisLine: { lineStyle: { color: colour("dim") } },
    axisTick: { lineStyle: { color: colour("dim") } },
    splitLine: { lineStyle: { color: colour("line") } },
    ...extra,
  });
  const below = (name) => ({ name: cut(name, 60), nameLocation: "middle", nameGap: 28 });
  const above = (name) => ({ name: cut(name, 40), nameTextStyle: { color: colour("dim"), align: "left" } });
  const grid = (extra) => ({ left: 8, right: 20, top: 12, bottom: 8, containLabel: true, ...extra });
  const blue = () => ({ color: colour("blue") });
  const orange = () => ({ color: colour("orange"), borderColor: colour("page"), borderWidth: 1 });
  const hollow = () => ({ color: colour("page"), borderColor: colour("dim"), borderWidth: 1.25 });
  const about = (trial) => [
    `${metric} ${measured(trials[trial][field.objective])}`,
    ...data.names.slice(0, MOST_AXES).map((name, place) => cut(`${name} ${plain(data.hyperparameters[trial][place])}`, 120)),
    `seed ${trials[trial][field.seed]}`,
    `trial ${trials[trial][field.id]}`,
  ];

  // Only trials of the engine that is ranked, and only those with a value, can be drawn.
  const drawn = trials.map((_, place) => place).filter((place) => isNumber(value(place)) && trials[place][field.engine] === data.engine);
  const objectives = drawn.map(value).sort((a, b) => sign * (b - a));
  const median = objectives[Math.floor((objectives.length - 1) / 2)];
  const valueRange = (better) => {
    const far = better ? median : objectives[objectives.length - 1];
    return { min: sign > 0 ? far : objectives[0], max: sign > 0 ? objectives[0] : far };
  };
  const padded = ({ min, max }) => {
    const room = (max - min || Math.abs(max) || 1) * 0.06;
    return { min: min - room, max: max + room };
  };
  const short = (number) => String(+number.toPrecision(3));
  const objectiveLabel = (number) => String(+number.toPrecision(6));
  const objectiveAxis = (range) => ({ type: "value", ...padded(range), axisLabel: { color: colour("dim"), showMinLabel: false, showMaxLabel: false, formatter: objectiveLabel } });

  // How a hyperparameter is laid out on an axis: few different values, or words, as categories; wide ranges by logarithm.
  const layout = (place) => {
    const values = drawn.map((trial) => data.hyperparameters[trial][place]);
    const different = [...new Map(values.filter((one) => one !== null).map((one) => [plain(one), one])).values()];
    const numeric = different.every(isNumber);
    if (!numeric || (different.length <= 8 && different.length <= 0.6 * data.points.length)) {
      different.sort(compare);
      const labels = different.map(plain);
      if (values.includes(null)) labels.push("(none)");
      return { type: "category", labels, at: (trial) => {
        const one = data.hyperparameters[trial][place];
        return labels.indexOf(one === null ? "(none)" : plain(one));
      } };
    }
    const low = different.reduce((a, b) => Math.min(a, b));
    const high = different.reduce((a, b) => Math.max(a, b));
    // As space.yaml draws it; of a hyperparameter that it does not name, by the width of its range.
    const scale = data.scales[data.names[place]] || { log: high / low >= 15, whole: different.every(Number.isInteger) };
    return { type: low > 0 && high > low && scale.log ? "log" : "value", whole: scale.whole, low, high, at: (trial) => data.hyperparameters[trial][place] };
  };
  const layouts = data.names.map((_, place) => layout(place));
  // Labels that lines run through keep a rim in the colour of the page.
  const rim = () => ({ color: colour("text"), textBorderColor: colour("page"), textBorderWidth: 3 });
  const layoutAxis = (place, most, style = { color: colour("dim") }) => {
    const { type, labels, low, high, whole } = layouts[place];
    const label = { ...style, hideOverlap: true, formatter: (text) => cut(String(text), most) };
    if (type === "category") return { type, data: labels, axisLabel: label };
    if (type === "log") return { type, min: low, max: high, axisLabel: { ...label, formatter: short } };
    return { type, scale: true, ...(whole ? { minInterval: 1 } : {}), axisLabel: { ...label, formatter: short } };
  };

  // ---- one hyperparameter ----

  const hyperparameter = (place, better) => {
    const range = valueRange(better);
    const points = drawn
      .filter((trial) => value(trial) >= range.min && value(trial) <= range.max)
      .map((trial) => ({ value: [layouts[place].at(trial), value(trial)], trial }));
    const mark = (own, extra) => ({ type: "scatter", data: points.filter((point) => isWinner(point.trial) === own), ...extra });
    const jitter = layouts[place].type === "category" ? { jitter: 24, jitterOverlap: false } : {};
    return {
      grid: grid(),
      tooltip: tooltip((found) => about(found.data.trial)),
      xAxis: axis({ ...layoutAxis(place, 16), ...jitter, splitLine: { show: false } }),
      yAxis: axis(objectiveAxis(range)),
      series: [
        mark(false, { symbolSize: points.length > 2000 ? 4 : 7, itemStyle: { ...blue(), opacity: points.length > 300 ? 0.45 : 0.75 } }),
        mark(true, { symbol: "diamond", symbolSize: 15, z: 5, itemStyle: orange() }),
      ],
    };
  };

  // ---- importance: a dot and its interval a hyperparameter ----

  const importance = () => {
    const shares = data.importance.shares;
    const percent = (share) => `${Math.round(100 * share)} %`;
    return {
      grid: grid({ bottom: 36 }),
      tooltip: tooltip((found) => {
        const [name, mean, low, high] = shares[found.dataIndex];
        return [cut(name, 120), `share ${percent(mean)}`, `90 % interval ${percent(low)} to ${percent(high)}`];
      }),
      xAxis: axis({ type: "value", ...below("share of the variance of ranks"), axisLabel: { color: colour("dim"), hideOverlap: true, formatter: percent } }),
      yAxis: axis({ type: "category", inverse: true, data: shares.map(([name]) => cut(name, 24)), axisTick: { show: false } }),
      series: [{
        type: "custom",
        encode: { x: [1, 2, 3], y: 0 },
        data: shares.map(([, ...numbers], place) => [place, ...numbers]),
        renderItem: (_, api) => {
          const [[mean, y], [low], [high]] = [1, 2, 3].map((at) => api.coord([api.value(at), api.value(0)]));
          const sure = api.value(2) > 0; // an interval that holds 0 is hollow
          const ink = colour(sure ? "blue" : "dim");
          const style = { fill: colour(sure ? "blue" : "page"), stroke: ink, lineWidth: 2 };
          return { type: "group", children: [
            { type: "line", shape: { x1: low, y1: y, x2: high, y2: y }, style: { stroke: ink, lineWidth: 2 } },
            { type: "circle", shape: { cx: mean, cy: y, r: 6 }, style },
          ] };
        },
      }],
    };
  };

  // ---- pairs: mean of the objective over two hyperparameters ----

  // Of the two colours of text the one that stands out more from the scale at `strength` (0 to 1); contrast as in WCAG 2.
  const inkOn = (strength) => {
    const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
    const light = (parts) => parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)).reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0.05);
    const steps = scale().map(rgb);
    const at = Math.min(2, Math.floor(3 * strength));
    const ground = light(steps[at].map((part, n) => part + (3 * strength - at) * (steps[at + 1][n] - part)));
    const contrast = (name) => Math.abs(Math.log(light(rgb(colour(name))) / ground));
    return colour(contrast("page") > contrast("text") ? "page" : "text");
  };
  const bins = (place) => {
    const short = (number) => String(+number.toPrecision(2));
    const { type, labels, at } = layouts[place];
    if (type === "category") return { labels: labels.map((label) => cut(label, 18)), of: at };
    const values = drawn.map(at).filter(isNumber).sort((a, b) => a - b);
    const most = Math.min(6, Math.max(2, Math.floor(Math.sqrt(values.length / 3))));
    const edges = [...new Set(Array.from({ length: most - 1 }, (_, bin) => values[Math.floor(((bin + 1) * values.length) / most)]))];
    const names = edges.map((edge, bin) => `${short(bin ? edges[bin - 1] : values[0])} – ${short(edge)}`);
    names.push(`${short(edges[edges.length - 1])} – ${short(values[values.length - 1])}`);
    return { labels: names, of: (trial) => edges.filter((edge) => at(trial) >= edge).length };
  };
  const pair = (across, up, width) => {
    const [x, y] = [bins(across), bins(up)];
    const cells = new Map();
    for (const trial of drawn) {
      const key = `${x.of(trial)},${y.of(trial)}`;
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(value(trial));
    }
    const means = [...cells].map(([key, found]) => {
      const [column, row] = key.split(",").map(Number);
      return [column, row, found.reduce((a, b) => a + b, 0) / found.length, found.length];
    });
    const values = means.map((cell) => cell[2]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const strength = (mean) => (most > least ? (sign > 0 ? mean - least : most - mean) / (most - least) : 0);
    const room = (width - 100) / x.labels.length;
    return {
      grid: grid({ bottom: 84, top: 28 }),
      tooltip: tooltip((found) => [
        `mean ${metric} ${measured(found.value[2])}`,
        `${data.names[across]} ${x.labels[found.value[0]]}`,
        `${data.names[up]} ${y.labels[found.value[1]]}`,
        `${found.value[3]} trials`,
      ]),
      visualMap: {
        type: "continuous", dimension: 2, min: least, max: most, calculable: false,
        orient: "horizontal", left: "center", bottom: 0, itemHeight: 160,
        text: [measured(most), measured(least)], textStyle: { color: colour("dim") },
        inRange: { color: sign > 0 ? scale() : scale().reverse() },
      },
      xAxis: axis({ type: "category", data: x.labels, ...below(data.names[across]), splitLine: { show: false }, axisLabel: { color: colour("dim"), hideOverlap: true, interval: 0 } }),
      yAxis: axis({ type: "category", data: y.labels, ...above(data.names[up]), splitLine: { show: false } }),
      series: [{
        type: "heatmap",
        data: means.map((one) => ({ value: one, label: { color: inkOn(strength(one[2])) } })),
        // The count stands in every cell; the mean where there is room for it.
        label: { show: room > 24, lineHeight: 16, formatter: ({ value: [, , mean, count] }) => (room > 70 ? `${measured(mean)}\n${count}×` : `${count}×`) },
        itemStyle: { borderColor: colour("page"), borderWidth: 2 }, emphasis: { itemStyle: { borderColor: colour("orange") } },
      }],
    };
  };
  // The two that matter most come first.
  const ranked = data.importance ? data.importance.shares.map(([name]) => data.names.indexOf(name)) : data.names.map((_, place) => place);

  // ---- parallel coordinates ----

  const axes = data.names.slice(0, MOST_AXES);
  // The best, and an even sample of the rest; the best are drawn last, so on top.
  const byValue = [...drawn].sort((a, b) => sign * (value(b) - value(a)));
  const step = Math.max(1, Math.ceil(byValue.length / (MOST_LINES / 2)));
  const ordered = (byValue.length <= MOST_LINES ? byValue : byValue.filter((_, place) => place < MOST_LINES / 2 || place % step === 0)).reverse();
  const parallel = (better) => {
    const range = valueRange(better);
    return {
      tooltip: tooltip((found) => about(ordered[found.dataIndex]), { trigger: "item" }),
      parallel: {
        left: 56, right: 72, top: 56, bottom: 24,
        parallelAxisDefault: axis({
          nameLocation: "end", nameGap: 18, nameTruncate: { maxWidth: 110 }, splitLine: { show: false },
          areaSelectStyle: { width: 22, borderColor: colour("orange"), color: colour("orange"), opacity: 0.3 },
        }),
      },
      parallelAxis: [
        ...axes.map((name, place) => ({ dim: place, name: cut(name, 22), ...layoutAxis(place, 10, rim()) })),
        { dim: axes.length, name: cut(metric, 22), type: "value", ...padded(range), axisLabel: { ...rim(), showMinLabel: false, showMaxLabel: false, formatter: objectiveLabel } },
      ],
      visualMap: { type: "continuous", show: false, dimension: axes.length, min: range.min, max: range.max, inRange: { color: sign > 0 ? scale() : scale().reverse() } },
      series: [{
        type: "parallel",
        smooth: 0.15,
        progressive: 500,
        inactiveOpacity: 0.04,
        activeOpacity: 0.9,
        lineStyle: { width: 1.5, opacity: ordered.length > 300 ? 0.35 : 0.7 },
        emphasis: { lineStyle: { width: 3, opacity: 1 } },
        data: ordered.map((trial) => ({
          value: [...axes.map((_, place) => layouts[place].at(trial)), value(trial)],
          ...(isWinner(trial) ? { lineStyle: { color: colour("orange"), width: 3, opacity: 1 } } : {}),
        })),
      }],
    };
  };

  // ---- Pareto front ----

  const front = (across, up) => {
    const { metrics, values, on } = data.front;
    const known = values.map((_, place) => place).filter((place) => values[place]);
    const member = new Set(on);
    const at = (place) => ({ value: [values[place][across], values[place][up]].map(drawable), place });
    const lead = on.map(at).sort((a, b) => a.value[0] - b.value[0]);
    // Of two objectives the edge of what is beaten; of more the points' shadows have none.
    const edge = metrics.length === 2 && across !== up ? { step: metrics[across].sign > 0 ? "start" : "end", lineStyle: { width: 2 } } : { lineStyle: { width: 0 } };
    const named = (place) => `${metrics[place].metric} (${metrics[place].sign > 0 ? "more" : "less"} is better)`;
    return {
      grid: grid({ top: 28, bottom: 36 }),
      tooltip: tooltip(({ data: { place } }) => [
        member.has(place) ? "beaten by no other point" : "beaten by another point",
        ...metrics.map((one, n) => `${one.metric} ${objectiveLabel(values[place][n])}`),
        ...about(data.points[place].trials[0]).slice(1),
      ]),
      xAxis: axis({ type: "value", scale: true, ...below(named(across)) }),
      yAxis: axis({ type: "value", scale: true, ...above(named(up)) }),
      series: [
        { type: "scatter", symbolSize: 8, itemStyle: { ...blue(), opacity: 0.6 }, data: known.filter((place) => !member.has(place)).map(at) },
        { type: "line", symbol: "diamond", symbolSize: 13, z: 5, color: colour("orange"), itemStyle: orange(), ...edge, data: lead },
      ],
    };
  };

  // ---- halving: who went on from which rung ----

  const rungs = () => {
    const { budget, rungs: steps, lines } = data.rungs;
    const marks = { out: [], on: [], top: [] };
    const paths = [];
    for (const line of lines) {
      const way = line.map((place, rung) => (place === null ? null : { value: [rung, drawable(data.points[place].mean)], place, rung })).filter(Boolean);
      way.forEach((mark, n) => marks[mark.place === 0 ? "top" : n + 1 < way.length || mark.rung + 1 === steps.length ? "on" : "out"].push(mark));
      if (way.length > 1) paths.push({ way, own: way.some((mark) => mark.place === 0) });
    }
    // What was dropped may be off by magnitudes: those that went on set the scale, twice as wide as they are.
    const kept = [...marks.on, ...marks.top].map((mark) => mark.value[1]);
    const all = [...kept, ...marks.out.map((mark) => mark.value[1])];
    const [least, most] = [Math.min(...kept), Math.max(...kept)];
    const room = most - least || Math.abs(most) || 1;
    const range = { min: Math.max(Math.min(...all), least - room), max: Math.min(Math.max(...all), most + room) };
    const inside = (mark) => ({ ...mark, value: [mark.value[0], Math.min(range.max, Math.max(range.min, mark.value[1]))] });
    const told = ({ data: { place, rung } }) => [`${budget} ${plain(steps[rung].budget)}`, `mean ${metric} ${measured(data.points[place].mean)}`, ...about(data.points[place].trials[0]).slice(1)];
    const scatter = (found, extra) => ({ type: "scatter", data: found.map(inside), ...extra });
    return {
      grid: grid({ top: 28, bottom: 36 }),
      tooltip: tooltip(told),
      xAxis: axis({ type: "category", data: steps.map((one) => plain(one.budget)), ...below(budget), splitLine: { show: false } }),
      yAxis: axis({ ...objectiveAxis(range), ...above(metric) }),
      series: [
        ...paths.map(({ way, own }) => ({
          type: "line", data: way.map(inside), silent: true, showSymbol: false, z: own ? 4 : 2,
          lineStyle: { color: colour(own ? "orange" : "blue"), width: own ? 3 : 1.5, opacity: own ? 1 : 0.7 },
        })),
        scatter(marks.out, { symbolSize: 8, z: 1, itemStyle: hollow() }),
        scatter(marks.on, { symbolSize: 9, z: 3, itemStyle: blue() }),
        scatter(marks.top, { symbol: "diamond", symbolSize: 15, z: 5, itemStyle: orange() }),
      ],
    };
  };

  // ---- progress: what was known after so many trial-hours ----

  const progress = () => {
    const entries = data.progress.filter(([, trial]) => isNumber(value(trial)));
    const range = valueRange(false);
    const rounds = Math.max(0, ...entries.map(([, , round]) => round));
    const shades = scale();
    const shade = (round) => (rounds > 1 ? shades[Math.round((3 * (round - 1)) / (rounds - 1))] : colour("blue"));
    let best = null;
    const steps = entries.map(([hours, trial]) => {
      best = best === null || sign * (value(trial) - best) > 0 ? value(trial) : best;
      return [hours, best];
    });
    return {
      grid: grid({ top: 28, bottom: 36 }),
      tooltip: tooltip((found) => (found.data.trial === undefined ? null : [
        `after ${short(found.data.value[0])} trial-hours${found.data.round ? `, round ${found.data.round}` : ""}`, ...about(found.data.trial),
      ])),
      xAxis: axis({ type: "value", min: 0, ...below("trial-hours spent"), axisLabel: { color: colour("dim"), hideOverlap: true, formatter: short } }),
      yAxis: axis({ ...objectiveAxis(range), ...above(metric) }),
      series: [
        { type: "line", step: "end", silent: true, showSymbol: false, z: 2, data: steps, lineStyle: { color: colour("orange"), width: 2 } },
        { type: "scatter", symbolSize: 7, z: 3, data: entries.map(([hours, trial, round]) => ({
          value: [hours, value(trial)], trial, round, itemStyle: { color: shade(round || 1), borderColor: colour("dim"), borderWidth: 0.5 },
        })) },
      ],
    };
  };

  // ---- learning curves ----

  const curves = [...data.curves.trials].reverse(); // the best come last, so they lie on top
  const curve = (which) => {
    const place = 2 + which;
    const palette = scale();
    return {
      grid: grid({ right: 24, top: 28, bottom: 30 }),
      tooltip: tooltip((found) => {
        const values = found.filter((one) => isNumber(one.value[1])).sort((a, b) => sign * (b.value[1] - a.value[1]));
        if (!values.length) return null;
        const best = values.slice(0, 5).map((one) => `${measured(one.value[1])}  ${one.seriesName}`);
        return [`epoch ${values[0].value[0]}`, ...best, ...(values.length > 5 ? [`and ${values.length - 5} more`] : [])];
      }, { trigger: "axis" }),
      xAxis: axis({ type: "value", ...below("epoch"), nameGap: 26, min: "dataMin", max: "dataMax", splitLine: { show: false } }),
      yAxis: axis({ type: "value", scale: true, ...above(data.curves.metrics[which]) }),
      series: curves.map((one, rank) => {
        const own = isWinner(one[0]);
        return {
          type: "line",
          name: trials[one[0]][field.id],
          showSymbol: one[1].length < 2,
          symbolSize: 5,
          data: one[1].map((x, epoch) => [x, one[place][epoch]].map(drawable)),
          z: own ? 5 : 2,
          lineStyle: { width: own ? 3 : 1.25, opacity: own ? 1 : 0.7 },
          color: own ? colour("orange") : palette[Math.min(3, Math.floor((4 * rank) / curves.length))],
        };
      }),
    };
  };

  // ---- timeline ----

  const lanes = [];
  const nodes = [...new Set(data.attempts.map((attempt) => attempt[4]))].sort();
  // Attempts that overlap on a node get lanes of their own.
  const ends = new Map(nodes.map((node) => [node, []]));
  const placed = [...data.attempts]
    .map(([trial, start, length, status, node]) => ({ trial, start: Date.parse(start), length, status, node }))
    .filter((attempt) => Number.isFinite(attempt.start))
    .sort((a, b) => a.start - b.start)
    .map((attempt) => {
      const own = ends.get(attempt.node);
      let lane = own.findIndex((end) => end <= attempt.start);
      if (lane < 0) lane = own.push(0) - 1;
      own[lane] = attempt.start + 1000 * attempt.length;
      return { ...attempt, lane };
    });
  const first = new Map();
  for (const node of nodes) {
    first.set(node, lanes.length);
    ends.get(node).forEach((_, lane) => lanes.push(lane ? "" : node));
  }
  const timelineHeight = Math.min(640, 90 + Math.max(26, 22 * lanes.length));
  const good = ["succeeded", "diverged", "pruned"];
  const timeline = () => ({
    grid: grid({ right: 24 }),
    tooltip: tooltip((found) => {
      const { trial, status, length, node } = found.data;
      return [`${status}, ${seconds(length)} s`, `on ${node}`, ...about(trial)];
    }),
    xAxis: axis({ type: "time", splitLine: { show: false } }),
    yAxis: axis({ type: "category", data: lanes, inverse: true, splitLine: { show: false }, axisTick: { show: false }, axisLabel: { color: colour("dim"), interval: 0, hideOverlap: true, formatter: (text) => cut(text, 24) } }),
    series: [{
      type: "custom",
      encode: { x: [0, 1], y: 2 },
      data: placed.map((attempt) => ({
        ...attempt,
        value: [attempt.start, attempt.start + Math.max(1, 1000 * attempt.length), first.get(attempt.node) + attempt.lane],
      })),
      renderItem: ({ dataIndex }, api) => {
        const [x, y] = api.coord([api.value(0), api.value(2)]);
        const [end] = api.coord([api.value(1), api.value(2)]);
        const height = Math.min(16, api.size([0, 1])[1] * 0.8);
        const attempt = placed[dataIndex];
        return {
          type: "rect",
          shape: { x, y: y - height / 2, width: Math.max(2, end - x - 1), height },
          // What was lost is hollow, so that colour is not all that tells it.
          style: good.includes(attempt.status)
            ? { fill: colour(isWinner(attempt.trial) ? "orange" : "blue") }
            : { fill: colour("page"), stroke: colour("dim"), lineWidth: 1.5 },
        };
      },
    }],
  });

  return {
    base, drawn, ordered, axes, ranked, curves, timelineHeight,
    hyperparameter, importance, pair, parallel, front, rungs, progress, curve, timeline,
  };
};
