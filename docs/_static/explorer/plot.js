// A plot of lines and points against the layer, as SVG that is as wide as the page allows.
"use strict";

const drawPlot = (() => {
  const HEIGHT = 170;
  const MARGIN = { left: 52, right: 14, top: 10, bottom: 34 };

  function element(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Lowest and highest value shown, as logarithms if the axis is logarithmic; at least a decade, with some air.
  function extent(values, isLog) {
    if (!isLog) return [Math.min(-0.05, ...values) - 0.02, 1.05];
    const logs = values.filter((value) => value > 0 && value < Infinity).map(Math.log10);
    const [low, high] = [Math.min(...logs), Math.max(...logs)];
    const air = Math.max(0.04 * (high - low), (1 - (high - low)) / 2);
    return [low - air, high + air];
  }

  // Positions and labels: powers of ten, or 1, 2 and 5 if there are few of those.
  function ticks([low, high], isLog) {
    if (!isLog) {
      const step = high - low > 1.6 ? 0.5 : 0.25;
      const count = Math.floor((1 - low) / step);
      return Array.from({ length: count + 1 }, (_, k) => ({ at: 1 - k * step, label: String(1 - k * step) }));
    }
    const step = Math.ceil((high - low) / 5);
    const found = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of high - low < 2.5 ? [1, 2, 5] : [1]) {
        const at = power + Math.log10(digit);
        if (at < low || at > high || power % step !== 0) continue;
        const isPlain = Math.abs(power) <= 3;
        found.push({ at, label: isPlain ? String(+(digit * 10 ** power).toPrecision(1)) : "10", power: isPlain ? null : power });
      }
    }
    return found;
  }

  // lines: {values, look}, from layer 1 on; points: {layer, low, middle, high, look}.
  return function drawPlot(svg, { lines, points, depth, isLog, label, xLabel }) {
    const width = Math.max(240, svg.parentElement.clientWidth);
    const values = [...lines.flatMap((line) => line.values), ...points.flatMap((p) => [p.low, p.middle, p.high])];
    const [low, high] = extent(values, isLog);
    const x = (layer) => MARGIN.left + ((layer - 1) / (depth - 1)) * (width - MARGIN.left - MARGIN.right);
    const toY = (value) => {
      const share = ((isLog ? Math.log10(value) : value) - low) / (high - low);
      return HEIGHT - MARGIN.bottom - share * (HEIGHT - MARGIN.top - MARGIN.bottom);
    };
    const y = (value) => toY(value).toFixed(1);

    svg.replaceChildren(element("title", {}, label));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", HEIGHT);
    for (const { at, label, power } of ticks([low, high], isLog)) {
      const height = y(isLog ? 10 ** at : at);
      svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: height, y2: height }));
      const text = element("text", { x: MARGIN.left - 6, y: height, dy: "0.35em", "text-anchor": "end" }, label);
      if (power != null) text.append(element("tspan", { dy: "-0.5em", "font-size": "0.75em" }, String(power).replace("-", "−")));
      svg.append(text);
    }
    const step = [1, 2, 5, 10, 20].find((size) => depth / size <= width / 60);
    for (let layer = 1; layer <= depth; layer++) {
      if (layer > 1 && layer % step !== 0) continue;
      if (layer > 1 && x(layer) - x(1) < 18) continue;
      svg.append(element("text", { x: x(layer), y: HEIGHT - MARGIN.bottom + 15, "text-anchor": "middle" }, layer));
    }
    if (xLabel) {
      const middle = (MARGIN.left + width - MARGIN.right) / 2;
      svg.append(element("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel));
    }
    for (const { values, look } of lines) {
      const path = values.map((value, k) => `${k ? "L" : "M"}${x(k + 1).toFixed(1)} ${y(value)}`).join("");
      svg.append(element("path", { class: `theory ${look}`, d: path }));
    }
    for (const { layer, low, middle, high, look } of points) {
      svg.append(element("line", { class: `bar ${look}`, x1: x(layer), x2: x(layer), y1: y(low), y2: y(high) }));
      svg.append(element("circle", { class: `point ${look}`, cx: x(layer), cy: y(middle), r: 3.5 }));
    }
  };
})();
