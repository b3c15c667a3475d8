// Keeps what the server wrote true. The parts of a page that change are marked data-live: they are replaced whole by what
// the server writes of the same part later, so no script makes a second picture of a state that could differ from the first.
"use strict";
const Live = (() => {
  const parts = () => [...document.querySelectorAll("[data-live]")];
  const written = new Map(parts().map((part) => [part.id, part.innerHTML]));
  // Replaces a part if the server writes it otherwise than before: what somebody types there stays until then.
  const swap = (id, markup) => {
    const part = document.getElementById(id), parsed = document.createElement("template");
    parsed.innerHTML = markup;
    const html = parsed.innerHTML;  // as the browser spells it, which is how the first one was remembered
    if (!part || written.get(id) === html) return;
    written.set(id, html);
    const open = new Set([...part.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
    const inside = part.contains(document.activeElement) ? [...part.querySelectorAll("a, button, input, select, summary")].indexOf(document.activeElement) : -1;
    part.innerHTML = html;
    for (const summary of part.querySelectorAll("details > summary")) if (open.has(summary.textContent)) summary.parentElement.open = true;
    if (inside >= 0) part.querySelectorAll("a, button, input, select, summary")[inside]?.focus();
  };
  let asking = null, again = false;
  // Asks for this page once more. Who asks while an answer is under way is answered by another one: it may be too old.
  const refresh = () => {
    if (asking) { again = true; return asking; }
    asking = (async () => {
      do {
        again = false;
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" }).catch(() => null);
        if (!answer?.ok) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of parts()) { const other = fresh.getElementById(part.id); if (other) swap(part.id, other.innerHTML); }
      } while (again);
    })().finally(() => { asking = null; });
    return asking;
  };
  const every = Number(document.querySelector("[data-every]")?.dataset.every || 0);
  if (every) setInterval(() => { if (!document.hidden) refresh(); }, every * 1000);
  if (every) document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  return { swap, refresh };
})();
