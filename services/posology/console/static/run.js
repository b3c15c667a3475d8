// A run, live: stages from its events, logs and curves of the stage that is asked for.
"use strict";
const root = document.getElementById("run"), at = (id) => document.getElementById(id);
const base = `/runs/${root.dataset.run}`;
const GOOD = ["SUCCEEDED"], BAD = ["FAILED"], WAITS = ["PAUSED", "REVIEW_PENDING", "APPROVAL_PENDING"], BUSY = ["RUNNING"];
const chip = (state) => {
  const element = document.createElement("span");
  const tone = GOOD.includes(state) ? "good" : BAD.includes(state) ? "bad" : WAITS.includes(state) ? "open" : BUSY.includes(state) ? "busy" : "soft";
  element.className = `chip ${tone}`;
  element.textContent = state.replaceAll("_", " ").toLowerCase();
  return element;
};
const line = (target, text) => {
  const atEnd = target.scrollTop + target.clientHeight >= target.scrollHeight - 8;
  target.append(document.createTextNode(`${text}\n`));
  while (target.childNodes.length > 400) target.firstChild.remove();
  if (atEnd) target.scrollTop = target.scrollHeight;
};
const live = new EventSource(`${base}/events`);
live.onmessage = (event) => {
  const told = JSON.parse(event.data);
  at("phase").replaceChildren(chip(told.phase));
  at("message").textContent = told.message;
  line(at("events"), told.event);
  told.stages.forEach((stage, index) => {
    const row = document.querySelector(`tr[data-stage="${CSS.escape(stage.name)}"]`);
    if (!row) return;
    row.cells[1].replaceChildren(chip(stage.state));
    row.cells[2].textContent = [stage.reason, stage.progress].filter(Boolean).join(" · ");
    row.cells[3].textContent = stage.time;
    if (at("flow").children[index]) at("flow").children[index].className = stage.state;
  });
};
live.addEventListener("end", () => { live.close(); if (!root.dataset.ended) location.reload(); });

let following = null;
const follow = (stage, take, end) => {
  following?.close();
  following = new EventSource(`${base}/stages/${stage}/log`);
  const mine = following;
  mine.onmessage = (event) => take(JSON.parse(event.data));
  mine.addEventListener("end", () => { mine.close(); end?.(); });
};
document.querySelectorAll("[data-log]").forEach((button) => button.addEventListener("click", () => {
  at("log").hidden = false;
  at("log").replaceChildren();
  follow(button.dataset.log, (told) => { if (told.log || told.progress) line(at("log"), told.log || told.progress); });
}));
document.querySelectorAll("[data-curve]").forEach((button) => button.addEventListener("click", () => {
  const steps = new Map();
  const plots = [];
  let waiting = null;
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink"), grid = getComputedStyle(document.documentElement).getPropertyValue("--line");
  const draw = () => {
    waiting = null;
    const xs = [...steps.keys()].sort((a, b) => a - b);
    const names = [...new Set(xs.flatMap((x) => Object.keys(steps.get(x))))].sort();
    const colours = ["#2f7fd0", "#d9652a", "#3a9d5d", "#a05bc0"];
    const axis = () => ({ stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } });
    plots.splice(0).forEach((plot) => plot.destroy());
    for (const kind of [/loss/, /accurac/, /margin|reward/, /learning_rate|tokens_per_second/]) {
      const shown = names.filter((name) => kind.test(name)).slice(0, 4);
      if (!shown.length) continue;
      const values = shown.map((name) => xs.map((x) => { const y = steps.get(x)[name]; return Number.isFinite(y) ? y : null; }));
      const series = shown.map((name, i) => ({ label: name, stroke: colours[i], width: 2, spanGaps: true }));
      const size = { width: at("curve").clientWidth, height: 240, scales: { x: { time: false } }, axes: [axis(), axis()] };
      plots.push(new uPlot({ ...size, series: [{ label: "step" }, ...series] }, [xs, ...values], at("curve")));
    }
    at("curve-state").textContent = `${button.dataset.curve}: ${xs.length} steps`;
  };
  at("curve").replaceChildren();
  at("curve-state").textContent = "…";
  follow(button.dataset.curve, (told) => {
    if (!told.values) return;
    steps.set(told.step, { ...steps.get(told.step), ...told.values });
    waiting ??= setTimeout(draw, 250);
  }, () => { if (!steps.size) at("curve-state").textContent = "nothing was measured"; });
}));
