// Checks the spec half a second after the last key.
"use strict";
const spec = document.getElementById("spec"), checked = document.getElementById("checked");
const csrf = document.querySelector('meta[name="csrf"]').content;
let waiting = null, latest = 0;
const check = async () => {
  const mine = ++latest;
  const answer = await fetch("/runs/validate", { method: "POST", headers: { accept: "application/json", "x-csrf": csrf }, body: spec.value })
    .then((found) => found.json()).catch(() => ({ message: "the services do not answer", violations: [] }));
  if (mine !== latest) return;
  const right = !answer.message;
  checked.className = right ? "note good" : "note bad";
  const list = document.createElement("ul");
  for (const { field, description } of answer.violations) {
    const item = document.createElement("li"), code = document.createElement("code");
    code.textContent = field;
    item.append(code, ` ${description}`);
    list.append(item);
  }
  checked.replaceChildren(right ? `All is right. Stages: ${answer.stages.join(" → ")}` : answer.violations.length ? list : answer.message);
  document.getElementById("submit").disabled = !right;
};
spec.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(check, 500); });
check();
