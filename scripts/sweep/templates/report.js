// Tables and charts of the report, from the JSON in #data. Text of trials goes through textContent only, never innerHTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const field = Object.fromEntries(data.fields.map((name, place) => [name, place]));
  const trials = data.trials;
  const metric = data.objective.metric;
  const sign = data.objective.sign;
  const PAGE = 100; // rows added to the table at once
  const MOST_LINES = 2000; // lines in the parallel coordinates; more are neither told apart nor drawn quickly

  // ---- words and numbers, as in scripts/sweep/verdict.py ----

  const isNumber = (value) => typeof value === "number";
  const measured = (value) => (isNumber(value) ? value.toFixed(data.decimals) : "–");
  const seconds = (value) => (!isNumber(value) ? "" : value < 10 ? value.toFixed(1) : Math.round(value).toString());
  const chance = (p) => (!isNumber(p) ? "" : p >= 0.995 ? "> 99 %" : p < 0.005 ? "< 1 %" : `${Math.round(100 * p)} %`);
  const plain = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") return isNumber(value) ? String(value) : JSON.stringify(value);
    const word = /^[A-Za-z_][\w./-]*$/.test(value) && !/^(true|false|null|on|off|yes|no|y|n)$/i.test(value);
    return word ? value : JSON.stringify(value);
  };

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const byId = (id) => document.getElementById(id);

  // ---- the table: one row a point (its seeds pooled) or one a trial ----

  const pointOf = new Map();
  data.points.forEach((point, place) => point.trials.forEach((trial) => pointOf.set(trial, place)));
  const winner = data.points.length ? data.points[0].trials[0] : -1;

  const hyperparameterColumns = (trialOf) =>
    data.names.map((name, place) => ({
      name,
      numeric: data.hyperparameters.every((row) => row[place] === null || isNumber(row[place])),
      value: (row) => data.hyperparameters[trialOf(row)][place],
      text: (row) => plain(data.hyperparameters[trialOf(row)][place]),
    }));
  const column = (name, value, text, numeric = true) => ({ name, value, numeric, text: text || ((row) => plain(value(row))) });
  const count = (value) => String(value ?? "");
  // A column of the trials' own fields: as text, or with `format` as numbers.
  const told = (name, format, from = name) => {
    const value = (trial) => trials[trial][field[from]];
    return column(name, value, (trial) => (format || count)(value(trial)), Boolean(format));
  };

  const idOf = (point) => trials[data.points[point].trials[0]][field.id];
  const views = {
    points: {
      rows: data.points.map((_, place) => place),
      trials: (row) => data.points[row].trials,
      winner: (row) => row === 0,
      columns: [
        column("#", (row) => row + 1),
        column(metric, (row) => data.points[row].mean, (row) => {
          const { mean, half } = data.points[row];
          return half === null ? measured(mean) : `${measured(mean)} ± ${measured(half)}`;
        }),
        column("seeds", (row) => data.points[row].trials.length, (row) => {
          const { trials: seeds, diverged } = data.points[row];
          return diverged ? `${seeds.length} (${diverged} diverged)` : String(seeds.length);
        }),
        ...(data.points.some((point) => point.p !== null)
          ? [column("best?", (row) => data.points[row].p, (row) => chance(data.points[row].p))]
          : []),
        ...hyperparameterColumns((row) => data.points[row].trials[0]),
        column("trial", idOf, idOf, false),
      ],
    },
    trials: {
      rows: trials.map((_, place) => place),
      trials: (row) => [row],
      winner: (row) => row === winner,
      columns: [
        told("status"),
        column(metric, (row) => trials[row][field.objective], (row) => measured(trials[row][field.objective])),
        told("seed", count),
        ...hyperparameterColumns((row) => row),
        ...data.metrics.map((name, place) =>
          column(name, (row) => data.values[row][place], (row) => (isNumber(data.values[row][place]) ? String(+data.values[row][place].toPrecision(5)) : "")),
        ),
        told("attempts", count),
        told("queued_s", seconds),
        told("setup_s", seconds),
        told("train_s", seconds),
        told("gpu_seconds", seconds),
        told("node"),
        told("gpu"),
        told("engine"),
        told("store"),
        told("trial", null, "id"),
        told("commit"),
        told("reason"),
      ],
    },
  };
  const state = { view: "points", sort: null, down: false, shown: PAGE, brushed: null };

  // `name<0.3` on a column, else a word that must occur somewhere in the row.
  const predicate = (word, columns) => {
    const parts = /^(.+?)(<=|>=|<|>|=)(.*)$/.exec(word);
    const named = parts && columns.find((one) => one.name === parts[1]);
    if (!named) {
      const needle = word.toLowerCase();
      return (row) => columns.some((one) => one.text(row).toLowerCase().includes(needle));
    }
    const [, , operator, given] = parts;
    const bound = Number(given);
    return (row) => {
      const value = named.value(row);
      if (operator === "=") return named.text(row) === given || (given !== "" && isNumber(value) && value === bound);
      if (!isNumber(value) || given === "") return false;
      return { "<": value < bound, ">": value > bound, "<=": value <= bound, ">=": value >= bound }[operator];
    };
  };

  const compare = (a, b) => {
    if (isNumber(a) && isNumber(b)) return a - b;
    return plain(a).localeCompare(plain(b), "en", { numeric: true });
  };

  const visibleRows = () => {
    const { rows, columns, trials: of } = views[state.view];
    const tests = byId("filter").value.trim().split(/\s+/).filter(Boolean).map((word) => predicate(word, columns));
    const found = rows.filter(
      (row) => tests.every((test) => test(row)) && (!state.brushed || of(row).some((trial) => state.brushed.has(trial))),
    );
    const by = columns.find((one) => one.name === state.sort);
    if (!by) return found;
    const known = found.filter((row) => by.value(row) !== null && by.value(row) !== undefined && by.value(row) !== "");
    known.sort((a, b) => (state.down ? -1 : 1) * compare(by.value(a), by.value(b)));
    if (known.length === found.length) return known;
    const sorted = new Set(known); // what has no value comes last, whichever way
    return known.concat(found.filter((row) => !sorted.has(row)));
  };

  const drawTable = () => {
    const table = byId("table");
    const view = views[state.view];
    const rows = visibleRows();
    const head = make("tr");
    for (const one of view.columns) {
      const sorted = state.sort === one.name;
      const button = make("button", { type: "button" }, one.name, sorted ? (state.down ? " ↓" : " ↑") : "");
      button.addEventListener("click", () => {
        // The first click on a measured value shows the largest first, on anything else the smallest.
        state.down = sorted ? !state.down : one.name === metric && sign > 0;
        state.sort = one.name;
        state.shown = PAGE;
        drawTable();
        [...table.tHead.querySelectorAll("button")][view.columns.indexOf(one)].focus();
      });
      const order = sorted ? (state.down ? "descending" : "ascending") : "none";
      head.append(make("th", { scope: "col", "aria-sort": order, ...(one.numeric ? { class: "num" } : {}) }, button));
    }
    const body = document.createDocumentFragment();
    for (const row of rows.slice(0, state.shown)) {
      const line = make("tr", view.winner(row) ? { class: "winner-row" } : {});
      for (const one of view.columns) {
        const text = one.text(row);
        const cell = make("td", { class: one.numeric ? "num" : "text" }, text);
        if (text.length > 30) cell.title = text;
        line.append(cell);
      }
      body.append(line);
    }
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(body);
    const of = view.rows.length;
    byId("count").textContent = `${rows.length === of ? "" : `${rows.length} of `}${of} ${state.view}${state.brushed ? ", brushed" : ""}`;
    byId("more").hidden = rows.length <= state.shown;
    byId("unbrush").hidden = !state.brushed;
  };

  for (const input of document.querySelectorAll("input[name=view]")) {
    input.addEventListener("change", () => {
      Object.assign(state, { view: input.value, sort: null, shown: PAGE });
      drawTable();
    });
  }
  byId("filter").addEventListener("input", () => {
    state.shown = PAGE;
    drawTable();
  });
  byId("more").addEventListener("click", () => {
    state.shown += 10 * PAGE;
    drawTable();
  });
  if (!data.points.length) {
    state.view = "trials";
    document.querySelector("input[value=trials]").checked = true;
  }
  drawTable();

  // ---- charts ----

  if (typeof echarts === "undefined") {
    for (const box of document.querySelectorAll(".chart, .plots")) {
      box.replaceWith(make("p", { class: "note" }, "The report was made without its chart library."));
    }
    return;
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const scale = () => [0, 1, 2, 3].map((step) => colour(`scale-${step}`));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const base = () => ({
    animation: !still && trials.length < 1000,
    animationDuration: 300,
    textStyle: { color: colour("text"), fontFamily: getComputedStyle(document.body).fontFamily },
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
  const tooltip = (content, extra) => ({
    confine: true,
    backgroundColor: colour("page"),
    borderColor: colour("dim"),
    textStyle: { color: colour("text") },
    // An element, and not a string that would be read as HTML.
    formatter: (found) => {
      const lines = content(found);
      if (!lines) return "";
      const box = make("div", { class: "tip" }, make("b", {}, lines[0]));
      for (const line of lines.slice(1)) box.append(make("div", {}, line));
      return box;
    },
    ...extra,
  });
  const cut = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);
  const about = (trial) => [
    `${metric} ${measured(trials[trial][field.objective])}`,
    ...data.names.slice(0, 12).map((name, place) => cut(`${name} ${plain(data.hyperparameters[trial][place])}`, 120)),
    `seed ${trials[trial][field.seed]}`,
    `trial ${trials[trial][field.id]}`,
  ];

  // A chart is drawn when it comes into view, and again when the colour scheme or its options change.
  const charts = new Map();
  const seen = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "300px" },
  );
  const draw = (box) => {
    const made = charts.get(box);
    made.drawn = true;
    made.chart ||= echarts.init(box);
    made.chart.setOption({ ...base(), ...made.option(made.chart) }, { notMerge: true });
  };
  const addChart = (box, option, ready = () => {}) => {
    charts.set(box, { option, drawn: false });
    seen.observe(box);
    charts.get(box).ready = ready;
    return box;
  };
  const redraw = (boxes = [...charts.keys()]) => boxes.filter((box) => charts.get(box)?.drawn).forEach(draw);
  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) charts.get(entry.target)?.chart?.resize();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

  // Only trials of the engine that is ranked, and only those with a value, can be drawn.
  const drawn = trials.map((_, place) => place).filter((place) => isNumber(trials[place][field.objective]) && trials[place][field.engine] === data.engine);
  const objectives = drawn.map((place) => trials[place][field.objective]).sort((a, b) => sign * (b - a));
  const median = objectives[Math.floor((objectives.length - 1) / 2)];
  const valueRange = (better) => {
    const far = better ? median : objectives[objectives.length - 1];
    return { min: sign > 0 ? far : objectives[0], max: sign > 0 ? objectives[0] : far };
  };
  const padded = ({ min, max }) => {
    const room = (max - min || Math.abs(max) || 1) * 0.06;
    return { min: min - room, max: max + room };
  };
  const objectiveLabel = (value) => String(+value.toPrecision(6));

  // How a hyperparameter is laid out on an axis: few different values, or words, as categories; wide ranges by logarithm.
  const layout = (place) => {
    const values = drawn.map((trial) => data.hyperparameters[trial][place]);
    const different = [...new Map(values.filter((value) => value !== null).map((value) => [plain(value), value])).values()];
    const numeric = different.every(isNumber);
    if (!numeric || (different.length <= 8 && different.length <= 0.6 * data.points.length)) {
      different.sort(compare);
      const labels = different.map(plain);
      if (values.includes(null)) labels.push("(none)");
      return { type: "category", labels, at: (trial) => {
        const value = data.hyperparameters[trial][place];
        return labels.indexOf(value === null ? "(none)" : plain(value));
      } };
    }
    const low = different.reduce((a, b) => Math.min(a, b));
    const high = different.reduce((a, b) => Math.max(a, b));
    return { type: low > 0 && high / low >= 15 ? "log" : "value", low, high, at: (trial) => data.hyperparameters[trial][place] };
  };
  const layouts = data.names.map((_, place) => layout(place));
  // Labels that lines run through keep a rim in the colour of the page.
  const rim = () => ({ color: colour("text"), textBorderColor: colour("page"), textBorderWidth: 3 });
  const layoutAxis = (place, most, style = { color: colour("dim") }) => {
    const { type, labels, low, high } = layouts[place];
    const label = { ...style, hideOverlap: true, formatter: (text) => cut(String(text), most) };
    if (type === "category") return { type, data: labels, axisLabel: label };
    const short = (value) => String(+value.toPrecision(3));
    if (type === "log") return { type, min: low, max: high, axisLabel: { ...label, formatter: short } };
    return { type, scale: true, axisLabel: { ...label, formatter: short } };
  };

  const better = byId("better");
  const plots = byId("plots");
  const plotBoxes = [];
  if (plots) {
    data.names.forEach((name, place) => {
      const box = make("div", { class: "chart" });
      plots.append(make("div", { class: "plot" }, make("h3", {}, name), box));
      plotBoxes.push(addChart(box, () => {
        const range = valueRange(better.checked);
        const points = drawn
          .filter((trial) => trials[trial][field.objective] >= range.min && trials[trial][field.objective] <= range.max)
          .map((trial) => ({ value: [layouts[place].at(trial), trials[trial][field.objective]], trial }));
        const mark = (own, extra) => ({
          type: "scatter",
          data: points.filter((point) => (pointOf.get(point.trial) === 0) === own),
          ...extra,
        });
        return {
          grid: { left: 8, right: 16, top: 12, bottom: 8, containLabel: true },
          tooltip: tooltip((found) => about(found.data.trial)),
          xAxis: axis({ ...layoutAxis(place, 16), ...(layouts[place].type === "category" ? { jitter: 24, jitterOverlap: false } : {}), splitLine: { show: false } }),
          yAxis: axis({ type: "value", ...padded(range), axisLabel: { color: colour("dim"), showMinLabel: false, showMaxLabel: false, formatter: objectiveLabel } }),
          series: [
            mark(false, { symbolSize: points.length > 2000 ? 4 : 7, itemStyle: { color: colour("blue"), opacity: points.length > 300 ? 0.45 : 0.75 } }),
            mark(true, { symbol: "diamond", symbolSize: 15, z: 5, itemStyle: { color: colour("orange"), borderColor: colour("page"), borderWidth: 1 } }),
          ],
        };
      }));
    });
    better.addEventListener("change", () => redraw([...plotBoxes, byId("lines")]));
  }

  // ---- pairs: mean of the objective over two hyperparameters ----

  const bins = (place) => {
    const { type, labels, at } = layouts[place];
    if (type === "category") return { labels: labels.map((label) => cut(label, 18)), of: at };
    const values = drawn.map(at).filter(isNumber).sort((a, b) => a - b);
    const most = Math.min(6, Math.max(2, Math.floor(Math.sqrt(values.length / 3))));
    const edges = [...new Set(Array.from({ length: most - 1 }, (_, bin) => values[Math.floor(((bin + 1) * values.length) / most)]))];
    const short = (value) => String(+value.toPrecision(3));
    const names = edges.map((edge, bin) => `${short(bin ? edges[bin - 1] : values[0])} – ${short(edge)}`);
    names.push(`${short(edges[edges.length - 1])} – ${short(values[values.length - 1])}`);
    return { labels: names, of: (trial) => edges.filter((edge) => at(trial) >= edge).length };
  };
  const pairBox = byId("pair");
  if (pairBox && data.names.length > 1 && drawn.length) {
    const [across, up] = [byId("pair-x"), byId("pair-y")];
    for (const select of [across, up]) data.names.forEach((name, place) => select.append(make("option", { value: place }, name)));
    up.value = 1;
    addChart(pairBox, () => {
      const [x, y] = [bins(+across.value), bins(+up.value)];
      const cells = new Map();
      for (const trial of drawn) {
        const key = `${x.of(trial)},${y.of(trial)}`;
        cells.set(key, [...(cells.get(key) || []), trials[trial][field.objective]]);
      }
      const means = [...cells].map(([key, found]) => {
        const [column, row] = key.split(",").map(Number);
        return [column, row, found.reduce((a, b) => a + b, 0) / found.length, found.length];
      });
      const values = means.map((cell) => cell[2]);
      const [least, most] = [Math.min(...values), Math.max(...values)];
      const strong = (mean) => (sign > 0 ? mean - least : most - mean) > 0.45 * (most - least);
      return {
        grid: { left: 8, right: 16, top: 12, bottom: 56, containLabel: true },
        tooltip: tooltip((found) => [
          `mean ${metric} ${measured(found.value[2])}`,
          `${data.names[across.value]} ${x.labels[found.value[0]]}`,
          `${data.names[up.value]} ${y.labels[found.value[1]]}`,
          `${found.value[3]} trials`,
        ]),
        visualMap: {
          type: "continuous", dimension: 2, min: least, max: most, calculable: false,
          orient: "horizontal", left: "center", bottom: 0, itemHeight: 160,
          text: [measured(most), measured(least)], textStyle: { color: colour("dim") },
          inRange: { color: sign > 0 ? scale() : scale().reverse() },
        },
        xAxis: axis({ type: "category", data: x.labels, splitLine: { show: false } }),
        yAxis: axis({ type: "category", data: y.labels, splitLine: { show: false } }),
        series: [{
          type: "heatmap",
          data: means.map((value) => ({ value, label: { color: colour(strong(value[2]) ? "page" : "text") } })),
          label: { show: pairBox.clientWidth > 90 * x.labels.length, formatter: (found) => measured(found.value[2]) },
          itemStyle: { borderColor: colour("page"), borderWidth: 2 }, emphasis: { itemStyle: { borderColor: colour("orange") } },
        }],
      };
    });
    for (const select of [across, up]) select.addEventListener("change", () => redraw([pairBox]));
  } else if (pairBox) {
    for (const part of [byId("pairs"), pairBox, ...[...pairBox.parentElement.querySelectorAll("#pairs ~ .tools, #pairs ~ .note")]]) part.remove();
  }

  // ---- parallel coordinates ----

  const lines = byId("lines");
  const shownNames = data.names.slice(0, 12);
  if (shownNames.length && drawn.length) {
    // The best, and an even sample of the rest.
    const byValue = [...drawn].sort((a, b) => sign * (trials[b][field.objective] - trials[a][field.objective]));
    const step = Math.max(1, Math.ceil(byValue.length / (MOST_LINES / 2)));
    const chosen = byValue.length <= MOST_LINES ? byValue : byValue.filter((_, place) => place < MOST_LINES / 2 || place % step === 0);
    const ordered = [...chosen].reverse(); // the best are drawn last, so on top
    if (chosen.length < drawn.length) {
      lines.parentElement.after(make("p", { class: "note" }, `Drawn are ${chosen.length} of ${drawn.length} trials: the best, and an even sample of the rest.`));
    }
    if (shownNames.length < data.names.length) {
      lines.parentElement.after(make("p", { class: "note" }, `The first ${shownNames.length} of ${data.names.length} hyperparameters.`));
    }
    addChart(lines, (chart) => {
      if (!charts.get(lines).listening) {
        charts.get(lines).listening = true;
        chart.on("axisareaselected", () => {
          const series = chart.getModel().getSeriesByIndex(0);
          const brushed = series.coordinateSystem.hasAxisBrushed();
          state.brushed = brushed ? new Set(series.getRawIndicesByActiveState("active").map((place) => ordered[place])) : null;
          state.shown = PAGE;
          drawTable();
        });
      }
      const range = valueRange(better.checked);
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
          ...shownNames.map((name, place) => ({ dim: place, name: cut(name, 22), ...layoutAxis(place, 10, rim()) })),
          { dim: shownNames.length, name: cut(metric, 22), type: "value", ...padded(range), axisLabel: { ...rim(), showMinLabel: false, showMaxLabel: false, formatter: objectiveLabel } },
        ],
        visualMap: { show: false, dimension: shownNames.length, min: range.min, max: range.max, inRange: { color: sign > 0 ? scale() : scale().reverse() } },
        series: [{
          type: "parallel",
          smooth: 0.15,
          progressive: 500,
          inactiveOpacity: 0.04,
          activeOpacity: 0.9,
          lineStyle: { width: 1.5, opacity: ordered.length > 300 ? 0.35 : 0.7 },
          emphasis: { lineStyle: { width: 3, opacity: 1 } },
          data: ordered.map((trial) => ({
            value: [...shownNames.map((_, place) => layouts[place].at(trial)), trials[trial][field.objective]],
            ...(pointOf.get(trial) === 0 ? { lineStyle: { color: colour("orange"), width: 3, opacity: 1 } } : {}),
          })),
        }],
      };
    });
    byId("unbrush").addEventListener("click", () => {
      state.brushed = null;
      redraw([lines]);
      drawTable();
      byId("filter").focus();
    });
  } else {
    lines.parentElement.replaceWith(make("p", { class: "note" }, "Nothing to draw: no trial has a value, or no hyperparameter varies."));
  }

  // ---- learning curves ----

  const curve = byId("curve");
  const pick = byId("curve-metric");
  if (data.curves.metrics.length) {
    data.curves.metrics.forEach((name, place) => pick.append(make("option", { value: place }, name)));
    const curves = [...data.curves.trials].reverse(); // the best come last, so they lie on top
    byId("curve-note").textContent =
      `${curves.length} of ${trials.length} trials, the best ones first; the winner is orange. Hover for the values of an epoch.`;
    addChart(curve, () => {
      const place = 2 + Number(pick.value);
      const palette = scale();
      return {
        grid: { left: 8, right: 24, top: 28, bottom: 30, containLabel: true },
        tooltip: tooltip((found) => {
          const values = found.filter((one) => isNumber(one.value[1])).sort((a, b) => sign * (b.value[1] - a.value[1]));
          if (!values.length) return null;
          const best = values.slice(0, 5).map((one) => `${measured(one.value[1])}  ${one.seriesName}`);
          return [`epoch ${values[0].value[0]}`, ...best, ...(values.length > 5 ? [`and ${values.length - 5} more`] : [])];
        }, { trigger: "axis" }),
        xAxis: axis({ type: "value", name: "epoch", nameLocation: "middle", nameGap: 26, min: "dataMin", max: "dataMax", splitLine: { show: false } }),
        yAxis: axis({ type: "value", scale: true, name: cut(data.curves.metrics[pick.value], 40), nameTextStyle: { color: colour("dim"), align: "left" } }),
        series: curves.map((one, rank) => {
          const own = pointOf.get(one[0]) === 0;
          return {
            type: "line",
            name: trials[one[0]][field.id],
            showSymbol: one[1].length < 2,
            symbolSize: 5,
            data: one[1].map((x, epoch) => [x, one[place][epoch]]),
            z: own ? 5 : 2,
            lineStyle: { width: own ? 3 : 1.25, opacity: own ? 1 : 0.7 },
            color: own ? colour("orange") : palette[Math.min(3, Math.floor((4 * rank) / curves.length))],
          };
        }),
      };
    });
    pick.addEventListener("change", () => redraw([curve]));
  } else {
    pick.parentElement.remove();
    curve.replaceWith(make("p", { class: "note" }, "No trial wrote a history (HISTORY_FILE), or the result store is not here."));
  }

  // ---- timeline ----

  const timeline = byId("timeline");
  if (data.attempts.length) {
    const nodes = [...new Set(data.attempts.map((attempt) => attempt[4]))].sort();
    // Attempts that overlap on a node get lanes of their own.
    const lanes = [];
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
    timeline.style.height = `${Math.min(640, 90 + Math.max(26, 22 * lanes.length))}px`;
    const good = ["succeeded", "diverged", "pruned"];
    addChart(timeline, () => ({
      grid: { left: 8, right: 24, top: 12, bottom: 8, containLabel: true },
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
        renderItem: (_, api) => {
          const [x, y] = api.coord([api.value(0), api.value(2)]);
          const [end] = api.coord([api.value(1), api.value(2)]);
          const height = Math.min(16, api.size([0, 1])[1] * 0.8);
          const attempt = placed[_.dataIndex];
          const fine = good.includes(attempt.status);
          return {
            type: "rect",
            shape: { x, y: y - height / 2, width: Math.max(2, end - x - 1), height },
            // What was lost is hollow, so that colour is not all that tells it.
            style: fine
              ? { fill: pointOf.get(attempt.trial) === 0 ? colour("orange") : colour("blue") }
              : { fill: colour("page"), stroke: colour("dim"), lineWidth: 1.5 },
          };
        },
      }],
    }));
  } else {
    timeline.remove();
  }

  for (const box of charts.keys()) resized.observe(box);
})();
