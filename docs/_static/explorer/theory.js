// Mean-field theory of wide random networks (Poole et al. 2016, Schoenholz et al. 2017), for any weights and biases.
//
// q is the variance of the pre-activations z of one input, c the correlation between those of two. From layer to layer
//
//   q' = sigma_w^2 E[phi(z)^2] + sigma_b^2
//   c' = (sigma_w^2 E[phi(z1) phi(z2)] + sigma_b^2) / q'
//
// and chi = sigma_w^2 E[phi'(z)^2] is the factor on the mean square of a gradient, on its way back through the layer.
// The formulas of the fixed points are those of initbench/init/schemes/mean_field.py.
"use strict";

const MeanField = (() => {
  const NODES = 12;
  const FARTHEST = 9; // in standard deviations; what lies beyond is less than 1e-16 of an expectation
  const SMALLEST = 1e-12; // variances beyond these count as 0 and as infinite
  const LARGEST = 1e12;
  const CRITICAL = 1e-3; // chi within this of 1 is called the edge of chaos

  // Gauss-Legendre nodes and weights on [0, 1], by Newton's method on the Legendre polynomial.
  const LEGENDRE = Array.from({ length: NODES }, (_, k) => {
    let x = Math.cos((Math.PI * (k + 0.75)) / (NODES + 0.5));
    let slope = 1;
    for (let step = 0; step < 10; step++) {
      let [before, value] = [1, x];
      for (let n = 2; n <= NODES; n++) [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
      slope = (NODES * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    return { x: (1 + x) / 2, weight: 1 / ((1 - x * x) * slope * slope) };
  });

  // Nodes on [0, length]. Panels grow from `scale` by a factor of 4, since what changes fast is near 0, up to 2.
  function rule(length, scale) {
    const nodes = [];
    for (let [low, high] = [0, scale]; low < length; [low, high] = [high, Math.min(4 * high, high + 2)]) {
      if (1.5 * high > length) high = length;
      for (const { x, weight } of LEGENDRE) nodes.push({ x: low + (high - low) * x, weight: (high - low) * weight });
    }
    return nodes;
  }

  // The error function: a Taylor polynomial around the nearest multiple of 1/64.
  const STEP = 64;
  const ERF = Array.from({ length: 6 * STEP + 1 }, (_, k) => {
    const x = k / STEP;
    let [term, sum] = [x, x];
    for (let n = 1; term > 1e-17 * sum; n++) sum += term *= (2 * x * x) / (2 * n + 1);
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  });
  function erf(x) {
    const size = Math.abs(x);
    if (size >= 6) return Math.sign(x);
    const k = Math.round(size * STEP);
    const [a, d] = [k / STEP, size - k / STEP];
    const s = a * a;
    const series =
      1 + d * (-a + d * ((4 * s - 2) / 6 + d * ((-8 * s * a + 12 * a) / 24 + (d * (16 * s * s - 48 * s + 12)) / 120)));
    return Math.sign(x) * (ERF[k] + (2 / Math.sqrt(Math.PI)) * Math.exp(-s) * d * series);
  }

  const normal = (x) => 0.5 * (1 + erf(x * Math.SQRT1_2));
  const density = (x) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  // Klambauer et al. 2017.
  const [SELU, ALPHA] = [1.0507009873554805, 1.6732632423543772];

  // Functions and derivatives; none has a kink anywhere but at 0.
  const ACTIVATIONS = {
    relu: { label: "ReLU", phi: (x) => (x > 0 ? x : 0), slope: (x) => (x > 0 ? 1 : 0) },
    gelu: { label: "GELU", phi: (x) => x * normal(x), slope: (x) => normal(x) + x * density(x) },
    silu: {
      label: "SiLU",
      phi: (x) => x * sigmoid(x),
      slope: (x) => sigmoid(x) + x * sigmoid(x) * sigmoid(-x),
    },
    selu: {
      label: "SELU",
      phi: (x) => SELU * (x > 0 ? x : ALPHA * Math.expm1(x)),
      slope: (x) => SELU * (x > 0 ? 1 : ALPHA * Math.exp(x)),
    },
    tanh: { label: "tanh", phi: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
    erf: { label: "erf", phi: erf, slope: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) },
    sigmoid: { label: "sigmoid", phi: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
    linear: { label: "linear", phi: (x) => x, slope: () => 1 },
  };

  // The bend of an activation, |z| < 1, in units of the standard deviation of z. It is too narrow to count in the end.
  const scaleOf = (q) => (q > 1 && q < 1e10 ? 1 / Math.sqrt(q) : 1);

  // E[f(z)^2] for z ~ N(0, q).
  function square(f, q) {
    const root = Math.sqrt(q);
    let sum = 0;
    for (const { x, weight } of rule(FARTHEST, scaleOf(q))) {
      sum += weight * density(x) * (f(root * x) ** 2 + f(-root * x) ** 2);
    }
    return sum;
  }

  // E[f(z1) f(z2)] for z1, z2 ~ N(0, q) with correlation c, in polar coordinates, where kinks are rays: z1 and z2 are
  // sqrt(q) r times the cosines of two angles that differ by acos(c). Swapping z1 and z2 halves the circle.
  function product(f, q, c) {
    const angle = Math.acos(Math.min(1, Math.max(-1, c)));
    if (angle < 1e-7) return square(f, q);
    const root = Math.sqrt(q);
    const scale = scaleOf(q);
    const radial = rule(FARTHEST, Math.max(0.05, scale)).map(({ x, weight }) => [root * x, weight * x * Math.exp(-0.5 * x * x)]);
    let sum = 0;
    function ray(first, second, weight) {
      for (const [r, w] of radial) sum += weight * w * f(r * first) * f(r * second);
    }
    for (const { x, weight } of rule((Math.PI - angle) / 2, scale / 3)) {
      const [first, second] = [Math.sin(angle + x), Math.sin(x)];
      ray(first, second, weight);
      ray(-first, -second, weight);
    }
    for (const { x, weight } of rule(angle / 2, scale / 3)) {
      const [first, second] = [Math.sin(angle - x), Math.sin(x)];
      ray(first, -second, weight);
      ray(-first, second, weight);
    }
    return sum / Math.PI;
  }

  const nextVariance = (phi, q, w, b) => w * w * square(phi, q) + b * b;
  const chi = (slope, q, w) => w * w * square(slope, q);

  // Layers 1 to `depth` for inputs of variance 1: q, the gradient at layer 1 if it is 1 at layer l, and correlations.
  function propagate(name, w, b, depth, correlations) {
    const { phi, slope } = ACTIVATIONS[name];
    let [q, gradient] = [w * w + b * b, 1];
    let cs = correlations.map((c) => (w * w * c + b * b) / q);
    const found = { variance: [q], gradient: [1], correlation: cs.map((c) => [c]) };
    for (let layer = 2; layer <= depth; layer++) {
      const next = nextVariance(phi, q, w, b);
      gradient *= chi(slope, q, w);
      cs = cs.map((c) => Math.min(1, (w * w * product(phi, q, c) + b * b) / next));
      q = next;
      found.variance.push(q);
      found.gradient.push(gradient);
      cs.forEach((c, pair) => found.correlation[pair].push(c));
    }
    return found;
  }

  function bisect(f, low, high) {
    const sign = Math.sign(f(low));
    for (let step = 0; step < 60; step++) {
      const middle = (low + high) / 2;
      if (Math.sign(f(middle)) === sign) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // The variance to which that of layer 1 converges: 0, a number or Infinity.
  function fixedVariance(phi, w, b) {
    const growth = (log) => nextVariance(phi, Math.exp(log), w, b) / Math.exp(log) - 1;
    let log = Math.log(w * w + b * b);
    const first = growth(log);
    if (Math.abs(first) < 1e-9) return Math.exp(log);
    const step = 0.2 * Math.sign(first);
    while (log > Math.log(SMALLEST) && log < Math.log(LARGEST)) {
      if (Math.sign(growth(log + step)) !== Math.sign(first)) return Math.exp(bisect(growth, log, log + step));
      log += step;
    }
    return first < 0 ? 0 : Infinity;
  }

  // Deep layers: the fixed points q and c, chi at q, the depth scales of both, and the phase. c is null if q is 0 or
  // infinite, where correlations need not settle.
  function limit(name, w, b) {
    const { phi, slope } = ACTIVATIONS[name];
    const q = fixedVariance(phi, w, b);
    const near = Math.min(LARGEST, Math.max(SMALLEST, q));
    const factor = chi(slope, near, w);
    const critical = Math.abs(factor - 1) < CRITICAL;
    if (q === 0 || q === Infinity) {
      const phase = critical ? "critical" : q === 0 ? "vanishing" : "unbounded";
      return { q, c: null, chi: factor, phase, depthOfVariance: null, depthOfCorrelation: null };
    }
    const depth = (ratio) => (Math.abs(ratio - 1) < 1e-6 ? Infinity : -1 / Math.log(Math.abs(ratio)));
    const change = (nextVariance(phi, q * 1.0001, w, b) - nextVariance(phi, q * 0.9999, w, b)) / (0.0002 * q);
    let [c, ratio] = [1, factor];
    if (factor > 1 && !critical) {
      const drift = (x) => (w * w * product(phi, q, x) + b * b) / q - x;
      c = drift(0) > 1e-9 ? bisect(drift, 0, 1 - 1e-6) : 0;
      ratio = w * w * product(slope, q, c);
    }
    const phase = critical ? "critical" : factor < 1 ? "ordered" : "chaotic";
    return { q, c, chi: factor, phase, depthOfVariance: depth(change), depthOfCorrelation: depth(ratio) };
  }

  // sigma_w at the edge of chaos for this sigma_b: chi = 1 at a stable fixed point. null if there is none.
  function critical(name, b) {
    const { phi, slope } = ACTIVATIONS[name];
    const weight = (q) => square(slope, q) ** -0.5;
    const surplus = (q) => q - nextVariance(phi, q, weight(q), b);
    if (b === 0 && [1e-6, 1, 1e6].every((q) => Math.abs(surplus(q)) < 1e-9 * q)) return weight(1); // keeps any variance
    const isStable = (q, next) => nextVariance(phi, next, weight(q), b) < next * (1 + 1e-9);
    if (b === 0 && Math.abs(surplus(SMALLEST)) < 1e-3 * SMALLEST && isStable(SMALLEST, 1e-3)) return weight(SMALLEST);
    for (let low = SMALLEST; low < 1e4; low *= 1.25) {
      if (surplus(low) < 0 !== surplus(low * 1.25) < 0) {
        const q = bisect(surplus, low, low * 1.25);
        if (isStable(q, 1.01 * q)) return weight(q);
      }
    }
    return null;
  }

  return { ACTIVATIONS, chi, critical, erf, limit, nextVariance, product, propagate, square };
})();
