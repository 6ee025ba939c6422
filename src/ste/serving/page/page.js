// The page of the service: fetches what it shows from the service itself and from nowhere else.

import { calibration, kindOf, outcome, pastChart, percent, rates, shareBar } from "./chart.js";

const $ = (id) => document.getElementById(id);
const state = { summary: null, tickers: [], ticker: null, chart: null, at: 0, first: 0 };

/** An element with text or children. */
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

/** JSON of the service; an error says what the service said. */
async function get(path) {
  const answer = await fetch(path, { headers: headers() });
  if (answer.status === 401) $("key").hidden = false;
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.detail || `${path}: ${answer.status}`);
  return content;
}

function alarm(error) {
  $("alert").textContent = error.message || String(error);
  $("alert").hidden = false;
}

const count = (n, unit) => `${n.toLocaleString("en")} ${unit}${n === 1 ? "" : "s"}`;
const interval = (figure) => (figure.low === null || figure.low === undefined ? "" : ` [${(100 * figure.low).toFixed(1)}, ${(100 * figure.high).toFixed(1)}]`);
const day = (iso) => new Date(`${iso}T00:00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

// ---- the model, its record, its drift

function showSummary() {
  const { model, tested, record, drift, history, notes } = state.summary;
  document.title = `${model.name} \u00b7 STE`;
  $("title").textContent = `${model.name}: which way will it go?`;
  $("subtitle").textContent = `trained on ${day(model.trained_from)} to ${day(model.trained_to)}, ${model.frequency}, version ${model.version}`;
  $("verdict-word").textContent = model.verdict.word;
  $("verdict-word").className = model.verdict.word === "better" ? "better" : "";
  const sentences = model.verdict.paragraph.match(/.+?[.!?](?=\s+[A-Z]|$)/g) || [model.verdict.paragraph];
  $("verdict").textContent = sentences.slice(0, 3).join(" ");
  $("verdict-rest").textContent = sentences.slice(3).join(" ");
  $("verdict-details").hidden = sentences.length < 4;
  $("chip").textContent = `verdict: ${model.verdict.word}`;
  $("chip").className = `chip ${model.verdict.word === "better" ? "better" : ""}`;
  $("chip").hidden = false;
  $("legend-flat").hidden = model.classes.length === 2;
  showRates(model, tested, record);
  showCalibration(tested, record);
  showDrift(drift);
  const facts = {
    "Classes": `${model.classes.join(", ")}: ${model.cut}`,
    "Reads": model.view === "flat" ? `${model.features} features of one ${model.unit}` : `${model.features} features of ${count(model.sequence_length, model.unit)}`,
    "Data": `${model.data_source}, ${model.trained_from} to ${model.trained_to}`,
    "Run": model.run_id,
    ...(model.made_of ? { "Made of": model.made_of } : {}),
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
  $("notes").replaceChildren(...notes.map((note) => make("li", note)));
  const waits = { working: "The past weeks are being computed. They appear here by themselves.", failed: history.message, none: "" }[history.state];
  $("waiting").textContent = waits || "";
  $("waiting").hidden = !waits;
}

function showRates(model, tested, record) {
  const rows = [];
  if (record) rows.push({ label: `since training, ${count(record.examples, "prediction")}`, ...record.accuracy, text: percent(record.accuracy.value) + interval(record.accuracy), kind: "model" });
  if (tested) {
    const then = record?.compared.find((one) => one.name === "accuracy")?.then || tested.accuracy; // whose interval covers other times
    rows.push({ label: `in the ${tested.split}, ${count(tested.examples, "prediction")}`, ...then, text: percent(then.value) + interval(then), kind: record ? "" : "model" });
  }
  const beside = record && Object.keys(record.company).length ? record.company : tested ? tested.company : {};
  for (const [name, figure] of Object.entries(beside)) rows.push({ label: name === "bayes" ? "the limit" : name, ...figure, text: percent(figure.value) + interval(figure), kind: "dim" });
  rows.push({ label: "guessing", value: 1 / model.classes.length, text: percent(1 / model.classes.length), kind: "dim" });
  $("rates").replaceChildren(rates(rows, $("rates").clientWidth));
  $("record-told").textContent = record ? record.told : tested ? `Figures of ${count(tested.periods, model.unit)} of the ${tested.split}. Nothing has come since: give the service bars= and it will be counted.` : "";
}

function showCalibration(tested, record) {
  const source = record || tested;
  const bins = source ? source.calibration : [];
  if (!bins.length) {
    $("calibration").textContent = "Not known.";
    return;
  }
  $("calibration").replaceChildren(calibration(bins, $("calibration").clientWidth));
  $("calibration-note").textContent = `${record ? "Since training" : `In the ${tested.split}`}, ${count(source.examples, "prediction")}: on the dashed line it is as right as it says. A larger dot is more predictions; intervals are 95 %, and allow for tickers that move together.`;
}

function showDrift(drift) {
  $("drift-section").hidden = !drift;
  if (!drift) return;
  $("drift-word").textContent = drift.word;
  $("drift-word").className = drift.word === "nothing has changed" ? "" : "bad";
  $("drift-told").textContent = `${drift.paragraph} Looked at: ${drift.of}.`;
  const rows = drift.moved.map((one) => [one.kind === "probability" ? `P(${one.name})` : one.name, one.watched, one.psi.toFixed(3), one.p < 0.001 ? "< 0.001" : one.p.toFixed(3), percent(one.outside, 0), one.level]);
  $("drift").replaceChildren(table(["what", "watched as", "PSI", "p by chance", "beyond training", ""], rows, [2, 3, 4]));
}

function table(head, rows, numbers = [], classes = []) {
  const cell = (name, text, k) => make(name, text, numbers.includes(k) ? "n" : "");
  const top = make("thead", make("tr", head.map((text, k) => { const th = cell("th", text, k); th.scope = "col"; return th; })));
  const body = make("tbody", rows.map((row, i) => make("tr", row.map((text, k) => cell(k ? "td" : "th", text, k)), classes[i] || "")));
  return make("table", [top, body]);
}

// ---- a ticker's past

async function chooseTicker(name) {
  if (!state.tickers.some((one) => one.ticker === name)) return;
  $("ticker").value = name;
  state.ticker = await get(`/v1/page/ticker/${encodeURIComponent(name)}`);
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  state.at = lastSaid(state.ticker);
  showTicker();
}

function lastSaid(ticker) {
  for (let i = ticker.p.length - 1; i >= 0; i--) if (ticker.p[i]) return i;
  return ticker.p.length - 1;
}

function showTicker() {
  const { ticker, summary } = state, { model } = summary;
  $("past").hidden = false;
  $("ticker-name").textContent = ticker.ticker;
  const i = lastSaid(ticker), p = ticker.p[i];
  $("newest-when").textContent = p ? `For the ${model.unit} after ${day(ticker.dates[i])}, when it closed at ${ticker.close[i].toFixed(2)}` : "Too few bars for a prediction";
  const above = p ? Math.max(...p) - 1 / p.length : 1;
  $("newest-even").textContent = above < 0.05 ? `The likeliest is ${(100 * above).toFixed(1)} points above guessing: hardly told apart.` : "";
  const order = model.classes.map((name, k) => [name, k]).reverse();
  $("newest").replaceChildren(...(p ? order.map(([name, k]) => make("li", [make("span", name), shareBar(p[k], kindOf(k, p.length)), make("span", percent(p[k]), "n")], p[k] === Math.max(...p) ? "most" : "")) : []));
  showChart();
  const record = ticker.record;
  if (record) {
    const usual = record.usual ? ` Saying ${record.usual.class} every time would have been right in ${record.usual.right}.` : "";
    $("ticker-record").textContent = `Since training ${count(record.examples, `${model.unit}`)} of ${ticker.ticker} have come: right in ${record.right}, ${percent(record.share.value)}${interval(record.share)}.${usual} One ticker alone says little: see all of them below.`;
  } else {
    $("ticker-record").textContent = `Nothing of ${ticker.ticker} has come since training, so there is no record of it.`;
  }
  if ($("table-details").open) showTable();
}

function showChart() {
  const { ticker } = state;
  const shown = Number(new FormData($("choose")).get("range")) * (state.summary.model.frequency === "daily" ? 5 : 1);
  state.first = shown ? Math.max(0, ticker.dates.length - shown) : 0;
  state.chart = pastChart(ticker, state.first, $("chart").clientWidth);
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
  const parts = [`${model.frequency === "weekly" ? "Week to " : ""}${day(ticker.dates[i])}: close ${ticker.close[i].toFixed(2)} (${change >= 0 ? "+" : ""}${percent(change)}). `];
  if (p) {
    const best = p.indexOf(Math.max(...p));
    parts.push(`The model said ${model.classes.map((name, k) => `${name} ${percent(p[k])}`).reverse().join(", ")}. `);
    const judged = outcome(ticker, i), came = ticker.came[i];
    if (judged === "waits") parts.push("What came is not known yet.");
    else {
      parts.push(`Then came ${came < 0 ? "a small move" : model.classes[came]} (${ticker.return[i] >= 0 ? "+" : ""}${percent(ticker.return[i])}): `);
      if (i < ticker.seen) parts.push("learnt from, not counted.");
      else if (judged) parts.push(make("span", judged === "right" ? "right" : `wrong, it said ${model.classes[best]}`, `tag is-${judged}`), ".");
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
    const p = ticker.p[i], judged = outcome(ticker, i), came = ticker.came[i];
    rows.push([ticker.dates[i], ticker.close[i].toFixed(2), ...(p ? p.map((share) => percent(share)) : classes.map(() => "")), ticker.return[i] === null ? "" : percent(ticker.return[i]), came === null || came < 0 ? "" : classes[came], i < ticker.seen ? "learnt from" : judged === "waits" ? "waits" : judged || ""]);
    kinds.push(i < ticker.seen ? "learnt" : "");
  }
  $("table").replaceChildren(table(["to", "close", ...classes.map((name) => `P(${name})`), "then", "came", "the model was"], rows, [1, ...classes.map((_, k) => k + 2), classes.length + 2], kinds));
}

async function showTickers() {
  const listed = await get("/v1/page/tickers");
  state.tickers = listed.tickers;
  if (!state.tickers.length) return;
  $("ticker").replaceChildren(...state.tickers.map((one) => make("option", one.ticker)));
  const asked = decodeURIComponent(location.hash.slice(1));
  const first = state.tickers.find((one) => one.ticker === asked) || state.tickers.find((one) => one.newest) || state.tickers[0];
  await chooseTicker(first.ticker);
}

// ---- own bars

/** Bars of a CSV as the service takes them; numbers as numbers, other columns left out. */
function readBars(text) {
  const lines = text.trim().split(/\r?\n/).filter((line) => line.trim());
  const names = (lines.shift() || "").split(",").map((name) => name.trim().replace(/^"|"$/g, "").toLowerCase());
  const needed = ["ticker", "date", "open", "high", "low", "close", "volume"];
  const missing = needed.filter((name) => !names.includes(name));
  if (missing.length) throw new Error(`The first line must name the columns; it does not name ${missing.join(", ")}.`);
  const kept = [...needed, ...(names.includes("adj_close") ? ["adj_close"] : [])].map((name) => [name, names.indexOf(name)]);
  return lines.map((line, i) => {
    const cells = line.split(",").map((cell) => cell.trim().replace(/^"|"$/g, ""));
    return Object.fromEntries(kept.map(([name, k]) => {
      if (name === "ticker" || name === "date") return [name, cells[k] || ""];
      const value = Number(cells[k]);
      if (cells[k] === undefined || cells[k] === "" || !Number.isFinite(value)) throw new Error(`Line ${i + 2}: ${name} is "${cells[k] ?? ""}", expected a number.`);
      return [name, value];
    }));
  });
}

async function predictOwn(event) {
  event.preventDefault();
  const place = $("own-answer");
  place.replaceChildren(make("p", "Predicting \u2026", "muted"));
  $("own-send").disabled = true;
  try {
    const bars = readBars($("own-bars").value);
    const answer = await fetch("/v1/predict/bars", { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify({ bars }) });
    const content = await answer.json().catch(() => ({}));
    if (answer.status === 401) $("key").hidden = false;
    if (!answer.ok) throw new Error([content.detail || `The service answered ${answer.status}.`, ...(content.errors || []).slice(0, 3).map((one) => `${one.pointer}: ${one.detail}`)].join(" "));
    const classes = state.summary.model.classes;
    const rows = content.predictions.map((one) => [one.ticker, one.date, one.class, ...classes.map((name) => percent(one.probabilities[name]))]);
    const notes = [...(content.without || []).map((name) => `${name}: too few bars`), ...(content.notes || [])];
    place.replaceChildren(make("div", table(["ticker", "after", "class", ...classes.map((name) => `P(${name})`)], rows, classes.map((_, k) => k + 3)), "scroll"), make("ul", notes.map((note) => make("li", note)), "notes"));
  } catch (error) {
    place.replaceChildren(make("p", error.message, "alert"));
  } finally {
    $("own-send").disabled = false;
  }
}

// ---- what a person does

function turn(by) {
  const names = state.tickers.map((one) => one.ticker);
  const at = names.indexOf(state.ticker?.ticker);
  if (at >= 0) chooseTicker(names[(at + by + names.length) % names.length]).catch(alarm);
}

$("ticker").addEventListener("change", (event) => chooseTicker(event.target.value).catch(alarm));
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
addEventListener("hashchange", () => chooseTicker(decodeURIComponent(location.hash.slice(1))).catch(alarm)); // others are headings
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  if (state.ticker) showChart();
  if (state.summary) { showRates(state.summary.model, state.summary.tested, state.summary.record); showCalibration(state.summary.tested, state.summary.record); }
});

async function start() {
  state.summary = await get("/v1/page/summary");
  showSummary();
  if (state.summary.history.state === "ready") await showTickers();
  if (state.summary.history.state === "working") setTimeout(() => start().catch(alarm), 1000);
}

start().catch(alarm);
