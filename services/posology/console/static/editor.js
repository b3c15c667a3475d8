// Checks the spec half a second after the last key, and says what the field at the cursor means.
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
// What was found belongs to the text that was checked: another text is not checked yet, and is not sent as if it were.
const changed = () => {
  latest++;
  clearTimeout(waiting);
  checked.className = "note";
  checked.textContent = "checking …";
  document.getElementById("submit").disabled = true;
  waiting = setTimeout(check, 500);
};
spec.addEventListener("input", changed);
window.addEventListener("pageshow", () => { changed(); clearTimeout(waiting); check(); });

// The path of the field at the cursor: keys of the lines above with less indentation, and the key on this line.
const place = () => {
  const lines = spec.value.slice(0, spec.selectionStart).split("\n"), whole = spec.value.split("\n")[lines.length - 1];
  const keys = [...whole.matchAll(/([A-Za-z]\w*)\s*:/g)], before = keys.filter((key) => key.index <= lines.at(-1).length);
  const path = [];
  if (before.length) path.push(...(/[{,]/.test(whole.slice(0, before.at(-1).index)) && before.length > 1 ? [before[0][1], before.at(-1)[1]] : [before.at(-1)[1]]));
  let depth = whole.search(/[^\s-]/);
  for (let n = lines.length - 2; n >= 0 && depth > 0; n--) {
    const line = spec.value.split("\n")[n], indent = line.search(/[^\s-]/), key = /^[\s-]*([A-Za-z]\w*)\s*:/.exec(line);
    if (key && indent >= 0 && indent < depth) { path.unshift(key[1]); depth = indent; }
  }
  return path[0] === "spec" ? path.slice(1).join(".") : null;
};
fetch("/static/spec.json").then((answer) => answer.json()).then((meanings) => {
  const tell = () => {
    const path = place();
    if (path === null) return;
    document.getElementById("field").textContent = path || "spec";
    document.getElementById("meaning").textContent = path ? meanings[path] || "There is no such field." : "";
    const below = Object.keys(meanings).filter((name) => name.startsWith(path ? `${path}.` : "") && !name.slice(path ? path.length + 1 : 0).includes("."));
    document.getElementById("fields").replaceChildren(...below.map((name) => { const item = document.createElement("li"); item.textContent = name.split(".").at(-1); return item; }));
  };
  for (const event of ["keyup", "click", "input"]) spec.addEventListener(event, tell);
});
