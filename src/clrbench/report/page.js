"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3]];
const screenIsDark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
const ground = () => (screenIsDark.matches && !printing ? 1 : 0);
const ink = () => ["#1a1a1a", "#e8e8e8"][ground()];
const colourOf = (curve) => DATA.colours[curve.policy][ground()];
const shown = (value) => (value === null || value === undefined ? "" : typeof value === "number" ? value.toLocaleString("en", { maximumSignificantDigits: 5 }) : value);

// A figure that shows the curves of another has no numbers of its own.
function figureOf(name) {
  const figure = DATA.figures[name];
  if (!figure.of) return figure;
  const whole = DATA.figures[figure.of];
  const curves = figure.arms.map((arm) => whole.curves.find((curve) => curve.arm === arm)).filter(Boolean);
  return { ...whole, ...figure, curves: curves.map((curve) => ({ ...curve, dash: figure.dashes[curve.arm] })) };
}

// Figures. A logarithmic axis has no place for 0 and below.
const isLog = (plot, axis) => plot.closest("figure")?.querySelector(`input[data-log=${axis}]`)?.checked ?? false;

function chosen(plot, figure) {
  const boxes = [...plot.closest(".experiment, .answer").querySelectorAll("input[data-arm]")];
  const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.dataset.arm));
  return figure.curves.filter((curve) => !hidden.has(curve.arm));
}

function tableOf(figure, curve, logX, logY) {
  const [low, high] = figure.band ?? [];
  const names = [figure.x, figure.y, ...(low in curve.columns ? [low, high] : [])];
  const columns = names.map((name) => curve.columns[name]);
  const kept = columns[0].map((x, at) => at).filter((at) => !logX || columns[0][at] > 0);
  return columns.map((column, number) => kept.map((at) => (number && logY && column[at] <= 0 ? null : column[at])));
}

// A logarithmic axis runs between numbers of one digit, such as 0.001 and 0.02; another as far as asked, else from `least` on.
function scale(log, asked, least, pad) {
  const unit = (value) => 10 ** Math.floor(Math.log10(value) + 1e-9);
  const round = (value, how) => Number((how(value / unit(value)) * unit(value)).toPrecision(1));
  const range = (_, low, high) => {
    if (low === null) return [1, 10];
    if (log) return [round(low, Math.floor), round(high, Math.ceil) * (low === high ? 10 : 1)];
    const margin = pad * (high - low) || (low === high ? Math.abs(high) / 10 || 1 : 0);
    return asked ?? [Math.min(least, low - margin), high + margin];
  };
  return { time: false, distr: log ? 3 : 1, range };
}

function options(plot, figure, curves, tables) {
  const [logX, logY] = [isLog(plot, "x"), isLog(plot, "y")];
  const series = [{}];
  const bands = [];
  for (const [at, curve] of curves.entries()) {
    const width = figure.focus?.includes(curve.arm) ? 3 : figure.focus ? 1.6 : 2;
    series.push({ label: curve.arm, stroke: colourOf(curve), width, dash: DASHES[curve.dash % DASHES.length], spanGaps: true, points: { show: figure.points, size: 6 } });
    if (tables[at].length === 4) {
      const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
      series.push(edge, { ...edge });
      bands.push({ series: [series.length - 1, series.length - 2], fill: `${colourOf(curve)}2a` });
    }
  }
  const axis = { stroke: ink(), grid: { stroke: "rgba(128,128,128,.25)", width: 1 }, ticks: { stroke: "rgba(128,128,128,.25)" }, font: "13px system-ui, sans-serif", labelFont: "13px system-ui, sans-serif", labelSize: 24 };
  const size = figure.sync ? 70 : (_, labels) => 22 + 8 * Math.max(2, ...(labels ?? []).map((label) => String(label ?? "").length));
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    series,
    bands,
    legend: { show: false },
    scales: { x: scale(logX, null, figure.x === "epoch" ? 0 : Infinity, 0), y: scale(logY, figure.span, Infinity, 0.05) },
    axes: [figure.shares_x ? { ...axis, size: 34 } : { ...axis, label: figure.labels[0] }, { ...axis, label: figure.labels[1], size }],
    cursor: { y: false, drag: { x: true, y: false }, points: { show: false }, sync: figure.sync ? { key: figure.sync } : undefined },
    hooks: { setCursor: [(chart) => readOut(plot, figure, curves, chart)], draw: [(chart) => drawMarks(chart, figure, curves)] },
  };
}

const drawn = new Map();
function draw(plot) {
  const figure = figureOf(plot.dataset.figure);
  const curves = chosen(plot, figure);
  drawn.get(plot)?.destroy();
  const tables = curves.map((curve) => tableOf(figure, curve, isLog(plot, "x"), isLog(plot, "y")));
  drawn.set(plot, new uPlot(options(plot, figure, curves, tables), tables.length ? uPlot.join(tables) : [[]], plot));
}

// The paper's numbers as diamonds; the bounds of a range test as lines within their intervals.
function drawMarks(chart, figure, curves) {
  const { ctx } = chart;
  const [x, y] = [(value) => chart.valToPos(value, "x", true), (value) => chart.valToPos(value, "y", true)];
  const pixel = devicePixelRatio;
  ctx.save();
  for (const curve of curves) {
    const number = figure.paper?.[curve.arm];
    if (number === undefined) continue;
    const [left, top, size] = [x(curve.columns[figure.x].at(-1)), y(number), 7 * pixel];
    ctx.strokeStyle = colourOf(curve);
    ctx.lineWidth = 2 * pixel;
    ctx.beginPath();
    for (const [across, down] of [[0, -size], [size, 0], [0, size], [-size, 0]]) ctx.lineTo(left + across, top + down);
    ctx.closePath();
    ctx.stroke();
  }
  const { left, top, width, height } = chart.bbox;
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.textAlign = "left";
  ctx.font = `${13 * pixel}px system-ui, sans-serif`;
  for (const [at, mark] of (figure.marks ?? []).entries()) {
    ctx.fillStyle = "rgba(128,128,128,.18)";
    ctx.fillRect(x(mark.span[0]), top, x(mark.span[1]) - x(mark.span[0]), height);
    ctx.fillStyle = ink();
    ctx.fillRect(x(mark.x), top, pixel, height);
    ctx.fillText(`${mark.label} ${mark.x.toPrecision(3)}`, x(mark.x) + 5 * pixel, top + height - (10 + 18 * at) * pixel);
  }
  ctx.restore();
}

// What the curves are at the pointer: each at its own nearest point.
function readOut(plot, figure, curves, chart) {
  const line = plot.nextElementSibling;
  if (chart.cursor.left < 0) return void (line.textContent = "\u00a0");
  const x = chart.posToVal(chart.cursor.left, "x");
  const parts = curves.map((curve) => {
    const xs = curve.columns[figure.x];
    if (x > xs.at(-1) || x < Math.min(0, xs[0])) return "";
    const at = xs.reduce((best, value, index) => (Math.abs(value - x) < Math.abs(xs[best] - x) ? index : best), 0);
    const value = curve.columns[figure.y][at];
    return value === null ? "" : `${figure.names?.[curve.arm] ?? curve.arm} ${shown(value)}`;
  });
  line.textContent = `${figure.labels[0].split(",")[0]} ${shown(Number(x.toPrecision(3)))}: ${parts.filter(Boolean).join(", ")}`;
}

// Figures are drawn as they come near the screen: a page of many experiments opens at once.
const plots = [...document.querySelectorAll(".plot")];
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting && !drawn.has(target)) draw(target);
}, { rootMargin: "600px" });
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) if (!printing && target.clientWidth) drawn.get(target)?.setSize({ width: target.clientWidth, height: target.clientHeight });
});
for (const plot of plots) {
  watcher.observe(plot);
  resized.observe(plot);
}
const redraw = () => [...drawn.keys()].forEach(draw);
screenIsDark.addEventListener("change", redraw);

document.addEventListener("change", ({ target }) => {
  if (target.dataset.arm === undefined && target.dataset.log === undefined) return;
  const place = target.closest(target.dataset.log ? "figure" : ".experiment, .answer");
  for (const plot of place.querySelectorAll(".plot")) if (drawn.has(plot)) draw(plot);
});

// Tables of numbers are made when somebody opens them.
function fill(details) {
  const figure = figureOf(details.dataset.numbers);
  const names = Object.keys(figure.curves[0].columns);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["", ...names]) head.appendChild(document.createElement("th")).textContent = name;
  const body = table.createTBody();
  for (const curve of figure.curves) {
    for (const at of curve.columns[names[0]].keys()) {
      const row = body.insertRow();
      const heading = row.appendChild(document.createElement("th"));
      heading.scope = "row";
      heading.textContent = curve.arm;
      for (const name of names) {
        const cell = row.insertCell();
        cell.className = "number";
        cell.textContent = shown(curve.columns[name]?.[at]);
      }
    }
  }
  details.querySelector("div").replaceChildren(table);
}
document.addEventListener("toggle", ({ target }) => {
  if (target.open && target.dataset.numbers && !target.querySelector("table")) fill(target);
}, true);

// A link opens every fold around the place that it leads to.
function reveal() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  for (let at = place; at; at = at.parentElement?.closest("details")) if (at.tagName === "DETAILS") at.open = true;
  if (place.tagName === "TBODY") place.querySelector("details").open = true;
  place.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

const filtered = [...document.querySelectorAll("[data-filter]")];
const texts = new Map();
document.getElementById("filter").addEventListener("input", ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const part of filtered) {
    if (!texts.has(part)) texts.set(part, part.textContent.toLowerCase());
    part.hidden = !words.every((word) => texts.get(part).includes(word));
  }
  for (const group of document.querySelectorAll(".group")) {
    const fold = group.querySelector(":scope > details");
    if (fold) fold.open = words.length > 0;
    group.hidden = ![...group.querySelectorAll("[data-filter]")].some((part) => !part.hidden);
  }
  const left = filtered.filter((part) => !part.hidden).length;
  document.getElementById("found").textContent = words.length ? `${left} of ${filtered.length}` : "";
});

// On paper: black on white and as wide as the sheet. What is folded stays folded.
addEventListener("beforeprint", () => {
  printing = true;
  document.documentElement.classList.add("printing");
  plots.forEach(draw);
});
addEventListener("afterprint", () => {
  printing = false;
  document.documentElement.classList.remove("printing");
  redraw();
});
