"use strict";
const ink = () => getComputedStyle(document.body).color;
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

function draw(source) {
  const { data, layout } = JSON.parse(source.textContent);
  layout.font = { color: ink(), family: "system-ui, sans-serif" };
  return Plotly.newPlot(source.dataset.plot, data, layout, config);
}

// Figures are drawn as they come near the screen: a page of many experiments opens at once.
const sources = [...document.querySelectorAll("script[data-plot]")];
const plots = () => [...document.querySelectorAll(".plot.js-plotly-plot")];
const byPlot = new Map(sources.map((source) => [document.getElementById(source.dataset.plot), source]));
const drawn = new Map();
function drawOnce(plot) {
  if (!drawn.has(plot)) drawn.set(plot, draw(byPlot.get(plot)).then(() => showChosen(plot)));
  return drawn.get(plot);
}
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) drawOnce(entry.target);
}, { rootMargin: "600px" });
for (const plot of byPlot.keys()) watcher.observe(plot);

function escaped(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span.innerHTML.replaceAll('"', "&quot;").replaceAll("'", "&#x27;");
}

function showChosen(plot) {
  const boxes = plot.closest(".experiment").querySelectorAll("input[data-arm]");
  const hidden = new Set([...boxes].filter((box) => !box.checked).map((box) => escaped(box.dataset.arm)));
  const visible = plot.data.map((trace) => !hidden.has(trace.legendgroup));
  return Plotly.restyle(plot, { visible });
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.dataset.arm !== undefined) {
    for (const plot of plots()) if (box.closest(".experiment").contains(plot)) showChosen(plot);
  }
  if (box.dataset.log !== undefined) {
    const plot = document.getElementById(box.dataset.log);
    drawOnce(plot).then(() => Plotly.relayout(plot, { [`${box.dataset.axis}.type`]: box.checked ? "log" : "linear" }));
  }
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const plot of plots()) Plotly.relayout(plot, { "font.color": ink() });
});
// On paper every figure is wanted, in black on white.
addEventListener("beforeprint", () => {
  for (const plot of byPlot.keys()) drawOnce(plot).then(() => Plotly.relayout(plot, { "font.color": "#000" }));
});
addEventListener("afterprint", () => {
  for (const plot of plots()) Plotly.relayout(plot, { "font.color": ink() });
});
