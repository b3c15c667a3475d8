// A run, live: stages from its events, logs and curves of the stage that is asked for.
"use strict";
const root = document.getElementById("run"), at = (id) => document.getElementById(id);
const base = `/runs/${root.dataset.run}`;
const line = (target, text, filter) => {
  const atEnd = target.scrollTop + target.clientHeight >= target.scrollHeight - 8, row = document.createElement("div");
  row.textContent = text;
  row.hidden = Boolean(filter) && !text.toLowerCase().includes(filter.toLowerCase());
  target.append(row);
  while (target.childNodes.length > 400) target.firstChild.remove();
  if (atEnd) target.scrollTop = target.scrollHeight;
};
const live = new EventSource(`${base}/events`);
live.onmessage = (event) => {
  const told = JSON.parse(event.data);
  for (const [id, html] of Object.entries(told.parts)) Live.swap(id, html);
  told.lines.forEach((text) => line(at("events"), text));
};
live.addEventListener("end", () => live.close());

let following = null;
const follow = (stage, take, end) => {
  following?.close();
  following = new EventSource(`${base}/stages/${stage}/log`);
  const mine = following;
  mine.onmessage = (event) => take(JSON.parse(event.data));
  mine.addEventListener("end", (event) => { mine.close(); end?.(JSON.parse(event.data)); });
};
const logged = (stage) => {
  at("log-box").hidden = false;
  at("log-of").textContent = stage;
  at("log-state").textContent = "…";
  at("log").replaceChildren();
  follow(stage, (told) => {
    if (told.log) line(at("log"), told.log, at("log-filter").value);
    if (told.progress) at("log-state").textContent = told.progress;
  }, (told) => { at("log-state").textContent = told.error || "ended"; });
};
const curved = (stage) => {
  const steps = new Map();
  const plots = [];
  let waiting = null;
  const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), grid = style.getPropertyValue("--line");
  let progress = "";
  const state = () => {
    const xs = [...steps.keys()], speed = xs.map((x) => steps.get(x).tokens_per_second).filter((y) => y > 0).at(-1);
    at("curve-state").textContent = [`${stage}: ${xs.length} steps`, speed ? `${Math.round(speed).toLocaleString("en")} tokens/s` : "", progress].filter(Boolean).join(" · ");
  };
  const draw = () => {
    waiting = null;
    const xs = [...steps.keys()].sort((a, b) => a - b);
    const names = [...new Set(xs.flatMap((x) => Object.keys(steps.get(x))))].sort();
    const colours = ["#2f7fd0", "#d9652a", "#3a9d5d", "#a05bc0"];
    const line = { stroke: grid, width: 1 };
    const across = { stroke: ink, grid: line, ticks: line, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] };
    const up = { stroke: ink, grid: line, ticks: line, size: 70, values: (_, at) => at.map((value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 })) };
    plots.splice(0).forEach((plot) => plot.destroy());
    for (const kind of [/loss/, /accurac/, /margin|reward/, /learning_rate/, /tokens_per_second/]) {
      const shown = names.filter((name) => kind.test(name)).slice(0, 4);
      if (!shown.length) continue;
      const values = shown.map((name) => xs.map((x) => { const y = steps.get(x)[name]; return Number.isFinite(y) ? y : null; }));
      const series = shown.map((name, i) => ({ label: name, stroke: colours[i], width: 2, spanGaps: true }));
      const size = { width: at("curve").clientWidth, height: 220, scales: { x: { time: false } }, axes: [across, up], legend: { live: false } };
      plots.push(new uPlot({ ...size, series: [{ label: "step" }, ...series] }, [xs, ...values], at("curve")));
    }
    state();
  };
  at("curve").replaceChildren();
  at("curve-state").textContent = "…";
  follow(stage, (told) => {
    if (told.progress) { progress = told.progress; state(); }
    if (!told.values) return;
    steps.set(told.step, { ...steps.get(told.step), ...told.values });
    waiting ??= setTimeout(draw, 250);
  }, () => { progress = ""; if (steps.size) state(); else at("curve-state").textContent = "nothing was measured"; });
};
at("log-filter").addEventListener("input", () => {
  const filter = at("log-filter").value.toLowerCase();
  for (const row of at("log").children) row.hidden = Boolean(filter) && !row.textContent.toLowerCase().includes(filter);
});
// The buttons are replaced as stages begin, so the page listens, not they.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-log], [data-curve]");
  const kind = button?.dataset.log ? "log" : "curve";
  if (button) document.querySelectorAll(`[data-${kind}]`).forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
  if (button?.dataset.log) logged(button.dataset.log);
  if (button?.dataset.curve) curved(button.dataset.curve);
});
