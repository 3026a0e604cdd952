// Tables and charts of the report, from the JSON in #data. Text of trials goes through textContent only, never innerHTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const field = Object.fromEntries(data.fields.map((name, place) => [name, place]));
  const trials = data.trials;
  const metric = data.objective.metric;
  const sign = data.objective.sign;
  const PAGE = 100; // rows added to the table at once

  const { isNumber, measured, seconds, chance, plain, compare } = sweepWords(data);

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const byId = (id) => document.getElementById(id);

  // ---- the table: one row a point (its seeds pooled) or one a trial ----

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

  const otherObjectives = (data.front ? data.front.metrics.slice(1) : []).map(({ metric: name }, place) => {
    const valueOf = (row) => data.front.values[row]?.[place + 1] ?? null;
    return column(name, valueOf, (row) => (isNumber(valueOf(row)) ? String(+valueOf(row).toPrecision(5)) : ""));
  });
  const idOf = (point) => trials[data.points[point].trials[0]][field.id];
  const views = {
    points: {
      rows: data.points.map((_, place) => place).filter((place) => data.points[place].rank !== null),
      trials: (row) => data.points[row].trials,
      winner: (row) => row === 0,
      columns: [
        column("#", (row) => data.points[row].rank),
        column(metric, (row) => data.points[row].mean, (row) => {
          const { mean, half } = data.points[row];
          return half === null ? measured(mean) : `${measured(mean)} ± ${measured(half)}`;
        }),
        ...(data.adjusted ? [column("adjusted", (row) => data.points[row].adjusted, (row) => measured(data.points[row].adjusted))] : []),
        ...otherObjectives,
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
  const drawing = sweepCharts(data, {
    colour,
    tooltip,
    still: matchMedia("(prefers-reduced-motion: reduce)").matches,
    font: getComputedStyle(document.body).fontFamily,
  });
  const { drawn, ordered, axes, ranked } = drawing;

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
    made.chart.setOption({ ...drawing.base(), ...made.option(made.chart) }, { notMerge: true });
  };
  const addChart = (box, option) => {
    charts.set(box, { option, drawn: false });
    seen.observe(box);
    return box;
  };
  const note = (text) => make("p", { class: "note" }, text);
  const choices = (select, names, chosen = 0) => {
    names.forEach((name, place) => select.append(make("option", { value: place }, name)));
    select.value = chosen;
  };
  const redraw = (boxes = [...charts.keys()]) => boxes.filter((box) => charts.get(box)?.drawn).forEach(draw);
  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) charts.get(entry.target)?.chart?.resize();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

  const better = byId("better");
  const plots = byId("plots");
  const plotBoxes = [];
  if (plots) {
    data.names.forEach((name, place) => {
      const box = make("div", { class: "chart" });
      plots.append(make("div", { class: "plot" }, make("h3", {}, name), box));
      plotBoxes.push(addChart(box, () => drawing.hyperparameter(place, better.checked)));
    });
    better.addEventListener("change", () => redraw([...plotBoxes, byId("lines")]));
  }

  const importance = byId("importance-chart");
  if (importance) {
    importance.style.height = `${70 + 34 * data.importance.shares.length}px`;
    addChart(importance, drawing.importance);
  }

  const pairBox = byId("pair");
  if (pairBox && data.names.length > 1 && drawn.length) {
    const [across, up] = [byId("pair-x"), byId("pair-y")];
    choices(across, data.names, ranked[0]);
    choices(up, data.names, ranked[1]);
    addChart(pairBox, () => drawing.pair(+across.value, +up.value, pairBox.clientWidth));
    for (const select of [across, up]) select.addEventListener("change", () => redraw([pairBox]));
  } else if (pairBox) {
    byId("pairs").parentElement.remove();
  }

  // ---- parallel coordinates ----

  const lines = byId("lines");
  if (axes.length && drawn.length) {
    if (ordered.length < drawn.length) {
      lines.parentElement.after(note(`Drawn are ${ordered.length} of ${drawn.length} trials: the best, and an even sample of the rest.`));
    }
    if (axes.length < data.names.length) {
      lines.parentElement.after(note(`The first ${axes.length} of ${data.names.length} hyperparameters.`));
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
      return drawing.parallel(better.checked);
    });
    byId("unbrush").addEventListener("click", () => {
      state.brushed = null;
      redraw([lines]);
      drawTable();
      byId("filter").focus();
    });
  } else {
    lines.parentElement.replaceWith(note("Nothing to draw: no trial has a value, or no hyperparameter varies."));
  }

  // ---- several objectives, rungs ----

  const front = byId("front-chart");
  if (front) {
    const [across, up] = [byId("front-x"), byId("front-y")];
    const metrics = data.front.metrics.map((one) => one.metric);
    choices(across, metrics, 1); // as in the table: what ranks first goes up
    choices(up, metrics);
    addChart(front, () => drawing.front(+across.value, +up.value));
    for (const select of [across, up]) select.addEventListener("change", () => redraw([front]));
  }
  if (byId("progress-chart")) addChart(byId("progress-chart"), drawing.progress);
  if (byId("rungs-chart")) addChart(byId("rungs-chart"), drawing.rungs);

  // ---- learning curves, timeline ----

  const curve = byId("curve");
  const pick = byId("curve-metric");
  if (data.curves.metrics.length) {
    choices(pick, data.curves.metrics);
    byId("curve-note").textContent =
      `${drawing.curves.length} of ${trials.length} trials, the best ones first; the winner is orange. Hover for the values of an epoch.`;
    addChart(curve, () => drawing.curve(+pick.value));
    pick.addEventListener("change", () => redraw([curve]));
  } else {
    pick.parentElement.remove();
    curve.replaceWith(note("No trial wrote a history (HISTORY_FILE), or the result store is not here."));
  }

  const timeline = byId("timeline");
  if (data.attempts.length) {
    timeline.style.height = `${drawing.timelineHeight}px`;
    addChart(timeline, drawing.timeline);
  } else {
    timeline.remove();
  }

  for (const box of charts.keys()) resized.observe(box);
})();
