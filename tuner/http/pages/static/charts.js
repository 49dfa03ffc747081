// Draws the charts of a page: of the API's data, in places of a fixed height, each with a sentence that says the same.
(() => {
  "use strict";
  const BLUE = "#3b82f6", ORANGE = "#f59e0b", GREY = "rgba(128,128,128,0.45)";
  // Told apart on light and on dark ground; after the last one they come again, with another dash.
  const COLORS = [BLUE, ORANGE, "#10a37f", "#ef4444", "#a855f7", "#06b6d4", "#84cc16", "#ec4899", "#a16207", "#64748b"];
  const DASHES = ["solid", "dash", "longdashdot"];
  const colorOf = (index) => COLORS[index % COLORS.length];
  const PAUSE = 2000, SLOW_PAUSE = 30000;
  const outcomes = JSON.parse(document.body.dataset.outcomes ?? "{}");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // As in pages.css, which gives the parallel coordinates another height there.
  const narrow = matchMedia("(max-width: 40rem)");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Plotly takes tags in labels for markup.
  const label = (value) => {
    const text = typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
    const short = text.length > 40 ? text.slice(0, 39) + "…" : text;
    return short.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
  };
  const shown = (value) => String(Number(Number(value).toPrecision(4)));
  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  // An axis of whole numbers, which shows no halves of them.
  const counting = (name, most) => ({
    title: { text: name }, ...(most < 10 ? { dtick: 1 } : {}), ...(most < 2 ? { range: [-0.5, most + 0.5] } : {}),
  });

  const themed = (layout) => {
    const axis = { gridcolor: style("--line"), linecolor: style("--line"), zeroline: false, automargin: true };
    return {
      margin: { l: 56, r: 12, t: 28, b: 44 }, hovermode: "closest", showlegend: true,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      dragmode: narrow.matches ? false : "zoom",
      font: { color: style("--ink"), family: "system-ui, sans-serif", size: 12 },
      ...layout,
      xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    };
  };

  const history = ({ metric, maximize, every, points }) => {
    const there = points.filter((point) => isNumber(point.value));
    if (!there.length) return { words: "No trial has a value yet." };
    const groups = {};
    for (const point of there) (groups[point.ended] ??= []).push(point);
    const data = Object.entries(groups).map(([ended, dots]) => ({
      type: "scatter", mode: "markers", name: label(ended.replaceAll("_", " ")),
      x: dots.map((dot) => dot.trial), y: dots.map((dot) => dot.value),
      marker: { color: outcomes[ended] ?? GREY, size: 5, opacity: 0.75 },
      hovertemplate: "trial %{x}: %{y:.5g}<extra></extra>",
    }));
    const x = [], y = [];
    for (const { trial, value, keeps } of there) {
      if (keeps && (!y.length || (maximize ? value > y.at(-1) : value < y.at(-1)))) { x.push(trial); y.push(value); }
    }
    const best = x.length ? `the best value is ${shown(y.at(-1))}, from trial ${x.at(-1)}` : "no trial is complete yet";
    if (x.length) {
      data.push({ type: "scatter", mode: "lines", name: "best so far", x: [...x, there.at(-1).trial], y: [...y, y.at(-1)],
        line: { shape: "hv", color: BLUE, width: 2 }, hoverinfo: "skip" });
    }
    const part = every > 1 ? ` Each dot is the best of ${every} trials.` : "";
    // Trials that went wrong early would leave the others no room.
    const values = there.filter((point) => point.keeps).map((point) => point.value).sort((a, b) => a - b);
    const low = values[Math.floor(values.length * 0.02)], high = values.at(-1 - Math.floor(values.length * 0.02));
    const room = (high - low) * 0.15;
    const yaxis = { title: { text: label(metric) } };
    if (values.length > 20 && room > 0) yaxis.range = maximize ? [low - room, values.at(-1) + room] : [values[0] - room, high + room];
    return { data, layout: { xaxis: counting("trial", there.at(-1).trial), yaxis },
      words: `${metric}: ${best}; ${maximize ? "higher" : "lower"} is better.${part}` };
  };

  const curves = (found) => {
    const metrics = new Set(found.flatMap((curve) => curve.metrics.flatMap(Object.keys)));
    if (!metrics.size) return { words: "No trial has reported an epoch yet." };
    const wanted = document.body.dataset.metric;
    const metric = metrics.has(wanted) ? wanted : [...metrics][0];
    const pruned = (curve) => curve.ended === "pruned";
    const data = found.map((curve, index) => {
      const points = curve.epochs.map((epoch, place) => [epoch, curve.metrics[place][metric]]).filter((point) => isNumber(point[1]));
      return {
        type: "scatter", mode: points.length > 1 ? "lines" : "markers", name: `trial ${curve.trial}${pruned(curve) ? ", pruned" : ""}`,
        x: points.map((point) => point[0]), y: points.map((point) => point[1]), opacity: pruned(curve) ? 0.6 : 0.9,
        line: { width: curve.ended === "running" ? 3 : 1.5, color: colorOf(index), dash: pruned(curve) ? "dot" : DASHES[Math.floor(index / COLORS.length) % DASHES.length] },
        hovertemplate: `trial ${curve.trial} (${label(curve.ended)}), epoch %{x}: %{y:.5g}<extra></extra>`, showlegend: found.length < 6,
      };
    });
    const last = found.at(-1);
    const reached = [...last.metrics].reverse().find((row) => isNumber(row[metric]));
    const end = reached ? `; trial ${last.trial} reached ${shown(reached[metric])} in epoch ${last.epochs.at(-1)}` : "";
    return { data, layout: { xaxis: counting("epoch", Math.max(...found.map((each) => each.epochs.at(-1) ?? 0))), yaxis: { title: { text: label(metric) } } },
      words: `${metric} by epoch of ${found.length} trial${found.length === 1 ? "" : "s"}${end}.` };
  };

  const curve = (found) => {
    if (!found.length) return { words: "No epoch has ended yet." };
    const [{ epochs, metrics }] = found;
    const names = [...new Set(metrics.flatMap(Object.keys))];
    const data = names.map((name, index) => {
      const points = epochs.map((epoch, place) => [epoch, metrics[place][name]]).filter((point) => isNumber(point[1]));
      return { type: "scatter", mode: points.length > 1 ? "lines" : "markers", name: label(name), x: points.map((point) => point[0]), y: points.map((point) => point[1]),
        line: { color: colorOf(index), width: 2 }, hovertemplate: `${label(name)} in epoch %{x}: %{y:.5g}<extra></extra>` };
    });
    const last = names.slice(0, 6).map((name) => `${name} ${isNumber(metrics.at(-1)[name]) ? shown(metrics.at(-1)[name]) : metrics.at(-1)[name] ?? "-"}`);
    return { data, layout: { xaxis: counting("epoch", epochs.at(-1)) }, words: `In epoch ${epochs.at(-1)}: ${last.join(", ")}. The table has every epoch.` };
  };

  const importances = (found) => {
    const objectives = Object.keys(found);
    const total = {};
    for (const shares of Object.values(found)) for (const [name, share] of Object.entries(shares)) total[name] = (total[name] ?? 0) + share;
    const order = Object.keys(total).sort((a, b) => total[b] - total[a]).slice(0, 15).reverse();
    if (!order.length) return { words: "There are too few complete trials to tell." };
    const data = objectives.map((objective, index) => ({
      type: "bar", orientation: "h", name: label(objective), y: order.map(label), x: order.map((name) => found[objective][name] ?? 0),
      marker: { color: colorOf(index) }, hovertemplate: "%{y}: %{x:.1%}<extra></extra>",
    }));
    const first = [...order].reverse().slice(0, 3).map((name) => `${name} (${Math.round(100 * total[name] / objectives.length)}%)`);
    // The place has room for as many bars as there may be; a few would look like walls.
    return { data, layout: { bargap: order.length < 5 ? 0.6 : 0.3, barmode: "group", showlegend: objectives.length > 1, xaxis: { tickformat: ".0%" } },
      words: `These hyperparameters mattered most: ${first.join(", ")}.` };
  };

  // Where a value is on an axis from 0 to 1; below the axis where the trial has none.
  const axisOf = (values, { log = false, choices = null } = {}) => {
    const there = values.filter((value) => value !== undefined && value !== null);
    if (choices || !there.every(isNumber)) {
      const order = [...new Set((choices ?? there).map(String))];
      return { place: (value) => (value == null ? -0.12 : (order.indexOf(String(value)) + 0.5) / order.length),
        ticks: order.slice(0, 8).map((text, index) => [(index + 0.5) / order.length, text]) };
    }
    const isLog = log && there.every((value) => value > 0), to = isLog ? Math.log10 : (value) => value;
    const low = Math.min(...there), high = Math.max(...there), span = to(high) - to(low) || 1;
    return { place: (value) => (value == null ? -0.12 : (to(value) - to(low)) / span), ticks: low === high ? [[0, low]] : [[0, low], [1, high]] };
  };

  // Lines of SVG and not plotly's parcoords: those need WebGL, and cannot show a value that is not there. On a phone the
  // axes lie, one below the other.
  const parallel = ({ metric, maximize, dimensions, dots }) => {
    const there = dots.filter((dot) => isNumber(dot.value));
    if (there.length < 2 || !dimensions.length) return { words: "There are too few complete trials to compare." };
    const ranked = [...there].sort((a, b) => (maximize ? b.value - a.value : a.value - b.value));
    const shownDimensions = dimensions.slice(0, 10);
    const axes = shownDimensions.map((each) => axisOf(ranked.map((dot) => dot.params[each.name]), each));
    const worth = axisOf(ranked.map((dot) => dot.value));
    const lying = narrow.matches;
    const at = (index, place) => (lying ? { x: place, y: -index } : { x: index, y: place });
    const cut = (from, to) => ranked.slice(Math.ceil(from * ranked.length), Math.ceil(to * ranked.length));
    const groups = [["the other half", cut(0.5, 1), GREY, 0.6], ["best half", cut(0.1, 0.5), ORANGE, 0.8], ["best tenth", cut(0, 0.1), BLUE, 1.8]];
    const data = groups.map(([name, members, color, width]) => {
      const x = [], y = [];
      const push = (point) => { x.push(point.x); y.push(point.y); };
      for (const dot of members) {
        shownDimensions.forEach((each, index) => push(at(index, axes[index].place(dot.params[each.name]))));
        push(at(axes.length, worth.place(dot.value)));
        push({ x: null, y: null });
      }
      return { type: "scatter", mode: "lines", name, x, y, line: { color, width }, opacity: 0.7, hoverinfo: "skip" };
    });
    const all = [...axes, worth];
    const names = [...shownDimensions.map((each) => each.name), metric].map((name) => label(name));
    const beside = (place) => (lying ? { xanchor: place < 0.2 ? "left" : place > 0.8 ? "right" : "center", yshift: -9 } : { xanchor: "left", xshift: 3 });
    const annotations = all.flatMap((axis, index) => axis.ticks.map(([place, text]) => ({ ...at(index, place), text: label(text), showarrow: false, ...beside(place) })));
    if (lying) annotations.push(...names.map((text, index) => ({ ...at(index, 0), text: `<b>${text}</b>`, showarrow: false, xanchor: "left", yshift: 11 })));
    const shapes = all.map((_, index) => {
      const { x: x0, y: y0 } = at(index, 0), { x: x1, y: y1 } = at(index, 1);
      return { type: "line", x0, x1, y0, y1, line: { color: "rgba(128,128,128,0.8)", width: 1 } };
    });
    const best = ranked[0], said = Object.entries(best.params).slice(0, 6).map(([name, value]) => `${name} ${isNumber(value) ? shown(value) : value}`);
    return { data, layout: { annotations, shapes,
      ...(lying
        ? { margin: { l: 4, r: 4, t: 28, b: 8 }, xaxis: { visible: false, range: [-0.16, 1.04] }, yaxis: { visible: false, range: [-axes.length - 0.5, 0.5] } }
        : { xaxis: { tickvals: names.map((_, index) => index), ticktext: names.map((name) => name.slice(0, 18)), range: [-0.2, axes.length + 0.7], showgrid: false },
            yaxis: { visible: false, range: [-0.2, 1.08] } }) },
      words: `The best trial, ${best.trial}, has ${said.join(", ")}. Lines ${lying ? "left of" : "below"} an axis are trials without that hyperparameter.` };
  };

  const front = (points, objectives) => {
    const [first, second] = objectives.map((each) => each.metric);
    return { data: [{ type: "scatter", mode: "lines+markers", x: points.map((point) => point[first]), y: points.map((point) => point[second]),
      text: points.map((point) => `trial ${point.trial}`), line: { color: BLUE, width: 1, dash: "dot" }, marker: { color: BLUE, size: 7 },
      hovertemplate: "%{text}: %{x:.5g}, %{y:.5g}<extra></extra>" }],
      layout: { showlegend: false, xaxis: { title: { text: label(first) } }, yaxis: { title: { text: label(second) } } } };
  };

  const KINDS = { history, curves, curve, importances, parallel };
  const drawn = new Map();
  const draw = (place, made) => {
    const words = document.getElementById(`words-${place.dataset.chart}`);
    if (words && made.words) words.textContent = made.words;
    place.hidden = !made.data;
    if (!made.data) return;
    drawn.set(place, made);
    Plotly.react(place, made.data, themed(made.layout), { responsive: true, displaylogo: false, displayModeBar: false });
  };
  const load = async (place) => {
    try {
      const answer = await fetch(place.dataset.source, { credentials: "same-origin" });
      if (!answer.ok) throw new Error((await answer.json()).error.message);
      draw(place, KINDS[place.dataset.chart](await answer.json()));
    } catch (error) {
      const words = document.getElementById(`words-${place.dataset.chart}`);
      if (words && !drawn.has(place)) words.textContent = `The chart cannot be drawn: ${error.message}`;
    }
  };
  const drawFront = () => {
    for (const place of document.querySelectorAll("[data-chart=front]")) {
      if (place.dataset.drawn === place.dataset.points) continue;
      place.dataset.drawn = place.dataset.points;
      draw(place, front(JSON.parse(place.dataset.points), JSON.parse(place.dataset.objectives)));
    }
  };

  // What is looked at is loaded, and what is slow to compute is not loaded often.
  const slow = new Set(["importances", "parallel"]), waiting = new Set();
  const looked = new Set();
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      looked.add(target);
      load(target);
    }
  }, { rootMargin: "300px" });
  for (const place of document.querySelectorAll("[data-source]")) seen.observe(place);
  const again = (place) => {
    if (waiting.has(place)) return;
    waiting.add(place);
    setTimeout(() => { waiting.delete(place); load(place); }, slow.has(place.dataset.chart) ? SLOW_PAUSE : PAUSE);
  };
  document.addEventListener("tuner:trial", () => looked.forEach(again));
  document.addEventListener("tuner:refreshed", () => {
    drawFront();
    // A curve grows with every epoch.
    looked.forEach((place) => { if (["curve", "curves"].includes(place.dataset.chart)) again(place); });
  });
  dark.addEventListener("change", () => drawn.forEach((made, place) => draw(place, made)));
  narrow.addEventListener("change", () => looked.forEach(load));
  drawFront();
})();
