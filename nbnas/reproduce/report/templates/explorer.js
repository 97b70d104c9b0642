"use strict";
const DATA = JSON.parse(document.getElementById("explorer-data").textContent);
const OWN = "your scores";
const unpacked = {};  // place in DATA.packed -> lines
const ticked = new Map();  // name of a term -> weight
let plotted = "combination";  // name of the row that the plot shows
let [shown, points, turns] = [null, null, 0];  // what evaluate() returned last, and the plot; calls of show()

const element = id => document.getElementById(id);
const count = new Intl.NumberFormat("en").format;
const range = values => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
const benchmark = () => DATA.benchmarks.find(each =>
  each.space === element("space").value && each.dataset === element("dataset").value);

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --------------------------------------------------------------------- numbers, as nbnas.rankings computes them
/** Ascending ranks; equal values share their average rank. */
function averageRanks(values) {
  const sorted = Float64Array.from(values).sort(), ranks = new Map();
  for (let start = 0, end; start < sorted.length; start = end) {
    for (end = start + 1; sorted[end] === sorted[start];) end++;
    ranks.set(sorted[start], (start + end + 1) / 2);
  }
  return Float64Array.from(values, value => ranks.get(value));
}

/** Ranks by the first of several columns, equal ones by the next. */
const lexicographicRanks = columns => columns.map(averageRanks).reduce((first, second) =>
  averageRanks(first.map((rank, i) => 2 * rank * (first.length + 1) + second[i])));

/** Positions of ranks, the smallest first. */
const orderOf = ranks => Float64Array.from(ranks, (rank, i) => rank * 2 ** 21 + i).sort().map(key => key % 2 ** 20);

/** Failed scores (NaN) become the smallest of the others, infinities the smallest or the largest. */
function worstForMissing(values) {
  const [low, high] = range(values.filter(Number.isFinite));
  return values.map(value => Number.isNaN(value) ? low : Math.min(Math.max(value, low), high));
}

const bits = new BigInt64Array(1), float = new Float64Array(bits.buffer);

/** Logarithm of a rank; its last two bits are those of Python's, so that sums which are equal there are equal here. */
function logarithm(rank) {
  float[0] = Math.log(rank);
  const step = (Number(DATA.logarithms[2 * rank - 2]) - Number(bits[0] & 3n)) & 3;
  bits[0] += BigInt(step === 3 ? -1 : step);
  return float[0];
}

/** Number of pairs that stand in descending order, of whole numbers from 1 up to twice as many as there are. */
function inversions(values) {
  const tree = new Uint32Array(2 * values.length + 1);  // Fenwick's: it counts the values up to each.
  let found = 0;
  values.forEach((value, before) => {
    found += before;
    for (let at = value; at > 0; at -= at & -at) found -= tree[at];
    for (let at = value; at < tree.length; at += at & -at) tree[at]++;
  });
  return found;
}

/** Kendall's tau-b of two columns of ranks. */
function kendallTau(x, y) {
  const tied = sorted => {
    let pairs = 0;
    for (let i = 1, equal = 0; i < sorted.length; i++) pairs += equal = sorted[i] === sorted[i - 1] ? equal + 1 : 0;
    return pairs;
  };
  const byBoth = Float64Array.from(x, (rank, i) => rank * 2 ** 21 + 2 * y[i]).sort();
  const pairs = x.length * (x.length - 1) / 2, tiedX = tied(x.slice().sort()), tiedY = tied(y.slice().sort());
  const excess = pairs - tiedX - tiedY + tied(byBoth) - 2 * inversions(byBoth.map(key => key % 2 ** 20));
  return excess / Math.sqrt(pairs - tiedX) / Math.sqrt(pairs - tiedY);
}

/** Spearman's rho of two columns of ranks. */
function spearmanRho(x, y) {
  const mean = (x.length + 1) / 2;
  const product = (a, b) => a.reduce((sum, rank, i) => sum + (rank - mean) * (b[i] - mean), 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}

/** nDCG@k by ranks; equal ones share their mean gain. */
function ndcg(ranks, accuracy, k = 1000) {
  const gains = Float64Array.from(accuracy, value => 2 ** value - 1);
  const sums = new Float64Array(2 * ranks.length + 1), networks = sums.slice();  // of each group, at twice its rank
  ranks.forEach((rank, i) => { sums[2 * rank] += gains[i]; networks[2 * rank]++; });
  const discounted = list => list.slice(0, k).reduce((sum, gain, i) => sum + gain / Math.log2(i + 2), 0);
  const found = orderOf(ranks).reverse().map(i => sums[2 * ranks[i]] / networks[2 * ranks[i]]);
  return discounted(found) / discounted(gains.sort().reverse());
}

// ----------------------------------------------------------------------------------- stored scores, and one's own
async function unpack(place) {
  if (unpacked[place]) return unpacked[place];
  const bytes = Uint8Array.from(atob(DATA.packed[place]), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return unpacked[place] = (await new Response(stream).text()).split("\n");
}

/** The reader's scores of the networks of a benchmark, and a few words on what was read. */
function readOwn(text, archs) {
  const known = new Set(archs), scores = new Map(), unknown = [], bad = [];
  const field = /"([^"]*)"|[^,;\t]+|(?<=[,;\t])(?=[,;\t]|$)/g;
  let columns = [0, 1];
  for (const [number, line] of text.split(/\r?\n/).entries()) {
    const row = [...line.matchAll(field)].map(part => (part[1] ?? part[0]).trim());
    const [arch, score] = columns.map(column => row[column]), failed = /^(nan)?$/i.test(score);
    const value = failed ? NaN : Number(score?.replace(/^([+-]?)inf(inity)?$/i, "$1Infinity"));
    if (row.includes("arch")) columns = [row.indexOf("arch"), row.includes("score") ? row.indexOf("score") : 1];
    else if (!line.trim()) continue;
    else if (!known.has(arch)) unknown.push(arch);
    else if (Number.isNaN(value) && !failed) bad.push(`line ${number + 1}: ${score ?? "nothing"}`);
    else scores.set(arch, value);
  }
  const failed = [...scores.values()].filter(Number.isNaN).length, report = [
    `${count(scores.size)} of ${count(known.size)} networks have a score of yours.`,
    failed && `${count(failed)} of them failed and rank last.`,
    unknown.length && `Unknown networks: ${count(unknown.length)}; the first is ${unknown[0]}.`,
    bad.length && `Lines without a number, left out: ${count(bad.length)}; the first is ${bad[0]}.`,
  ];
  return { scores, report: text.trim() ? report.filter(Boolean).join(" ") : "" };
}

// ------------------------------------------------------------------------------------------ rankings and table
/** Rank the networks that have every chosen score: a row per term, and one of the combination. */
async function evaluate(chosen, archs, own) {
  const source = benchmark(), trained = await unpack(source.accuracy), columns = {};
  for (const key of chosen.flatMap(term => term.keys)) {
    columns[key] = key === OWN ? archs.map(arch => own.get(arch))
      : (await unpack(source.scores[key])).map(text => text === "" ? undefined : Number(text));
  }
  const networks = [...archs.keys()].filter(i => Object.values(columns).every(column => column[i] !== undefined));
  const rows = chosen.map(term => {
    const values = term.keys.map(key => worstForMissing(networks.map(i => columns[key][i])));
    const ranks = lexicographicRanks(values);
    return { ...term, ranks, scores: values.length === 1 ? values[0] : ranks };
  });
  if (rows.length > 1 || rows.some(row => row.weight !== 1)) {
    const sums = new Float64Array(networks.length);
    for (const row of rows) row.ranks.forEach((rank, i) => { sums[i] += row.weight * logarithm(rank); });
    rows.unshift({ name: "combination", ranks: averageRanks(sums), scores: sums });
  }
  const accuracy = networks.map(i => Number(trained[i])), order = averageRanks(accuracy);
  const measure = ranks => [kendallTau(ranks, order), spearmanRho(ranks, order), ndcg(ranks, accuracy)];
  for (const row of rows) row.measures = measure(row.ranks);
  return { rows, accuracy, order, columns, networks, archs };
}

function fillTable({ rows, networks }) {
  element("ranking").tBodies[0].replaceChildren(...rows.map(row => {
    const onchange = () => { plotted = row.name; plot(); };
    const radio = make("input", { type: "radio", name: "plotted", checked: row.name === plotted, onchange });
    const text = value => Number.isNaN(value) ? "–" : Number.isInteger(value) ? count(value) : value.toFixed(4);
    const cells = [...row.measures, networks.length].map(value =>
      make("td", { className: "number", title: value }, text(value)));
    return make("tr", {}, make("th", { scope: "row" }, make("label", {}, radio, ` ${row.name}`)), ...cells);
  }));
}

async function show() {
  const turn = ++turns, source = benchmark(), archs = await unpack(source.archs);
  const own = readOwn(element("own").value, archs);
  if (!own.scores.size) ticked.delete(OWN);
  const terms = DATA.terms.filter(({ name }) => name === OWN ? own.scores.size : source.terms.includes(name));
  const chosen = terms.filter(term => ticked.has(term.name)).map(term => ({ ...term, weight: ticked.get(term.name) }));
  const result = await evaluate(chosen, archs, own.scores);
  if (turn !== turns) return;  // A later choice overtook this one.
  shown = result;
  if (!shown.rows.some(row => row.name === plotted)) plotted = shown.rows[0]?.name;
  for (const item of element("terms").children) {
    const [box, weight] = item.querySelectorAll("input");
    item.hidden = !terms.some(term => term.name === box.value);
    box.checked = ticked.has(box.value);
    if (box.checked && weight !== document.activeElement) weight.value = ticked.get(box.value);
  }
  fillTable(shown);
  plot();
  const [some, all] = [shown.networks.length, archs.length].map(count);
  element("own-report").textContent = own.report;
  element("summary").textContent = !chosen.length ? "Tick a score, or take a published ranking."
    : some === all ? `All ${all} networks have every ticked score.`
    : `${some} of ${all} networks have every ticked score. nDCG@1000 of these is not comparable with published values.`;
  const shared = chosen.filter(term => term.name !== OWN).map(term => `${term.name}:${term.weight}`);
  history.replaceState(null, "", `#space=${source.space}&dataset=${source.dataset}&terms=${shared.join(",")}`);
  document.body.dataset.shown = turn;  // For tests.
}

// -------------------------------------------------------------------------------------------------------- plot
function plot() {
  const { ranks = [], scores = [] } = shown.rows.find(row => row.name === plotted) ?? {};
  const x = element("horizontal").value === "rank" ? ranks : scores;
  const y = element("vertical").value === "rank" ? shown.order : shown.accuracy;
  points = { x, y, best: orderOf(ranks).reverse(), place: null };
  element("position").max = Math.max(1, ranks.length);
  element("plot").ariaLabel = `Scatter plot: ${plotted ?? "nothing"} and accuracy of ${count(ranks.length)} networks`;
  draw();
  select();
}

function draw() {
  const canvas = element("plot"), pen = canvas.getContext("2d"), { clientWidth: width, clientHeight: height } = canvas;
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio });
  if (!points.best.length) return;
  pen.scale(devicePixelRatio, devicePixelRatio);
  Object.assign(pen, { font: "12px system-ui, sans-serif", strokeStyle: colour("line"), fillStyle: colour("muted") });
  const [left, right, top, bottom] = [56, width - 14, 12, height - 44];
  const axis = (values, from, to, mark) => {
    const [low, high] = range(values), size = high - low || 1, unit = 10 ** Math.floor(Math.log10(size / 2));
    const step = unit * (size / unit > 12 ? 5 : size / unit > 6 ? 2 : 1);
    const at = value => from + (to - from) * (value - low) / size;
    for (let tick = Math.ceil(low / step); tick * step <= high; tick++) {
      mark(at(tick * step), size < 1e6 ? count(tick * step) : (tick * step).toPrecision(2));
    }
    return at;
  };
  pen.textAlign = "right";
  const y = axis(points.y, bottom, top, (at, text) => pen.fillText(`${text} –`, left, at + 4));
  pen.textAlign = "center";
  const x = axis(points.x, left, right, (at, text) => pen.fillText(text, at, bottom + 18));
  pen.fillText(`${plotted}, ${element("horizontal").value} (best on the right)`, (left + right) / 2, height - 6);
  pen.strokeRect(left, top, right - left, bottom - top);
  Object.assign(pen, { fillStyle: colour("link"), globalAlpha: Math.min(0.8, 0.2 + 200 / points.best.length) });
  points.place = i => [x(points.x[i]), y(points.y[i])];
  for (const i of points.best) pen.fillRect(...points.place(i).map(at => at - 1.5), 3, 3);
}

/** Mark the network that the slider stands at, and list its values. */
function select() {
  const i = points.best[element("position").value - 1], all = count(points.best.length), list = make("dl");
  element("ring").hidden = i === undefined;
  if (i === undefined) return element("network").replaceChildren();
  [element("ring").style.left, element("ring").style.top] = points.place(i).map(at => `${at}px`);
  const text = value => Number.isNaN(value) ? "failed" : String(Number(value.toPrecision(6)));
  const item = (name, values, rank) => list.append(
    make("dt", {}, name), make("dd", {}, `${values.map(text).join(", ")}; rank ${count(rank)} of ${all}`));
  item("accuracy", [shown.accuracy[i]], shown.order[i]);
  for (const { name, keys, ranks, scores } of shown.rows) {
    item(name, keys ? keys.map(key => shown.columns[key][shown.networks[i]]) : [scores[i]], ranks[i]);
  }
  element("network").replaceChildren(make("code", {}, shown.archs[shown.networks[i]]), list);
}

/** Move the slider to the network next to the pointer. */
function point(event) {
  const { left, top } = element("plot").getBoundingClientRect();
  const distances = Array.from(points.best, points.place).map(([across, down]) =>
    Math.hypot(event.clientX - left - across, event.clientY - top - down));
  element("position").value = 1 + distances.indexOf(range(distances)[0]);
  select();
}

// ---------------------------------------------------------------------------------------------------- controls
function take(terms) {
  ticked.clear();
  for (const [name, weight = 1] of terms) ticked.set(name, Number(weight) || 0);
  plotted = "combination";
}

function listDataSets(dataset) {
  const sets = DATA.benchmarks.filter(each => each.space === element("space").value).map(each => each.dataset);
  element("dataset").replaceChildren(...sets.map(name => make("option", { selected: name === dataset }, name)));
  element("presets").replaceChildren(...benchmark().presets.map(([title, names]) =>
    make("button", { type: "button", onclick: () => { take(names.map(name => [name])); show(); } }, title)));
}

function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1)), terms = wanted.get("terms");
  if (shown && !wanted.has("space")) return;  // A link to a section.
  const found = DATA.benchmarks.find(each => each.space === wanted.get("space")) ?? DATA.benchmarks[0];
  element("space").value = found.space;
  listDataSets(wanted.get("dataset"));
  take(terms === null ? benchmark().presets[0][1].map(name => [name]) : terms.split(",").map(term => term.split(":")));
  show();
}

element("space").onchange = element("dataset").onchange = () => { listDataSets(element("dataset").value); show(); };
element("horizontal").onchange = element("vertical").onchange = plot;
element("plot").onpointermove = element("plot").onpointerdown = event => points?.best.length && point(event);
element("position").oninput = select;
element("terms").oninput = ({ target }) => {
  const [box, weight] = target.closest("li").querySelectorAll("input");
  box.checked ||= target === weight;
  box.checked ? ticked.set(box.value, Number(weight.value)) : ticked.delete(box.value);
  show();
};
element("own").oninput = () => { if (!ticked.has(OWN)) ticked.set(OWN, 1); show(); };
element("file").onchange = async ({ target }) => {
  element("own").value = await target.files[0]?.text() ?? "";
  element("own").oninput();
};
onhashchange = readAddress;
onresize = matchMedia("(prefers-color-scheme: dark)").onchange = () => points && plot();
readAddress();
