"use strict";
// The page is drawn from the data in it: no number is computed here but shares, differences and shorter forms.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const state = {by: data.start.by, measure: data.start.measure, convention: data.conventions[0].name, query: "", selected: null};
const LEVELS = 14, HEIGHT = 30, ROWS = 400, COLOURS = 10;

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null));
  return element;
}

// A number is one, or a text of digits where no number of a browser is exact, or [number, expression in sizes].
const amount = value => Number(Array.isArray(value) ? value[0] : value ?? 0);
const grouped = digits => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
function exact(value, unit = "") {
  if (value === null || value === undefined) return "-";
  if (Array.isArray(value)) return value[1];
  return unit === "seconds" ? time(value) : grouped(value);
}
function shortened(value, base, names) {
  let size = amount(value), step = 0;
  if (size >= base ** names.length) return size.toExponential(2);
  while (size >= base * 0.9995 && step < names.length - 1) { size /= base; step++; }
  return (step ? size.toPrecision(size < 999.5 ? 3 : 4) : String(size)) + names[step];
}
function short(value, unit) {
  if (unit === "seconds") return time(value);
  return unit === "bytes" ? shortened(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]) : shortened(value, 1000, ["", " K", " M", " G", " T", " P", " E"]);
}
function time(seconds) {
  const units = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]];
  const [name, size] = units.find(([, size]) => seconds >= size) ?? units[3];
  return seconds > 0 ? `${(seconds / size).toFixed(2)} ${name}` : "0";
}
// A difference is exact, also where no number of a browser is.
function difference(one, other, unit) {
  if (unit === "seconds") { const more = amount(other) - amount(one); return more ? `${more > 0 ? "+" : "-"}${time(Math.abs(more))}` : "0"; }
  const [a, b] = [one, other].map(each => BigInt(Array.isArray(each) ? each[0] : each ?? 0)), more = b - a;
  return more ? `${more > 0n ? "+" : "-"}${grouped(more > 0n ? more : -more)}` : "0";
}
const percent = (part, whole) => whole > 0 ? `${(100 * part / whole).toFixed(1)}%` : "-";

const place = measure => {
  const under = data.measures.findIndex(each => each.key === `${measure}:${state.convention}`);
  return under >= 0 ? under : data.measures.findIndex(each => each.key === measure);
};
const unitOf = measure => data.measures[place(measure)].unit;
const choices = () => [...new Map(data.measures.map(each => [each.key.split(":")[0], each.label]))];
const read = (row, measure) => row && row.values[place(measure)];

// Rows as they were written, each before those in it, become a tree.
function grown(rows) {
  const around = [];
  for (const row of rows) {
    row.children = [];
    around.length = row.level;
    row.parent = around.at(-1) ?? null;
    if (row.parent) row.parent.children.push(row);
    around.push(row);
  }
  return rows[0];
}
const named = (rows, names) => rows?.map(row => Object.fromEntries(names.map((name, k) => [name, row[k]])));
for (const count of data.counts) {
  for (const tree of ["modules", "operators"]) count[tree] = named(count[tree], data.row);
  count.trees = {module: count.modules, operator: count.operators};
  for (const rows of Object.values(count.trees)) grown(rows);
}
data.compared = named(data.compared, data.comparedRow);
const colours = new Map();  // those of the largest kinds are distinct
for (const by of ["module", "operator"]) {
  const sizes = new Map();
  for (const count of data.counts) for (const row of count.trees[by].slice(1))
    sizes.set(row.kind, (sizes.get(row.kind) ?? 0) + row.values.reduce((sum, value, k) => sum + amount(value) / (amount(count.modules[0].values[k]) || 1), 0) * (row.children.length ? 0.3 : 1));
  [...sizes].filter(([kind]) => kind).sort((a, b) => b[1] - a[1]).forEach(([kind], k) => colours.set(kind, `var(--k${k % COLOURS})`));
}
const colour = row => row.parent && colours.get(row.kind) || "var(--none)";

const matches = row => !state.query || [row.name, row.path, row.kind].some(text => text.toLowerCase().includes(state.query));
const within = row => matches(row) || row.children.some(within);

// The picture: boxes lie in one another as modules do, as wide as what they cost.
function picture(count) {
  const tree = count.trees[state.by], root = count.root && tree.includes(count.root) ? count.root : tree[0];
  const whole = amount(read(tree[0], state.measure)), shown = amount(read(root, state.measure));
  const width = Math.max(count.frame.clientWidth, 200) * (root === tree[0] ? whole / Math.max(...data.counts.map(each => amount(read(each.trees[state.by][0], state.measure))), 1e-300) : 1);
  const boxes = [];
  function lay(row, left, level) {
    const wide = shown ? width * amount(read(row, state.measure)) / shown : 0;
    if (wide < 0.7 || level >= LEVELS) return;
    boxes.push([row, left, wide, level]);
    for (const child of row.children) {
      lay(child, left, level + 1);
      left += width * amount(read(child, state.measure)) / shown;
    }
  }
  lay(root, 0, 0);
  const levels = Math.max(1, ...boxes.map(box => box[3] + 1));
  const svg = make("svg", {height: levels * HEIGHT, role: "group", "aria-label": `Boxes as wide as their ${labelOf(state.measure)}; arrow keys move, Enter explains`});
  count.boxes = new Map();
  for (const [row, left, wide, level] of boxes) {
    const value = read(row, state.measure), part = percent(amount(value), whole);
    const box = make("g", {"data-key": `box ${data.counts.indexOf(count)} ${row.path || row.name}`, class: `box${row === state.selected ? " selected" : ""}${within(row) ? "" : " missed"}`, role: "button", tabindex: row === root ? 0 : -1, "aria-label": `${row.name}, ${row.kind}, ${part}`, onclick: () => choose(count, row)},
      make("title", {}, `${row.name} ${row.kind === row.name ? "" : row.kind}\n${exact(value, unitOf(state.measure))} ${labelOf(state.measure)}, ${part}`),
      make("rect", {x: left, y: level * HEIGHT, width: wide, height: HEIGHT, rx: 2, fill: colour(row)}));
    const full = row.kind && row.kind !== row.name ? `${row.name} ${row.kind} ${part}` : `${row.name} ${part}`;
    const text = [full, `${row.name} ${part}`, row.name].find(text => text.length * 7 + 10 < wide);
    if (text) box.append(make("text", {x: left + 5, y: level * HEIGHT + 19}, text));
    count.boxes.set(row, box);
    svg.append(box);
  }
  if (!boxes.length) svg.append(make("text", {x: 8, y: 20, fill: "currentColor"}, `no ${labelOf(state.measure)}`));
  svg.addEventListener("keydown", event => move(event, count, root));
  count.frame.replaceChildren(svg);
  count.deeper.hidden = !boxes.some(([row, , , level]) => level === LEVELS - 1 && row.children.length);
  const path = [];
  for (let row = root; row; row = row.parent) path.unshift(row);
  count.around.replaceChildren(...(path.length > 1 ? path.map(row => make("button", {type: "button", onclick: () => choose(count, row)}, row.name)) : []));
}

function move(event, count, root) {
  const row = [...count.boxes].find(([, box]) => box === event.target)?.[0];
  if (!row) return;
  const drawn = [...count.boxes.keys()], beside = row.parent && row !== root ? row.parent.children.filter(each => drawn.includes(each)) : [row];
  const to = {ArrowRight: beside[beside.indexOf(row) + 1], ArrowLeft: beside[beside.indexOf(row) - 1], ArrowDown: row.children.find(each => drawn.includes(each)), ArrowUp: row !== root && row.parent}[event.key];
  if (event.key === "Enter" || event.key === " ") choose(count, row);
  else if (to) count.boxes.get(to).focus();
  else if (!event.key.startsWith("Arrow")) return;
  event.preventDefault();
}

// A choice is explained, looked into, and shown in the table.
function choose(count, row, also = []) {
  const again = row === state.selected && row === count.root;
  state.selected = row;
  if (row.children.length) count.root = again && row.parent ? row.parent : row;
  for (let around = row.parent; around; around = around.parent) around.folded = false;
  draw();
  byId("explained").replaceChildren(
    make("button", {type: "button", "aria-label": "close", style: "float: right", onclick: () => { byId("explained").hidden = true; state.selected = null; draw(); }}, "×"),
    ...[[count, row], ...also].flatMap(([each, its]) => explanation(each, its)));
  byId("explained").hidden = false;
}

function explanation(count, row) {
  const about = row.about, whose = data.counts.length > 1 ? `${count.title}: ` : "";
  const pairs = [["class", row.kind && row.kind !== row.name ? row.kind : null], ["path", row.path && row.path !== row.name ? row.path : null], ["calls", row.calls ? exact(row.calls) : null], ["input", about.input], ["output", about.output]], readings = [];
  for (const [key, label] of data.measures.map(each => [each.key, each.meaning])) {
    const value = row.values[data.measures.findIndex(each => each.key === key)], unit = data.measures.find(each => each.key === key).unit;
    const whole = amount(count.modules[0].values[data.measures.findIndex(each => each.key === key)]);
    if (amount(value)) readings.push([label, `${exact(value, unit)}${unit === "bytes" && !Array.isArray(value) ? ` (${short(value, unit)})` : ""}, ${percent(amount(value), whole)}`]);
  }
  return [
    make("h3", {}, whose + (row.times > 1 ? `${row.name}: what is worked out is one of ${row.times}` : row.name)),
    listed(pairs.filter(pair => pair[1])),
    ...(about.calls ?? []).flatMap(call => worked(call)),
    ...(about.gradients?.length ? [make("h4", {}, "In the backward pass"), ...about.gradients.flatMap(call => worked(call))] : []),
    ...(about.more ? [make("p", {class: "soft"}, about.more)] : []),
    ...(about.parameters?.length ? [make("h4", {}, "Parameters"), ...about.parameters.map(text => make("code", {}, text))] : []),
    make("h4", {}, "In numbers"), listed(readings),
  ];
}

const listed = pairs => make("dl", {}, ...pairs.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));

// A call with the numbers put into its equation: names of quantities give way to their values.
function worked([which, times, quantities, amounts, note]) {
  const {operator, terms, names, reason} = data.equations[which];
  const value = name => { const text = exact(quantities[names.indexOf(name)]); return /[ *]/.test(text) || text.startsWith("-") ? `(${text})` : text; };
  const lines = terms.map(([field, unit, expression], k) => {
    const numbers = expression.replace(/[A-Za-z_]\w*/g, name => names.includes(name) ? value(name) : name);
    return make("code", {}, `${[...new Set([`${field} = ${expression}`, numbers, exact(amounts[k])])].join(" = ")} ${unit}`);
  });
  const title = times > 1 ? `${operator}, ${grouped(times)} equal calls, each` : operator;
  return [make("h4", {}, title), ...lines, note ? make("p", {class: "soft"}, note) : null, reason ? make("p", {class: "soft"}, reason) : null].filter(Boolean);
}

const labelOf = measure => data.measures[place(measure)].label;
const sorted = {};  // by table: the column and its direction

function table(id, tops, columns, pick) {
  const body = make("tbody"), header = make("tr");
  columns.forEach((column, k) => header.append(make("th", {scope: "col", class: `${column.number ? "number" : ""}${column.minor ? " minor" : ""}`, "aria-sort": sorted[id]?.[0] === k ? (sorted[id][1] > 0 ? "ascending" : "descending") : null},
    make("button", {type: "button", "data-key": `sort ${id} ${k}`, onclick: () => sort(id, k, column)}, column.name))));
  const [by, sign] = sorted[id] ?? [];
  const ordered = rows => by === undefined ? rows : [...rows].sort((a, b) => {
    const [one, other] = [a, b].map(columns[by].key);
    return sign * (one < other ? -1 : one > other ? 1 : 0);
  });
  let shown = 0, left = 0;
  function add(row) {
    if (!within(row)) return;
    if (shown >= ROWS) { left++; return; }
    shown++;
    const open = !row.folded || (state.query && row.children.some(within));
    const fold = row.children.length ? make("button", {type: "button", class: "fold", "data-key": `fold ${id} ${row.path || row.name}`, "aria-label": `fold ${row.name}`, "aria-expanded": String(open), onclick: () => { row.folded = open; draw(); }}) : make("span", {class: "fold", style: "visibility: hidden"});
    const line = make("tr", {class: `${row === state.selected ? "selected" : ""}${state.query && matches(row) ? " found" : ""}`, "data-level": row.level});
    columns.forEach((column, k) => line.append(make("td", {class: `${column.number ? "number" : ""}${column.minor ? " minor" : ""}`, style: k ? null : `padding-left: ${0.4 + 1.1 * row.level}rem`, title: k ? null : row.path || row.name},
      ...(k ? [] : [fold]), ...(k ? column.cell(row) : [make("button", {type: "button", "data-key": `pick ${id} ${row.path || row.name}`, onclick: () => pick(row)}, row.name)]))));
    body.append(line);
    if (open) ordered(row.children).forEach(add);
  }
  ordered(tops).forEach(add);
  if (!shown) return [make("p", {class: "soft"}, "Nothing here has that in its name.")];
  const frame = make("div", {class: "wide"}, make("table", {id}, make("thead", {}, header), body));
  return left ? [frame, make("p", {class: "soft"}, `${grouped(left)} more rows: fold, or search.`)] : [frame];
}

function sort(id, k, column) {
  const first = column.number ? -1 : 1;
  sorted[id] = [k, sorted[id]?.[0] === k ? -sorted[id][1] : first];
  draw();
}

function bar(part, whole) {
  return [percent(part, whole), make("span", {class: "bar", "aria-hidden": "true"}, make("i", {style: `width: ${whole > 0 ? 100 * part / whole : 0}%`}))];
}

function columnsOf(count, by) {
  const whole = amount(read(count.modules[0], state.measure)), main = state.measure;
  const numbers = choices().map(([key, label]) => ({name: label, number: true, minor: key !== main, key: row => amount(read(row, key)), cell: row => [exact(read(row, key), unitOf(key))]}));
  return [
    {name: by, key: row => row.name, cell: row => [row.name]},
    ...(by === "module" ? [{name: "class", minor: true, key: row => row.kind, cell: row => [row.kind]}] : []),
    {name: `share of ${labelOf(main)}`, number: true, key: row => amount(read(row, main)), cell: row => bar(amount(read(row, main)), whole)},
    {name: "calls", number: true, minor: true, key: row => row.calls, cell: row => [row.calls ? exact(row.calls) : ""]},
    ...numbers,
  ];
}

function comparedColumns() {
  const both = row => [row.here, row.there].map(each => each && each[place(state.measure)]);
  const change = row => amount(both(row)[1]) - amount(both(row)[0]);
  const unit = unitOf(state.measure);
  const relative = row => !row.here ? "only in other" : !row.there ? "only here" : amount(both(row)[0]) ? `${change(row) > 0 ? "+" : ""}${(100 * change(row) / amount(both(row)[0])).toFixed(1)}%` : change(row) ? "from 0" : "0.0%";
  const label = labelOf(state.measure);
  return [
    {name: "module", key: row => row.name, cell: row => [row.name]},
    {name: "class", minor: true, key: row => row.kind, cell: row => [row.kind]},
    ...["", " of other"].map((whose, k) => ({name: label + whose, number: true, minor: k === 0, key: row => amount(both(row)[k]), cell: row => [exact(both(row)[k], unit)]})),
    {name: "change", number: true, minor: true, key: change, cell: row => [row.changes?.[place(state.measure)] ?? difference(...both(row), unit)]},
    {name: "relative", number: true, key: change, cell: row => [relative(row)]},
  ];
}

// Whether a row stands for the module of that path, alone or as one of several that are equal.
function stands(row, path) {
  const [, first, last] = row.name.match(/(\d+)-(\d+) +x\d+$/) ?? [], stem = row.path.replace(/\d+$/, "");
  if (row.path === path || first === undefined) return row.path === path;
  const number = path.startsWith(stem) && /^\d+$/.test(path.slice(stem.length)) ? Number(path.slice(stem.length)) : NaN;
  return number >= Number(first) && number <= Number(last);
}

function draw() {
  const focused = document.activeElement?.dataset?.key;
  redraw();
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

function redraw() {
  for (const count of data.counts) {
    const total = amount(read(count.modules[0], state.measure)), kinds = new Map();
    picture(count);
    for (const [row] of count.boxes) if (row.parent && row.kind) kinds.set(row.kind, colour(row));
    count.legend.replaceChildren(...[...kinds].slice(0, 16).map(([kind, fill]) => make("li", {}, make("span", {class: "swatch", style: `background: ${fill}`}), kind)));
    count.notes.replaceChildren(...count.legends[state.convention].map(text => make("p", {class: "soft"}, text)));
    count.sum.textContent = `${exact(read(count.modules[0], state.measure), unitOf(state.measure))} ${unitOf(state.measure) === "seconds" ? data.measures[place(state.measure)].meaning : labelOf(state.measure)}${total >= 1e4 && !Array.isArray(read(count.modules[0], state.measure)) && unitOf(state.measure) !== "seconds" ? ` (${short(total, unitOf(state.measure))})` : ""}`;
  }
  byId("scale").hidden = data.counts.length < 2 || data.counts.some(count => count.root?.parent);
  if (!data.tables) return;
  const parts = [];
  if (data.compared) {
    const find = row => {
      const found = data.counts.map((count, k) => [count, row[k ? "there" : "here"] && count.modules.find(each => stands(each, row.path))]).filter(pair => pair[1]);
      if (found.length) choose(...found[0], found.slice(1));
    };
    parts.push(make("h2", {}, "Module by module"), ...table("compared", [data.compared[0]], comparedColumns(), find));
  } else {
    const [count] = data.counts, pick = row => choose(count, row);
    parts.push(make("h2", {}, "Modules"), make("p", {class: "soft"}, "A module's numbers include all that it contains; (own) is what a module does itself."));
    parts.push(...table("modules", [count.modules[0]], columnsOf(count, "module"), pick));
    parts.push(make("h2", {}, "Operators"), ...table("operators", count.operators[0].children, columnsOf(count, "operator"), pick));
  }
  byId("tables").replaceChildren(...parts);
}

function open(rows, most) {  // folds below the deepest level down to which there are about so many rows
  const at = [];
  for (const row of rows) at[row.level] = (at[row.level] ?? 0) + 1;
  let depth = 1, sum = (at[0] ?? 0) + (at[1] ?? 0);
  while (depth < at.length - 1 && sum + at[depth + 1] <= most) sum += at[++depth];
  for (const row of rows) row.folded = row.level >= depth;
}

function start() {
  for (const count of data.counts) {
    count.frame = make("div", {class: "picture"});
    count.around = make("nav", {class: "around", "aria-label": "The modules around"});
    count.deeper = make("p", {class: "soft"}, "There are more levels: a click on a box shows those in it.");
    count.legend = make("ul", {class: "legend", "aria-label": "Colours by class"});
    count.notes = make("div");
    count.sum = make("p", {class: "sum"});
    byId("counts").append(make("section", {}, data.counts.length > 1 ? make("h2", {}, count.title) : null, ...(data.counts.length > 1 ? count.head.map(line => make("p", {class: "soft"}, line)) : []), count.sum, count.frame, count.deeper, count.around, count.legend, count.notes));
    open(count.modules, 60);
  }
  if (data.compared) { grown(data.compared); open(data.compared, 60); }
  const fill = (id, options, value) => byId(id).replaceChildren(...options.map(([key, text]) => make("option", {value: key, selected: key === value}, text)));
  fill("by", [["module", "module"], ["operator", "operator"]], state.by);
  fill("measure", choices(), state.measure);
  fill("convention", data.conventions.map(each => [each.name, `${each.name}: ${each.meaning}`]), state.convention);
  for (const id of ["by", "measure", "convention"]) byId(id).addEventListener("change", event => { state[id] = event.target.value; draw(); });
  byId("search").addEventListener("input", event => { state.query = event.target.value.trim().toLowerCase(); draw(); });
  new ResizeObserver(() => data.counts.forEach(picture)).observe(byId("counts"));
  draw();
}
start();
