"use strict";
const form = document.getElementById("ask"), at = (id) => document.getElementById(id);
const csrf = document.querySelector('meta[name="csrf"]').content;
const link = { answer: (id) => `/evidence/search?what=${encodeURIComponent(id)}`, "model-digest": (id) => `/evidence/artifacts/${id}`, verdict: (id) => `/evidence/artifacts/${id}`, dataset: (id) => `/data/${id}` };
const curl = () => {
  const body = JSON.stringify({ model: at("model").value, messages: [{ role: "user", content: at("question").value || "..." }] });
  at("curl").textContent = `curl ${form.dataset.gateway}/v1/chat/completions -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
};
const ask = async () => {
  at("answer").textContent = "";
  at("behind").replaceChildren();
  const answer = await fetch("/playground/ask", { method: "POST", headers: { accept: "application/json", "x-csrf": csrf }, body: JSON.stringify({ model: at("model").value, question: at("question").value }) });
  if (!answer.ok) { at("answer").textContent = (await answer.json().catch(() => ({}))).message || answer.statusText; return; }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const told of lines.map((text) => JSON.parse(text))) {
      if (told.text) at("answer").append(told.text);
      if (told.error) at("answer").append(told.error);
      for (const [name, id] of Object.entries(told.behind || {})) {
        const key = document.createElement("dt"), cell = document.createElement("dd");
        key.textContent = name;
        if (link[name]) { const anchor = document.createElement("a"); anchor.href = link[name](id); anchor.textContent = id; cell.append(anchor); } else cell.textContent = id;
        at("behind").append(key, cell);
      }
    }
  }
};
if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  at("question").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) ask(); });
  form.addEventListener("input", curl);
  curl();
}
