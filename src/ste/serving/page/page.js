// The dashboard. It fetches its data from the service and makes no other network request.

import { calibration, fractionBar, historyChart, intervalChart, kindOf, percent, resultOf } from "./chart.js";

const $ = (id) => document.getElementById(id);
const state = { summary: null, tickers: [], ticker: null, chart: null, at: 0, first: 0, requests: 0 };
const POLL = 1000; // milliseconds between two looks at a history that is being computed

/** Create an element with text or children. */
function make(name, content = "", className = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...(Array.isArray(content) ? content : [content]));
  return element;
}

function headers(more = {}) {
  const key = sessionStorage.getItem("key");
  return key ? { ...more, authorization: `Bearer ${key}` } : more;
}

/** Fetch JSON from the service; throw an error with its message. */
async function get(path) {
  const response = await fetch(path, { headers: headers() });
  if (response.status === 401) $("key").hidden = false;
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.detail || `${path}: ${response.status}`);
  return content;
}

function showError(error) {
  $("alert").textContent = error.message || String(error);
  $("alert").hidden = false;
}

const count = (n, unit) => `${n.toLocaleString("en")} ${unit}${n === 1 ? "" : "s"}`;
const interval = (figure) => (figure.low === null || figure.low === undefined ? "" : ` [${(100 * figure.low).toFixed(1)}, ${(100 * figure.high).toFixed(1)}]`);
const day = (iso) => new Date(`${iso}T00:00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

// ---- model, track record and drift

function showSummary() {
  const { model, tested, record, drift, history, notes } = state.summary;
  $("loaded").hidden = false; // charts measure their width
  $("warning").textContent = model.warning;
  $("warning").hidden = !model.warning;
  document.title = `${model.name} \u00b7 STE`;
  $("title").textContent = `${model.name}: predicted trends`;
  $("subtitle").textContent = `trained on ${day(model.trained_from)} to ${day(model.trained_to)}, ${model.frequency}, version ${model.version}`;
  $("verdict-word").textContent = model.verdict.word;
  $("verdict-word").className = model.verdict.word === "better" ? "better" : "";
  $("verdict-headline").textContent = model.verdict.headline;
  $("verdict-points").replaceChildren(...model.verdict.points.map((text) => make("li", text)));
  $("verdict-rest").replaceChildren(...model.verdict.details.map((text) => make("li", text)));
  $("verdict-details").hidden = !model.verdict.details.length;
  $("chip").textContent = `verdict: ${model.verdict.word}`;
  $("chip").className = `chip ${model.verdict.word === "better" ? "better" : ""}`;
  $("chip").hidden = false;
  $("legend-flat").hidden = model.classes.length % 2 === 0;
  for (const name of ["surge", "plunge"]) $(`legend-${name}`).hidden = model.classes.length < 4;
  showStatus(history);
  showRates(model, tested, record, history);
  showCalibration(tested, record);
  showDrift(drift);
  const facts = {
    "Classes": `${model.classes.join(", ")}: ${model.thresholds}`,
    "Inputs": model.view === "flat" ? `${model.features} features of one ${model.unit}` : `${model.features} features of ${count(model.sequence_length, model.unit)}`,
    "Data": `${model.synthetic ? "a synthetic market" : "your data"} (data=${model.data_source}), ${model.trained_from} to ${model.trained_to}`,
    ...(model.tickers ? { "Tickers": `${model.tickers.length}: ${model.tickers.slice(0, 12).join(", ")}${model.tickers.length > 12 ? ", \u2026" : ""}` } : {}),
    "Calendar": model.calendar,
    ...(model.adjustment ? { "Training bars": model.adjustment } : {}),
    "Run": model.run_id,
    ...(model.made_of ? { "Ensemble of": model.made_of } : {}),
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
  $("notes").replaceChildren(...notes.map((note) => make("li", note)));
}

function showStatus(history) {
  if (history.state !== "ready") $("history").hidden = true;
  const text = {
    none: "The service was started without bars, so there are no past predictions. Start it with bars=FILE to see them.",
    computing: "The past predictions of the given bars are being computed. They appear here when they are ready.",
    failed: `There are no past predictions: ${history.message}`,
    ready: "",
  }[history.state];
  $("status").textContent = text;
  $("status").className = `status ${{ none: "muted", computing: "busy", failed: "alert" }[history.state] || ""}`;
  $("status").hidden = !text;
}

function noRecord(model, history) {
  return {
    none: "There are no later outcomes: the service was started without bars.",
    computing: "Later outcomes are being computed.",
    failed: "There are no later outcomes, see above.",
    ready: `The given bars have no outcomes after the training, which ended on ${day(model.trained_to)}.`,
  }[history.state];
}

function showRates(model, tested, record, history) {
  const rows = [];
  if (record) rows.push({ label: `out of sample, ${count(record.examples, "prediction")}`, ...record.accuracy, text: percent(record.accuracy.value) + interval(record.accuracy), kind: "model" });
  if (tested) {
    const then = record?.comparisons.find((one) => one.name === "accuracy")?.then || tested.accuracy; // its interval also covers that later weeks differ
    rows.push({ label: `in the ${tested.split}, ${count(tested.examples, "prediction")}`, ...then, text: percent(then.value) + interval(then), kind: record ? "" : "model" });
  }
  const baselines = record && Object.keys(record.baselines).length ? record.baselines : tested ? tested.baselines : {};
  for (const [name, figure] of Object.entries(baselines)) rows.push({ label: name === "bayes" ? "Bayes-optimal" : name, ...figure, text: percent(figure.value) + interval(figure), kind: "dim" });
  rows.push({ label: "guessing", value: 1 / model.classes.length, text: percent(1 / model.classes.length), kind: "dim" });
  $("rates").replaceChildren(intervalChart(rows, $("rates").clientWidth));
  const measured = tested ? `Metrics of ${count(tested.periods, model.unit)} of the ${tested.split}. ` : "";
  $("record-summary").textContent = record ? record.summary : measured + noRecord(model, history);
}

function showCalibration(tested, record) {
  const source = record || tested;
  const bins = source ? source.calibration : [];
  if (!bins.length) {
    $("calibration").textContent = "Unknown.";
    return;
  }
  $("calibration").replaceChildren(calibration(bins, $("calibration").clientWidth));
  $("calibration-note").textContent = `${record ? "Out of sample" : `In the ${tested.split}`}, ${count(source.examples, "prediction")}: points on the dashed line are perfectly calibrated. Larger points have more predictions; the 95 % intervals account for dependent tickers.`;
}

function showDrift(drift) {
  $("drift-section").hidden = !drift;
  if (!drift) return;
  $("drift-action").textContent = drift.action;
  $("drift-action").className = drift.action === "no change" ? "" : "bad";
  $("drift-summary").textContent = `${drift.reason} Source: ${drift.source}.`;
  const rows = drift.columns.map((one) => [one.kind === "probability" ? `P(${one.name})` : one.name, one.watched_as, one.psi.toFixed(3), one.p < 0.001 ? "< 0.001" : one.p.toFixed(3), percent(one.outside, 0), one.level]);
  $("drift").replaceChildren(table(["column", "watched as", "PSI", "p by chance", "outside training", ""], rows, [2, 3, 4]));
}

function table(head, rows, numbers = [], classes = []) {
  const cell = (name, text, k) => make(name, text, numbers.includes(k) ? "n" : "");
  const top = make("thead", make("tr", head.map((text, k) => { const th = cell("th", text, k); th.scope = "col"; return th; })));
  const body = make("tbody", rows.map((row, i) => make("tr", row.map((text, k) => cell(k ? "td" : "th", text, k)), classes[i] || "")));
  return make("table", [top, body]);
}

// ---- history of a ticker

async function chooseTicker(name) {
  if (!state.tickers.some((one) => one.ticker === name)) return;
  $("ticker").value = name;
  const request = ++state.requests;
  const ticker = await get(`/v1/page/ticker/${encodeURIComponent(name)}`);
  if (request !== state.requests) return; // another one was chosen meanwhile
  state.ticker = ticker;
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  state.at = lastPrediction(state.ticker);
  showTicker();
}

function lastPrediction(ticker) {
  for (let i = ticker.p.length - 1; i >= 0; i--) if (ticker.p[i]) return i;
  return ticker.p.length - 1;
}

function showTicker() {
  const { ticker, summary } = state, { model } = summary;
  $("history").hidden = false;
  $("ticker-name").textContent = ticker.ticker;
  $("legend-training").hidden = !ticker.training_periods;
  const i = lastPrediction(ticker), p = ticker.p[i];
  $("newest-when").textContent = p ? `For the ${model.unit} after ${day(ticker.dates[i])}, close ${ticker.close[i].toFixed(2)}` : "Too few bars for a prediction";
  const above = p ? Math.max(...p) - 1 / p.length : 1;
  $("newest-even").textContent = above < 0.05 ? `The highest probability is only ${(100 * above).toFixed(1)} points above guessing.` : "";
  const order = model.classes.map((name, k) => [name, k]).reverse();
  $("newest").replaceChildren(...(p ? order.map(([name, k]) => make("li", [make("span", name), fractionBar(p[k], kindOf(k, p.length)), make("span", percent(p[k]), "n")], p[k] === Math.max(...p) ? "top" : "")) : []));
  showChart();
  const record = ticker.record;
  if (record) {
    const majority = record.majority ? ` Always predicting ${record.majority.class} would have been correct in ${record.majority.correct}.` : "";
    $("ticker-record").textContent = `Out of sample, ${record.correct} of ${count(record.examples, "prediction")} for ${ticker.ticker} were correct: ${percent(record.accuracy.value)}${interval(record.accuracy)}.${majority} One ticker alone is little evidence: see all of them below.`;
  } else {
    $("ticker-record").textContent = `There are no out-of-sample outcomes of ${ticker.ticker}.`;
  }
  if ($("table-details").open) showTable();
}

function showChart() {
  const { ticker } = state;
  const periods = Number(new FormData($("choose")).get("range")) * state.summary.model.per_year;
  state.first = periods ? Math.max(0, ticker.dates.length - periods) : 0;
  state.chart = historyChart(ticker, state.first, $("chart").clientWidth);
  $("chart").replaceChildren(state.chart.root);
  Object.assign($("week"), { min: state.first, max: ticker.dates.length - 1 });
  point(Math.max(state.at, state.first));
}

function point(i) {
  const { ticker, chart } = state, { model } = state.summary;
  state.at = i;
  chart.point(i);
  $("week").value = i;
  const p = ticker.p[i], change = i ? ticker.close[i] / ticker.close[i - 1] - 1 : 0;
  const parts = [`${{ weekly: "Week to ", monthly: "Month to " }[model.frequency] || ""}${day(ticker.dates[i])}: close ${ticker.close[i].toFixed(2)} (${change >= 0 ? "+" : ""}${percent(change)}). `];
  if (p) {
    const best = p.indexOf(Math.max(...p));
    parts.push(`Predicted: ${model.classes.map((name, k) => `${name} ${percent(p[k])}`).reverse().join(", ")}. `);
    const result = resultOf(ticker, i), outcome = ticker.outcome[i];
    if (result === "pending") parts.push("The outcome is not known yet.");
    else {
      parts.push(`Outcome: ${outcome < 0 ? "a small move" : model.classes[outcome]} (${ticker.return[i] >= 0 ? "+" : ""}${percent(ticker.return[i])}): `);
      if (i < ticker.training_periods) parts.push("training data, not counted.");
      else if (result) parts.push(make("span", result === "right" ? "right" : `wrong, predicted ${model.classes[best]}`, `tag is-${result}`), ".");
      else parts.push("not counted.");
    }
  } else parts.push("No prediction: too few periods before it.");
  $("readout").replaceChildren(...parts);
  $("week").setAttribute("aria-valuetext", $("readout").textContent);
}

function showTable() {
  const { ticker, first } = state, { classes } = state.summary.model;
  const rows = [], kinds = [];
  for (let i = ticker.dates.length - 1; i >= first; i--) {
    const p = ticker.p[i], result = resultOf(ticker, i), outcome = ticker.outcome[i];
    rows.push([ticker.dates[i], ticker.close[i].toFixed(2), ...(p ? p.map((share) => percent(share)) : classes.map(() => "")), ticker.return[i] === null ? "" : percent(ticker.return[i]), outcome === null || outcome < 0 ? "" : classes[outcome], i < ticker.training_periods ? "training" : result || ""]);
    kinds.push(i < ticker.training_periods ? "training" : "");
  }
  $("table").replaceChildren(table(["to", "close", ...classes.map((name) => `P(${name})`), "return", "outcome", "result"], rows, [1, ...classes.map((_, k) => k + 2), classes.length + 2], kinds));
}

async function showTickers() {
  state.tickers = (await get("/v1/page/tickers")).tickers;
  if (!state.tickers.length) return;
  $("ticker").replaceChildren(...state.tickers.map((one) => make("option", one.ticker)));
  const requested = decodeURIComponent(location.hash.slice(1));
  const first = state.tickers.find((one) => one.ticker === requested) || state.tickers.find((one) => one.latest) || state.tickers[0];
  await chooseTicker(first.ticker);
}

// ---- predictions from the user's bars

/** Parse the bars of a CSV; other columns are ignored. */
function readBars(text) {
  const lines = text.trim().split(/\r?\n/).filter((line) => line.trim());
  const names = (lines.shift() || "").split(",").map((name) => name.trim().replace(/^"|"$/g, "").toLowerCase());
  const needed = ["ticker", "date", "open", "high", "low", "close", "volume"];
  const missing = needed.filter((name) => !names.includes(name));
  if (missing.length) throw new Error(`The first line must name all columns; missing: ${missing.join(", ")}.`);
  const columns = [...needed, ...(names.includes("adj_close") ? ["adj_close"] : [])].map((name) => [name, names.indexOf(name)]);
  return lines.map((line, i) => {
    const cells = line.split(",").map((cell) => cell.trim().replace(/^"|"$/g, ""));
    return Object.fromEntries(columns.map(([name, k]) => {
      if (name === "ticker" || name === "date") return [name, cells[k] || ""];
      const value = Number(cells[k]);
      if (cells[k] === undefined || cells[k] === "" || !Number.isFinite(value)) throw new Error(`Line ${i + 2}: ${name} is "${cells[k] ?? ""}", expected a number.`);
      return [name, value];
    }));
  });
}

async function predictOwn(event) {
  event.preventDefault();
  const result = $("own-result");
  result.replaceChildren(make("p", "Predicting \u2026", "muted"));
  $("own-send").disabled = true;
  try {
    const bars = readBars($("own-bars").value);
    const response = await fetch("/v1/predict/bars", { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify({ bars }) });
    const content = await response.json().catch(() => ({}));
    if (response.status === 401) $("key").hidden = false;
    if (!response.ok) throw new Error([content.detail || `The service responded with status ${response.status}.`, ...(content.errors || []).slice(0, 3).map((one) => `${one.pointer}: ${one.detail}`)].join(" "));
    const classes = state.summary.model.classes;
    const rows = content.predictions.map((one) => [one.ticker, one.date, one.class, ...classes.map((name) => percent(one.probabilities[name]))]);
    const notes = [...(content.without || []).map((name) => `${name}: too few bars`), ...(content.notes || [])];
    result.replaceChildren(make("div", table(["ticker", "after", "class", ...classes.map((name) => `P(${name})`)], rows, classes.map((_, k) => k + 3)), "scroll"), make("ul", notes.map((note) => make("li", note)), "notes"));
  } catch (error) {
    result.replaceChildren(make("p", error.message, "alert"));
  } finally {
    $("own-send").disabled = false;
  }
}

// ---- event handlers

function turn(by) {
  const names = state.tickers.map((one) => one.ticker);
  const at = names.indexOf(state.ticker?.ticker);
  if (at >= 0) chooseTicker(names[(at + by + names.length) % names.length]).catch(recover);
}

$("ticker").addEventListener("change", (event) => chooseTicker(event.target.value).catch(recover));
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
$("choose").addEventListener("submit", (event) => event.preventDefault());
for (const radio of document.querySelectorAll("[name=range]")) radio.addEventListener("change", () => { showChart(); if ($("table-details").open) showTable(); });
$("week").addEventListener("input", (event) => point(Number(event.target.value)));
const follow = (event) => state.chart && point(state.chart.at(event.clientX - $("chart").getBoundingClientRect().left));
$("chart").addEventListener("pointermove", follow);
$("chart").addEventListener("pointerdown", follow);
$("table-details").addEventListener("toggle", () => $("table-details").open && state.ticker && showTable());
$("own").addEventListener("submit", predictOwn);
$("own-file").addEventListener("change", async (event) => { if (event.target.files[0]) $("own-bars").value = await event.target.files[0].text(); });
$("key").addEventListener("submit", (event) => { event.preventDefault(); sessionStorage.setItem("key", $("key-value").value); location.reload(); });
addEventListener("hashchange", () => chooseTicker(decodeURIComponent(location.hash.slice(1))).catch(recover)); // other hashes are headings
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  if (state.ticker) showChart();
  if (state.summary) { showRates(state.summary.model, state.summary.tested, state.summary.record, state.summary.history); showCalibration(state.summary.tested, state.summary.record); }
});

/** Show the page, and look again while the history is being computed; nothing is drawn again unless it changed. */
async function refresh() {
  const summary = await get("/v1/page/summary");
  $("alert").hidden = true;
  if (summary.history.state !== state.summary?.history.state || summary.model.version !== state.summary.model.version) {
    state.summary = summary;
    showSummary();
    if (summary.history.state === "ready") await showTickers();
  }
  if (summary.history.state === "computing") setTimeout(poll, POLL);
}

/** After a failed request: the deployed model may have been replaced, and its history be computed again. */
async function recover(error) {
  const before = state.summary;
  await refresh().catch(() => {});
  if (state.summary === before) showError(error);
}

function poll() {
  refresh().catch((error) => {
    showError(error);
    if (state.summary) setTimeout(poll, POLL); // the service may come back
    else $("status").hidden = true;
  });
}

poll();
