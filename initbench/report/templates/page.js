"use strict";
// Draws the plots from the data beside them, when they come into view, and filters and sorts the table of runs.
const looks = JSON.parse(document.getElementById("looks").textContent);
const hidden = new Set();
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (init) => (looks[init].colour === "#000000" ? style("--ink") : looks[init].colour);

class Plot {
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector(".canvas");
    this.data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    for (const views of [...Object.values(this.data.series), this.data.truth, this.data.points]) {
      for (const view of Object.values(views)) for (const name of Object.keys(view)) view[name] = this.data.columns[view[name]];
    }
    this.drawn = false;
    for (const select of figure.querySelectorAll("[data-choice]")) select.addEventListener("change", () => this.draw());
    for (const button of figure.querySelectorAll("[data-log]")) {
      button.addEventListener("click", () => {
        const [axis, axes] = [button.dataset.log, this.data.log[this.view] ?? ""];
        this.data.log[this.view] = axes.includes(axis) ? axes.replace(axis, "") : axes + axis;
        this.draw();
      });
    }
    figure.querySelector("[data-table]").addEventListener("toggle", () => this.tabulate());
  }

  get view() {
    const selects = [...this.figure.querySelectorAll("[data-choice]")];
    const keys = Object.keys(this.data.x);
    // A choice with a single option has no select: the other parts of the key decide.
    return keys.find((key) => selects.every((select) => key.split("|").includes(select.value))) ?? keys[0];
  }

  get log() {
    const axes = this.data.log[this.view] ?? "";
    return { x: axes.includes("x"), y: axes.includes("y") };
  }

  // The initializers that are shown, each with its points in the current view.
  get shown() {
    return Object.entries(this.data.series).filter(([init, views]) => views[this.view] && !hidden.has(init)).map(([init, views]) => [init, views[this.view]]);
  }

  traces() {
    const traces = this.background();
    // On a log axis a band that reaches zero ends at the lowest value drawn.
    const floor = this.log.y ? this.shown.flatMap(([, view]) => view.y).filter((value) => value > 0).reduce((a, b) => Math.min(a, b), Infinity) : -Infinity;
    for (const [place, [init, view]] of this.shown.entries()) {
      const common = { name: init, showlegend: false };
      const line = { color: colour(init), dash: looks[init].dash, width: 2, shape: this.data.step ? "hv" : "linear" };
      if (this.data.forest) {
        const known = view.high[0] !== null; // too few runs have no interval, and null would count as 0
        const arms = { type: "data", symmetric: false, visible: known, array: view.high.map((high, i) => high - view.x[i]), arrayminus: view.low.map((low, i) => view.x[i] - low), color: line.color };
        const hovertemplate = !known ? "%{x:.4f}" : `%{x:.4f} (${view.low[0]} to ${view.high[0]})`;
        traces.push({ ...common, x: view.x, y: [place], error_x: arms, mode: "markers", marker: { color: line.color, size: 9 }, hovertemplate });
        continue;
      }
      // Zero has no logarithm: it leaves a gap or, in a time to a target, becomes the first instant.
      const y = this.log.y ? view.y.map((value) => (value > 0 ? value : null)) : view.y;
      if (view.low && view.low.some((low, i) => low !== null && low !== view.high[i])) {
        const known = view.x.map((_, i) => i).filter((i) => view.low[i] !== null && view.high[i] !== null && (!this.log.y || view.high[i] > 0));
        const low = view.low.map((value) => (value === null ? null : Math.max(value, floor)));
        const edge = (side, order) => order.map((i) => (side === "low" ? low : view.high)[i]);
        const back = [...known].reverse();
        const [x, band] = this.data.step ? staircase({ ...view, low }, known) : [[...known, ...back].map((i) => view.x[i]), [...edge("high", known), ...edge("low", back)]];
        traces.push({ ...common, x, y: band, mode: "lines", fill: "toself", fillcolor: line.color, opacity: 0.15, line: { width: 0 }, hoverinfo: "skip" });
      }
      const hovertemplate = view.text ? "%{text}: %{y:.4g}" : "%{x}: %{y:.4g}";
      traces.push({ ...common, x: view.x, y, text: view.text, line, mode: this.data.markers ? "lines+markers" : "lines", marker: { color: line.color, size: 6 }, hovertemplate });
    }
    return traces;
  }

  // What the lines are to be like: grey dots, and a line under the others. Both are in the plot's own legend.
  background() {
    const common = { showlegend: true, hovertemplate: "%{x}: %{y:.4g}" };
    const dots = Object.entries(this.data.points).map(([name, view]) => ({ ...common, name, x: view.x, y: view.y, mode: "markers", marker: { color: style("--dim"), size: 3, opacity: 0.5 } }));
    const lines = Object.entries(this.data.truth).map(([name, view]) => ({ ...common, name, x: view.x, y: view.y, mode: "lines", line: { color: style("--dim"), width: 5 }, opacity: 0.5 }));
    return [...dots, ...lines];
  }

  // A panel for what is true and one for each initializer, of points that are coloured alike.
  panels(layout, axis) {
    const panels = [...Object.entries(this.data.truth), ...this.shown];
    const columns = Math.max(1, Math.min(panels.length, Math.floor(this.canvas.clientWidth / 260)));
    const rows = Math.ceil(panels.length / columns);
    layout.height = 80 + 280 * rows;
    this.canvas.style.height = `${layout.height}px`;
    const [low, high] = range(panels[0][1].z);
    const bar = { title: { text: escaped(this.data.z), side: "right" }, thickness: 14, outlinewidth: 0, lenmode: "pixels", len: 280, y: 1, yanchor: "top" };
    Object.assign(layout, { grid: { rows, columns, pattern: "independent", ygap: 0.25 }, coloraxis: { colorscale: "Viridis", cmin: low, cmax: high, colorbar: bar }, annotations: [] });
    const { title: titleX } = layout.xaxis;
    const { title: titleY } = layout.yaxis;
    const plain = { ...axis, zeroline: false, constrain: "domain" };
    return panels.map(([name, view], i) => {
      const n = i === 0 ? "" : i + 1;
      layout[`xaxis${n}`] = { ...plain, title: i + columns >= panels.length ? titleX : undefined };
      layout[`yaxis${n}`] = { ...plain, title: i % columns === 0 ? titleY : undefined, scaleanchor: `x${n}` };
      layout.annotations.push({ xref: `x${n} domain`, yref: `y${n} domain`, x: 0.5, y: 1, yanchor: "bottom", text: escaped(name.length > 30 ? `${name.slice(0, 29)}…` : name), showarrow: false });
      return { name, showlegend: false, xaxis: `x${n}`, yaxis: `y${n}`, x: view.x, y: view.y, mode: "markers", marker: { color: view.z, coloraxis: "coloraxis", size: 6 }, hovertemplate: "%{x}, %{y}: %{marker.color:.4g}" };
    });
  }

  draw() {
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), automargin: true };
    const scale = (name) => (this.log[name] ? { type: "log", tickformat: "~g", ...ticks(this.shown, name) } : { type: "linear" });
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: style("--fg"), family: "system-ui, sans-serif" },
      margin: { l: 60, r: 15, t: this.data.z ? 30 : 10, b: 50 }, hovermode: "closest",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--dim"), activecolor: style("--link") },
      legend: { orientation: "h", y: 1, yanchor: "bottom" },
      hoverlabel: { bgcolor: style("--soft"), font: { color: style("--fg") }, namelength: -1 },
      xaxis: { ...axis, ...scale("x"), title: { text: escaped(this.data.x[this.view]) } },
      yaxis: { ...axis, ...scale("y"), title: { text: escaped(this.data.y[this.view]) } },
    };
    if (this.shown.some(([, view]) => view.text && view.x.length <= 20) && !this.log.x) layout.xaxis.dtick = 1; // layers have no halves
    const levels = Object.entries(this.data.levels[this.view] ?? {});
    const height = (value) => (this.log.y ? Math.log10(value) : value);
    layout.shapes = levels.map(([, value]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value, line: { color: style("--dim"), width: 1, dash: "dot" } }));
    layout.annotations = levels.map(([name, value]) => ({ xref: "paper", x: 0.6, xanchor: "center", y: height(value), yanchor: "bottom", text: escaped(name), showarrow: false, font: { color: style("--dim"), size: 11 } }));
    if (this.data.unitY && !this.log.y) layout.yaxis.range = [-0.03, 1.03];
    if (this.data.forest) {
      const names = this.shown.map(([init]) => escaped(init));
      layout.yaxis = { ...axis, zeroline: false, range: [names.length - 0.5, -0.5], tickmode: "array", tickvals: [...names.keys()], ticktext: names };
    }
    const traces = (this.data.z ? this.panels(layout, axis) : this.traces()).map((trace) => ({ ...trace, name: escaped(trace.name), text: trace.text && trace.text.map(escaped) }));
    const remove = ["sendChartToCloud", "lasso2d", "select2d", "autoScale2d"];
    Plotly.react(this.canvas, traces, layout, { displaylogo: false, responsive: true, typesetMath: false, modeBarButtonsToRemove: remove });
    for (const button of this.figure.querySelectorAll("[data-log]")) button.setAttribute("aria-pressed", this.log[button.dataset.log]);
    const under = Object.entries(this.data.hidden[this.view] ?? {}).filter(([init]) => !hidden.has(init));
    this.figure.querySelector("[data-hidden]").textContent = under.map(([init, over]) => `${init} is hidden by ${over}.`).join(" ");
    this.drawn = true;
    this.tabulate();
  }

  // Everything that is drawn, one row per x and one column per initializer; every number links to the runs behind it.
  tabulate() {
    const details = this.figure.querySelector("[data-table]");
    if (!details.open) return;
    const place = (view, i) => (this.data.forest ? "" : view.text ? view.text[i] : view.z ? `${view.x[i]}, ${view.y[i]}` : view.x[i]);
    const value = (view, i) => {
      const [middle, low, high] = [this.data.forest ? view.x[i] : (view.z ?? view.y)[i], view.low?.[i] ?? null, view.high?.[i] ?? null];
      return middle === null ? "-" : low === null || high === null ? `${middle}` : `${middle} (${low} to ${high})`;
    };
    const rows = new Map();
    for (const [init, view] of this.shown) {
      view.x.forEach((x, i) => {
        if (!rows.has(place(view, i))) rows.set(place(view, i), { x, cells: Object.create(null) }); // a name may be "__proto__"
        rows.get(place(view, i)).cells[init] = value(view, i);
      });
    }
    const ordered = [...rows].sort(([, a], [, b]) => a.x - b.x);
    const inits = this.shown.map(([init]) => init);
    const cell = (init, text) => (text === undefined ? "" : link(text, { ...this.data.runs, init }));
    const heading = this.data.forest ? [this.data.x[this.view], "with its interval"] : [this.data.z ? `${this.data.x[this.view]}, ${this.data.y[this.view]}` : this.data.x[this.view], ...inits];
    const body = this.data.forest ? inits.map((init) => [init, cell(init, ordered[0][1].cells[init])]) : ordered.map(([name, row]) => [name, ...inits.map((init) => cell(init, row.cells[init]))]);
    const table = element("table", element("thead", element("tr", ...heading.map((name) => element("th", name)))), element("tbody", ...body.map((row) => element("tr", ...row.map((item) => element("td", item))))));
    details.querySelector("div").replaceChildren(table);
  }
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function link(text, query) {
  const made = element("a", text);
  made.href = `#runs?${new URLSearchParams(query)}`;
  return made;
}

// plotly reads a few HTML tags in texts; in names of initializers they are escaped.
function escaped(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// The outline of a band whose edges are steps.
function staircase(view, known) {
  const [forth, back] = [[], []];
  for (const i of known) {
    // A value holds until the next point, whether or not more is known there.
    for (const x of [view.x[i], view.x[i + 1] ?? view.x[i]]) {
      forth.push([x, view.high[i]]);
      back.push([x, view.low[i]]);
    }
  }
  const outline = [...forth, ...back.reverse()];
  return [outline.map((point) => point[0]), outline.map((point) => point[1])];
}

function range(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

// plotly's default ticks of a logarithmic axis overlap between one and ten decades.
function ticks(shown, name) {
  const values = shown.flatMap(([, view]) => view[name]).filter((value) => value > 0);
  if (!values.length) return {};
  const decades = Math.log10(values.reduce((a, b) => Math.max(a, b))) - Math.log10(values.reduce((a, b) => Math.min(a, b)));
  if (decades > 2.5) return { dtick: Math.ceil(decades / 8) };
  return decades > 0.5 ? { dtick: "D2" } : {};
}

const plots = [...document.querySelectorAll("figure.plot")].map((figure) => new Plot(figure));
const redraw = () => plots.filter((plot) => plot.drawn).forEach((plot) => plot.draw());

// Plots further down the page are only drawn when they are scrolled into view.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    plots.find((plot) => plot.canvas === entry.target).draw();
  }
}, { rootMargin: "400px" });
addEventListener("DOMContentLoaded", () => plots.forEach((plot) => seen.observe(plot.canvas)));

// A printed page has all of its plots, each as wide as the paper, and all folded sections.
addEventListener("beforeprint", () => {
  for (const plot of plots) {
    plot.draw();
    Plotly.relayout(plot.canvas, { width: 680, height: plot.data.forest || plot.data.z ? plot.canvas.clientHeight : 380 });
  }
});
addEventListener("afterprint", () => plots.forEach((plot) => Plotly.relayout(plot.canvas, { autosize: true, width: null, height: null })));

const boxes = [...document.querySelectorAll("#legend input")];
function show(changed, checked) {
  for (const box of changed) {
    box.checked = checked;
    hidden[checked ? "delete" : "add"](box.dataset.init);
  }
  // All but the table of runs, which has its own filters.
  for (const row of document.querySelectorAll("section:not(#runs) tr[data-init]")) row.hidden = hidden.has(row.dataset.init);
  redraw();
}
for (const box of boxes) box.addEventListener("change", () => show([box], box.checked));
for (const button of document.querySelectorAll("[data-all]")) button.addEventListener("click", () => show(boxes, button.dataset.all === "true"));

const theme = (name) => { document.documentElement.dataset.theme = name; redraw(); };
document.getElementById("theme").addEventListener("click", () => {
  const dark = style("color-scheme") === "dark" || getComputedStyle(document.documentElement).colorScheme === "dark";
  theme(dark ? "light" : "dark");
  try { localStorage.setItem("initbench-theme", dark ? "light" : "dark"); } catch { /* a file may have no storage */ }
});
try { const chosen = localStorage.getItem("initbench-theme"); if (chosen) theme(chosen); } catch { /* likewise */ }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

const rows = [...document.querySelectorAll("#run-table tbody tr")];
const texts = rows.map((row) => row.textContent.toLowerCase());
const filters = [...document.querySelectorAll("[data-filter]")];
function filter() {
  let count = 0;
  const wanted = filters.filter((field) => field.value !== "").map((field) => [field.dataset.filter, field.value]);
  rows.forEach((row, index) => {
    const matches = wanted.every(([name, value]) => (name === "text" ? texts[index].includes(value.toLowerCase()) : row.dataset[name] === value));
    row.hidden = !matches;
    count += matches;
  });
  document.getElementById("count").textContent = `${count} of ${rows.length}`;
}
for (const field of filters) field.addEventListener("input", filter);
document.querySelector("#runs form").addEventListener("reset", () => setTimeout(filter));

// Every number of the page links here: #runs?init=...&workload=...
function follow() {
  const [place, query] = location.hash.slice(1).split("?");
  if (place !== "runs" || query === undefined) return;
  const asked = new URLSearchParams(query);
  for (const field of filters) field.value = asked.get(field.dataset.filter) ?? "";
  filter();
  document.getElementById("runs").scrollIntoView();
}
addEventListener("hashchange", follow);
addEventListener("click", (event) => {
  // A link to the current hash does not change it, but the filters may have been changed by hand.
  if (event.target.closest('a[href^="#runs?"]')) setTimeout(follow);
});
addEventListener("DOMContentLoaded", follow);

let sorted = null;
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const column = Number(button.dataset.sort);
    const direction = sorted === column ? -1 : 1;
    sorted = direction === 1 ? column : null;
    const value = new Map(rows.map((row) => [row, row.cells[column].textContent]));
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const number = (text) => (text === "" ? NaN : Number(text.replace("%", "")));
    const order = [...rows].sort((a, b) => {
      const [left, right] = [value.get(a), value.get(b)];
      const difference = number(left) - number(right);
      return direction * (Number.isNaN(difference) ? compare(left, right) : difference);
    });
    document.querySelector("#run-table tbody").append(...order);
    for (const other of document.querySelectorAll("#run-table th")) other.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
  });
}
