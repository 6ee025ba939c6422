// SVG charts: a ticker's history, accuracies with their intervals, and a calibration curve. No network access here.

const SVG = "http://www.w3.org/2000/svg";

/** Create an SVG element with attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Choose about `count` round tick values in a range. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((part) => part * power >= rough);
  const out = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) out.push(Number(at.toPrecision(12)));
  return out;
}

const LEFT = 2, RIGHT = 46, TOP = 8, PRICE = 236, GAP = 38, PROBS = 108, MARKS = 34, AXIS = 22;
const HEIGHT = TOP + PRICE + GAP + PROBS + MARKS + AXIS;
const KINDS = (count) => [...(count > 3 ? ["plunge"] : []), "down", ...(count % 2 ? ["flat"] : []), "up", ...(count > 3 ? ["surge"] : [])];

/**
 * Draw a ticker's history: prices, the model's probabilities below them, and whether each prediction was correct.
 *
 * @param ticker history from the service, @param first index of the first period, @param width width in pixels.
 * @returns the element, a function that moves the cursor to a period, and one that returns the period at a pixel.
 */
export function historyChart(ticker, first, width) {
  const n = ticker.dates.length - first;
  const plot = width - LEFT - RIGHT, step = plot / n;
  const x = (i) => LEFT + (i - first + 0.5) * step;
  const root = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  root.append(svg("title", {}, `Prices of ${ticker.ticker}, probabilities of each class, and whether the predictions were correct`));
  const bottom = TOP + PRICE + GAP + PROBS + MARKS;

  if (ticker.training_periods > first) {
    const until = LEFT + Math.min(ticker.training_periods - first, n) * step;
    root.append(svg("rect", { class: "training", x: LEFT, y: TOP, width: until - LEFT, height: bottom - TOP }));
    if (ticker.training_periods < ticker.dates.length) {
      root.append(svg("line", { class: "edge", x1: until, x2: until, y1: TOP, y2: bottom }));
      const room = plot - (until - LEFT) > 150;
      const end = room ? "start" : "end";
      root.append(svg("text", { x: until + (room ? 5 : -5), y: TOP + 12, "text-anchor": end }, "out of sample from here on"));
    }
  }

  const visible = (values) => values.slice(first);
  const low = Math.min(...visible(ticker.low)), high = Math.max(...visible(ticker.high));
  const pad = (high - low) * 0.06 || high * 0.01;
  const y = (price) => TOP + PRICE - ((price - low + pad) / (high - low + 2 * pad)) * PRICE;
  const prices = svg("g", { id: "prices" });
  for (const price of ticks(low - pad, high + pad, 5)) {
    if (y(price) < TOP || y(price) > TOP + PRICE) continue;
    prices.append(svg("line", { class: "grid", x1: LEFT, x2: LEFT + plot, y1: Math.round(y(price)), y2: Math.round(y(price)) }));
    prices.append(svg("text", { x: LEFT + plot + 6, y: y(price) + 4 }, String(price)));
  }
  prices.append(svg("text", { x: LEFT + plot + RIGHT, y: TOP + PRICE + 12, "text-anchor": "end" }, "dollars"));
  if (step >= 5) {
    const body = Math.max(1, Math.floor(step * 0.6));
    for (let i = first; i < ticker.dates.length; i++) {
      const up = ticker.close[i] >= ticker.open[i], left = Math.round(x(i) - body / 2);
      const above = y(Math.max(ticker.open[i], ticker.close[i])), below = y(Math.min(ticker.open[i], ticker.close[i]));
      const middle = left + body / 2;
      prices.append(svg("line", { class: "wick", x1: middle, x2: middle, y1: y(ticker.high[i]), y2: y(ticker.low[i]) }));
      prices.append(svg("rect", { class: up ? "rise" : "fall", x: left, y: above, width: body, height: Math.max(1, below - above) }));
    }
  } else {
    let path = "";
    for (let i = first; i < ticker.dates.length; i++) path += `${path ? "L" : "M"}${x(i).toFixed(1)} ${y(ticker.close[i]).toFixed(1)}`;
    prices.append(svg("path", { class: "price", d: path }));
  }
  root.append(prices);

  const base = TOP + PRICE + GAP + PROBS;
  const probabilities = svg("g", { id: "probabilities" });
  const bar = step >= 4 ? step - 1 : step + 0.35;
  for (let i = first; i < ticker.dates.length; i++) {
    const p = ticker.p[i];
    if (!p) continue;
    const group = svg("g", i < ticker.training_periods ? { class: "faded" } : {});
    let from = base;
    KINDS(p.length).map((kind, k) => [kind, p[k]]).reverse().forEach(([kind, fraction]) => {
      const height = fraction * PROBS;
      group.append(svg("rect", { class: kind, x: (x(i) - bar / 2).toFixed(2), y: (from - height).toFixed(2), width: bar.toFixed(2), height: height.toFixed(2) }));
      from -= height;
    });
    probabilities.append(group);
  }
  const classes = ticker.p.find(Boolean)?.length ?? 3;
  for (let k = 1; k < classes; k++) {
    const at = base - (k / classes) * PROBS;
    probabilities.append(svg("line", { class: "third", x1: LEFT, x2: LEFT + plot, y1: at, y2: at }));
  }
  for (const fraction of [0, 0.5, 1]) probabilities.append(svg("text", { x: LEFT + plot + 6, y: base - fraction * PROBS + 4 }, `${100 * fraction} %`));
  probabilities.append(svg("text", { x: LEFT, y: base - PROBS - 6, class: "strong" }, "Probabilities of the next period"));
  root.append(probabilities);

  const marks = svg("g", { id: "marks" });
  const size = Math.max(1.2, Math.min(4, step * 0.36)), row = base + MARKS / 2 + 4;
  for (let i = Math.max(first, ticker.training_periods); i < ticker.dates.length; i++) {
    const result = resultOf(ticker, i);
    if (result === null) continue;
    if (result === "pending") marks.append(svg("circle", { class: "pending", cx: x(i), cy: row, r: 1.2 }));
    else if (step >= 4) marks.append(svg("circle", { class: result, cx: x(i), cy: row + (result === "right" ? -4 : 4), r: size }));
    else marks.append(svg("line", { class: result === "right" ? "ci model" : "wrong", "stroke-width": Math.max(1, step * 0.6), x1: x(i), x2: x(i), y1: row, y2: row + (result === "right" ? -8 : 8) }));
  }
  marks.append(svg("text", { x: LEFT + plot + 6, y: row }, "right"), svg("text", { x: LEFT + plot + 6, y: row + 12 }, "wrong"));
  root.append(marks);

  const axis = svg("g", {});
  let last = -Infinity;
  for (let i = first; i < ticker.dates.length; i++) {
    const label = axisLabel(ticker.dates, i, n);
    if (!label || x(i) - last < 58 || x(i) > LEFT + plot - 20) continue;
    axis.append(svg("line", { class: "grid", x1: x(i), x2: x(i), y1: bottom, y2: bottom + 5 }));
    axis.append(svg("text", { x: x(i), y: bottom + 18, "text-anchor": x(i) < 30 ? "start" : "middle" }, label));
    last = x(i);
  }
  root.append(axis);

  const cursor = svg("line", { class: "cursor", y1: TOP, y2: bottom });
  root.append(cursor);
  return {
    root,
    point: (i) => { cursor.setAttribute("x1", x(i)); cursor.setAttribute("x2", x(i)); },
    at: (pixel) => Math.max(first, Math.min(ticker.dates.length - 1, first + Math.floor((pixel - LEFT) / step))),
  };
}

/** Return `right`, `wrong`, `pending`, or null for a period without a prediction or with an uncounted outcome. */
export function resultOf(ticker, i) {
  const p = ticker.p[i], outcome = ticker.outcome[i];
  if (!p) return null;
  if (outcome === null) return "pending";
  if (outcome < 0) return null;
  return p.indexOf(Math.max(...p)) === outcome ? "right" : "wrong";
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function axisLabel(dates, i, n) {
  if (i === 0) return null;
  const [year, month] = dates[i].split("-"), before = dates[i - 1].split("-");
  if (year !== before[0]) return year;
  if (n > 170 || month === before[1]) return null;
  return n > 70 ? ((Number(month) - 1) % 3 ? null : MONTHS[month - 1]) : MONTHS[month - 1];
}

/** Draw fractions with their 95 % intervals in rows: `[{label, value, low, high, kind}]`. */
export function intervalChart(rows, width) {
  const height = 42, left = 2, right = 14, wide = width - left - right;
  const ends = rows.flatMap((row) => [row.value, row.low, row.high]).filter((end) => end !== null && end !== undefined);
  const low = Math.min(...ends) - 0.02, high = Math.max(...ends) + 0.02;
  const x = (fraction) => left + ((fraction - low) / (high - low)) * wide;
  const total = rows.length * height + 26;
  const root = svg("svg", { width, height: total, viewBox: `0 0 ${width} ${total}`, role: "img" });
  root.append(svg("title", {}, rows.map((row) => `${row.label}: ${row.text}`).join("; ")));
  for (const fraction of ticks(low, high, 5)) {
    root.append(svg("line", { class: "grid", x1: x(fraction), x2: x(fraction), y1: 2, y2: total - 20 }));
    root.append(svg("text", { x: x(fraction), y: total - 5, "text-anchor": "middle" }, `${Math.round(100 * fraction)} %`));
  }
  rows.forEach((row, i) => {
    const y = i * height + 30;
    root.append(svg("text", { x: left, y: y - 13, class: row.kind === "model" ? "strong halo" : "halo" }, `${row.label}: ${row.text}`));
    if (row.low !== null && row.low !== undefined) root.append(svg("line", { class: `ci ${row.kind}`, x1: x(row.low), x2: x(row.high), y1: y, y2: y }));
    root.append(svg("circle", { class: `dot ${row.kind}`, cx: x(row.value), cy: y, r: 4 }));
  });
  return root;
}

/** A calibration curve with intervals: bins of `{confidence, accuracy, low, high, examples}`. */
export function calibration(bins, width) {
  const size = Math.min(width, 400), left = 36, bottom = 34, top = 8;
  const plot = size - left - 8, tall = Math.min(plot, 250);
  const low = Math.max(0, Math.min(...bins.map((bin) => Math.min(bin.confidence, bin.low))) - 0.03);
  const high = Math.min(1, Math.max(...bins.map((bin) => Math.max(bin.confidence, bin.high))) + 0.03);
  const x = (fraction) => left + ((fraction - low) / (high - low)) * plot;
  const y = (fraction) => top + tall - ((fraction - low) / (high - low)) * tall;
  const height = top + tall + bottom;
  const root = svg("svg", { width: size, height, viewBox: `0 0 ${size} ${height}`, role: "img" });
  root.append(svg("title", {}, bins.map((bin) => `predicted ${percent(bin.confidence)}, correct ${percent(bin.accuracy)} of ${bin.examples}`).join("; ")));
  for (const fraction of ticks(low, high, 5)) {
    root.append(svg("line", { class: "grid", x1: left, x2: left + plot, y1: y(fraction), y2: y(fraction) }));
    root.append(svg("text", { x: left - 6, y: y(fraction) + 4, "text-anchor": "end" }, `${Math.round(100 * fraction)} %`));
    root.append(svg("text", { x: x(fraction), y: height - 18, "text-anchor": "middle" }, `${Math.round(100 * fraction)} %`));
  }
  root.append(svg("text", { x: left + plot, y: height - 3, "text-anchor": "end" }, "predicted probability"));
  root.append(svg("text", { x: left + 5, y: top + 9 }, "fraction correct"));
  root.append(svg("line", { class: "diagonal", x1: x(low), x2: x(high), y1: y(low), y2: y(high) }));
  const largest = Math.max(...bins.map((bin) => bin.examples));
  for (const bin of bins) {
    root.append(svg("line", { class: "ci model", x1: x(bin.confidence), x2: x(bin.confidence), y1: y(bin.low), y2: y(bin.high) }));
    root.append(svg("circle", { class: "dot model", cx: x(bin.confidence), cy: y(bin.accuracy), r: (2 + 4 * Math.sqrt(bin.examples / largest)).toFixed(1) }));
  }
  return root;
}

/** Format a fraction as `42.9 %`. */
export function percent(fraction, digits = 1) {
  return `${(100 * fraction).toFixed(digits)} %`.replace("-", "\u2212");
}

/** Draw a fraction as a bar; `kind` is its CSS class. */
export function fractionBar(fraction, kind) {
  const root = svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
  root.append(svg("rect", { class: "training", x: 0, y: 0, width: 100, height: 8 }), svg("rect", { class: kind, x: 0, y: 0, width: 100 * fraction, height: 8 }));
  return root;
}

export const kindOf = (index, count) => KINDS(count)[index];
