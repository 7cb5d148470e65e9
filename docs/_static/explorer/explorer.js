// The explorer: controls, what the theory and the simulated networks say about them, and the address that links to it.
"use strict";

(() => {
  const root = document.getElementById("network-explorer");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const control = (name) => root.querySelector(`[name="${name}"]`);
  const { ACTIVATIONS } = MeanField;
  const WIDTHS = EXPLORER.widths;
  const RANGES = { sigma_w: [0.1, 3], sigma_b: [0, 1], depth: [2, 64] };
  const PHASES = {
    ordered: "ordered phase",
    chaotic: "chaotic phase",
    critical: "edge of chaos",
    vanishing: "ordered phase: the signal vanishes",
    unbounded: "no fixed point: the signal grows without bound",
  };
  const state = { activation: "relu", init: "xavier_normal", sigma_w: 1, sigma_b: 0, depth: 30, width: 256 };

  // Numbers in words and tables.
  const raised = (power) => String(power).replace(/./g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));
  function format(value) {
    if (value === Infinity) return "∞";
    if (value === 0 || (Math.abs(value) >= 0.01 && Math.abs(value) < 1000)) return String(+value.toPrecision(2));
    const [digits, power] = value.toExponential(1).split("e");
    return `${+digits === 1 ? "" : `${+digits} × `}10${raised(Number(power))}`;
  }
  const sigma = (value) => String(+value.toFixed(4));

  // sigma_w and sigma_b of an initializer; or, as a string, why it refuses this activation.
  const sigmasOf = (init, activation, width) => EXPLORER.sigmas[init][WIDTHS.indexOf(width)][activation];

  function takeSigmas() {
    if (state.init === "") return;
    const found = sigmasOf(state.init, state.activation, state.width);
    if (typeof found === "string") state.init = "";
    else [state.sigma_w, state.sigma_b] = found;
  }

  // The simulated networks of the chosen initializer, or else those on the grid that are nearest.
  function simulated() {
    const nearest = (grid, value) => grid.reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
    const family = state.init === "" ? "normal" : EXPLORER.families[state.init];
    const w = state.init === "" ? nearest(EXPLORER.grid.sigma_w, state.sigma_w) : state.sigma_w;
    const b = state.init === "" ? nearest(EXPLORER.grid.sigma_b, state.sigma_b) : state.sigma_b;
    const row = EXPLORER.simulations[`${state.activation} ${family} ${state.width} ${w} ${b}`];
    const isHere = Math.abs(w - state.sigma_w) < 0.005 && Math.abs(b - state.sigma_b) < 0.005;
    return { family, w, b, row, isHere };
  }

  // One quantity of a row of simulations: {layer, low, middle, high} for each layer that is shown.
  function pointsOf(row, quantity, isLog, look) {
    const count = EXPLORER.layers.length;
    return EXPLORER.layers.flatMap((layer, k) => {
      const mean = row[2 * quantity * count + k];
      const deviation = row[(2 * quantity + 1) * count + k];
      if (layer > state.depth || mean === null || deviation === null) return [];
      const [middle, spread] = [mean / (isLog ? 100 : 1000), deviation / 1000];
      const all = [middle - spread, middle, middle + spread].map((value) => (isLog ? 10 ** value : value));
      return [{ layer, low: all[0], middle: all[1], high: all[2], look }];
    });
  }

  function ofVariance({ variance }, { q, phase }) {
    const last = variance.at(-1);
    const deep = `at layer ${state.depth} it is ${format(last)}`;
    const factor = last / variance.at(-2);
    if (Math.abs(Math.log(last / variance[0])) < 1e-3 && Math.abs(factor - 1) < 1e-4) {
      return `The variance of the pre-activations stays the same, ${format(last)}.`;
    }
    if (q > 0 && q < Infinity && phase !== "critical") {
      const isClose = (value) => Math.abs(value / q - 1) < 0.05;
      const layer = variance.findLastIndex((value) => !isClose(value)) + 2;
      return layer > state.depth
        ? `The variance of the pre-activations moves towards q* = ${format(q)}; ${deep}.`
        : `The variance of the pre-activations settles at q* = ${format(q)}, within 5% from layer ${layer} on.`;
    }
    if (Math.abs(factor - 1) < 0.1) return `The variance of the pre-activations changes slowly; ${deep}.`;
    const verb = Math.abs(factor - 0.5) < 0.005 ? "halves" : Math.abs(factor - 2) < 0.02 ? "doubles" : null;
    return `The variance of the pre-activations ${verb ?? `is multiplied by ${format(factor)}`} at every layer; ${deep}.`;
  }

  function ofCorrelation({ correlation }, { c }) {
    const last = correlation.map((values) => values.at(-1));
    const start = EXPLORER.correlations.join(" and ");
    const end = last.map((value) => value.toFixed(2)).join(" and ");
    const meaning =
      Math.min(...last) > 0.99
        ? "the network can hardly tell inputs apart"
        : c !== null && c < 0.999
          ? `they tend to c* = ${format(c)}, so similar inputs become different`
          : last[1] - last[0] > 0.3
            ? "inputs can still be told apart"
            : "inputs become more alike";
    return `Inputs with correlations of ${start} have ${end} at layer ${state.depth}: ${meaning}.`;
  }

  function ofGradient({ gradient }) {
    const last = gradient.at(-1);
    const word = last < 0.01 ? "it vanishes" : last > 100 ? "it explodes" : "it survives";
    return `The mean square of a gradient is multiplied by ${format(last)} on its way from layer ${state.depth} to layer 1: ${word}.`;
  }

  function ofDepth({ chi, depthOfCorrelation: depth, phase }) {
    const chi1 = `χ₁ = ${+chi.toFixed(3)}`;
    if (phase === "critical") return `${chi1}, so the depth scale is unlimited.`;
    if (depth === null) return `${chi1}; without a fixed variance there is no depth scale.`;
    return `${chi1}, and the depth scale is ξ = ${format(depth)} layers; networks were trained up to about 6 ξ = ${format(6 * depth)}.`;
  }

  function ofNetworks({ family, w, b, row, isHere }) {
    if (row === undefined) return "";
    const where = isHere ? "" : `, for the nearest simulated values, σ_w = ${sigma(w)} and σ_b = ${sigma(b)} (dotted: theory)`;
    const apart = {
      orthogonal: " The rows of an orthogonal matrix are not independent, as the theory assumes.",
      sinusoidal: " Sinusoidal weights are not random, so the theory does not describe them; only the inputs differ.",
      tanh_fixed_point: " The theory does not describe these weights, which are the identity and a little noise.",
    };
    const seeds = EXPLORER.seeds[WIDTHS.indexOf(state.width)];
    return `Circles: ${seeds} networks of width ${state.width}, mean and standard deviation${where}.${apart[family] ?? ""}`;
  }

  function draw() {
    const { activation, sigma_w, sigma_b, depth } = state;
    const theory = MeanField.propagate(activation, sigma_w, sigma_b, depth, EXPLORER.correlations);
    const limit = MeanField.limit(activation, sigma_w, sigma_b);
    const networks = simulated();
    const nearby = networks.isHere
      ? null
      : MeanField.propagate(activation, networks.w, networks.b, depth, EXPLORER.correlations);
    const plots = {
      variance: [[0, (found) => found.variance, "first"]],
      correlation: [
        [2, (found) => found.correlation[0], "first"],
        [3, (found) => found.correlation[1], "second"],
      ],
      gradient: [[1, (found) => found.gradient, "first"]],
    };
    for (const [name, quantities] of Object.entries(plots)) {
      const isLog = name !== "correlation";
      drawPlot(part(name), {
        lines: [
          ...quantities.map(([, values, look]) => ({ values: values(theory), look })),
          ...(nearby ? quantities.map(([, values, look]) => ({ values: values(nearby), look: `${look} nearby` })) : []),
        ],
        points: networks.row ? quantities.flatMap(([k, , look]) => pointsOf(networks.row, k, isLog, look)) : [],
        depth,
        isLog,
        label: `${name} by layer; the numbers are in the table below`,
        xLabel: name === "gradient" ? "layer" : null,
      });
    }
    part("headline").textContent =
      `${ACTIVATIONS[activation].label}, σ_w = ${sigma(sigma_w)}, σ_b = ${sigma(sigma_b)}: ${PHASES[limit.phase]}.`;
    const sentences = [ofVariance(theory, limit), ofCorrelation(theory, limit), ofGradient(theory), ofDepth(limit)];
    part("sentence").textContent = sentences.join(" ");
    part("networks").textContent = ofNetworks(networks);
    if (part("numbers").open) tabulate(theory, networks.row);
  }

  function tabulate(theory, row) {
    const columns = [
      ["variance", theory.variance, 0, true],
      ...EXPLORER.correlations.map((c, k) => [`correlation, from ${c}`, theory.correlation[k], 2 + k, false]),
      ["gradient", theory.gradient, 1, true],
    ];
    const head = ["layer", ...columns.flatMap(([name]) => [name, "networks"])];
    const layers = EXPLORER.layers.filter((layer) => layer <= state.depth);
    const body = layers.map((layer) => [
      layer,
      ...columns.flatMap(([, values, quantity, isLog]) => {
        const found = row && pointsOf(row, quantity, isLog, "").find((point) => point.layer === layer);
        const range = found ? `${format(found.middle)} (${format(found.low)} to ${format(found.high)})` : "";
        return [format(values[layer - 1]), range];
      }),
    ]);
    const table = document.createElement("table");
    for (const [cell, rows] of [["th", [head]], ["td", body]]) {
      for (const cells of rows) {
        const line = table.insertRow();
        for (const text of cells) line.appendChild(document.createElement(cell)).textContent = text;
      }
    }
    part("numbers").querySelector("div").replaceChildren(table);
  }

  // Controls show the state, and the address keeps it.
  function show() {
    for (const name of ["activation", "init", "width", "depth"]) control(name).value = String(state[name]);
    for (const name of ["sigma_w", "sigma_b"]) control(name).value = state[name].toFixed(2);
    for (const name of Object.keys(RANGES)) control(name).closest("label").querySelector("output").value = sigma(state[name]);
    for (const option of control("init").options) {
      option.disabled = option.value !== "" && typeof sigmasOf(option.value, state.activation, state.width) === "string";
    }
    draw();
  }

  function keep() {
    history.replaceState(null, "", `#${new URLSearchParams({ ...state, sigma_w: sigma(state.sigma_w), sigma_b: sigma(state.sigma_b) })}`);
  }

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!given.has("activation")) return; // a link to a heading
    if (Object.hasOwn(ACTIVATIONS, given.get("activation"))) state.activation = given.get("activation");
    if (WIDTHS.includes(Number(given.get("width")))) state.width = Number(given.get("width"));
    for (const [name, [low, high]] of Object.entries(RANGES)) {
      const value = Number(given.get(name) ?? NaN);
      if (Number.isFinite(value)) state[name] = Math.min(high, Math.max(low, value));
    }
    state.depth = Math.round(state.depth);
    state.init = Object.hasOwn(EXPLORER.sigmas, given.get("init") ?? "") ? given.get("init") : "";
    takeSigmas();
  }

  function change(name, value) {
    const before = state.init;
    if (name === "sigma_w" || name === "sigma_b") state.init = "";
    state[name] = value;
    part("refusal").textContent = "";
    takeSigmas();
    if (name === "activation" && state.init !== before) {
      const why = sigmasOf(before, state.activation, state.width);
      part("refusal").textContent = `init=${before} refuses this network: ${why}.`;
    }
    keep();
    requestDraw();
  }

  let isAwaited = false;
  function requestDraw() {
    if (isAwaited) return;
    isAwaited = true;
    requestAnimationFrame(() => {
      isAwaited = false;
      show();
    });
  }

  function fill(name, options) {
    control(name).replaceChildren(...options.map(([value, label]) => new Option(label, value)));
  }

  fill("activation", Object.entries(ACTIVATIONS).map(([name, { label }]) => [name, label]));
  fill("init", [["", "none: your own values"], ...Object.keys(EXPLORER.sigmas).map((name) => [name, name])]);
  fill("width", WIDTHS.map((width) => [width, width]));
  for (const name of ["activation", "init"]) {
    control(name).addEventListener("change", (event) => change(name, event.target.value));
  }
  control("width").addEventListener("change", (event) => change("width", Number(event.target.value)));
  for (const name of Object.keys(RANGES)) {
    control(name).addEventListener("input", (event) => change(name, Number(event.target.value)));
  }
  part("edge").addEventListener("click", () => {
    const found = MeanField.critical(state.activation, state.sigma_b);
    if (found !== null && found <= RANGES.sigma_w[1]) return change("sigma_w", found);
    const name = ACTIVATIONS[state.activation].label;
    part("refusal").textContent =
      found === null
        ? `${name} has no edge of chaos with a stable variance at σ_b = ${sigma(state.sigma_b)}.`
        : `The edge of chaos of ${name} is at σ_w = ${sigma(found)}, beyond the slider.`;
  });
  part("numbers").addEventListener("toggle", requestDraw);
  addEventListener("hashchange", () => {
    read();
    requestDraw();
  });
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (width !== root.clientWidth) requestDraw();
    width = root.clientWidth;
  }).observe(root);

  root.dataset.ready = "";
  read();
  takeSigmas();
  show();
})();
