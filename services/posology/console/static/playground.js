"use strict";
const form = document.getElementById("ask"), at = (id) => document.getElementById(id);
const csrf = document.querySelector('meta[name="csrf"]').content;
const link = { answer: (id) => `/evidence/search?what=${encodeURIComponent(id)}`, "model-digest": (id) => `/evidence/artifacts/${id}`, verdict: (id) => `/evidence/artifacts/${id}`, dataset: (id) => `/data/${id}` };
let language = "curl";
const CODE = {
  curl: (url, body) => `curl ${url} -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`,
  Python: (url, body) => `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(url.replace("/chat/completions", ""))}, api_key=os.environ["KEY"])\nanswer = client.chat.completions.create(model=${JSON.stringify(body.model)}, messages=${JSON.stringify(body.messages)})\nprint(answer.choices[0].message.content)`,
  JavaScript: (url, body) => `const answer = await fetch(${JSON.stringify(url)}, {\n  method: "POST",\n  headers: { authorization: \`Bearer \${process.env.KEY}\`, "content-type": "application/json" },\n  body: JSON.stringify(${JSON.stringify(body)}),\n});\nconsole.log((await answer.json()).choices[0].message.content);`,
};
const code = () => {
  const body = { model: at("model").value, messages: [{ role: "user", content: at("question").value || "..." }] };
  at("code").textContent = CODE[language](`${form.dataset.gateway}/v1/chat/completions`, body);
};
const side = (model) => {
  const made = at("side").content.cloneNode(true).firstElementChild;
  made.querySelector("h2").textContent = model;
  at("sides").append(made);
  return made;
};
const sent = (path, body) => fetch(path, { method: "POST", headers: { accept: "application/json", "x-csrf": csrf }, body: JSON.stringify(body) });
// A thumb is stored as it is pressed; what is written beside it is sent with it once more.
const thumbs = (panel, answer) => {
  const marks = panel.querySelector(".marks");
  if (!marks) return;
  const told = panel.querySelector(".marked"), why = panel.querySelector(".why"), text = why.querySelector("input");
  let thumb = null, latest = 0;
  const send = async () => {
    const mine = ++latest;
    told.textContent = "…";
    const reply = await sent("/playground/mark", { answer, thumb, comment: text.value }).catch(() => null);
    const body = await reply?.json().catch(() => null);
    if (mine !== latest) return;
    if (!reply?.ok) { told.textContent = body?.message || "not stored: the console does not answer"; return; }
    marks.querySelectorAll("[data-thumb]").forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.thumb === thumb)));
    told.textContent = body.has_text ? "stored; a lead can have this answer reviewed" : "counted; this installation keeps no text of answers, so no review can show it";
    why.hidden = !body.has_text;
  };
  marks.hidden = false;
  marks.querySelectorAll("[data-thumb]").forEach((button) => button.addEventListener("click", () => { thumb = button.dataset.thumb; send(); }));
  why.querySelector("button").addEventListener("click", send);
  text.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); send(); } });
};
const ask = async (model, question) => {
  const panel = side(model), state = panel.querySelector(".state"), text = panel.querySelector(".answer"), behind = panel.querySelector("dl");
  const failed = (message) => { state.textContent = message; state.className = "state bad-text"; };
  state.textContent = "asking …";
  let id = "", broken = false;
  try {
    const answer = await sent("/playground/ask", { model, question });
    if (!answer.ok) { failed((await answer.json().catch(() => ({}))).message || answer.statusText || "sign in again"); return; }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const event of lines.map((line) => JSON.parse(line))) {
        if (event.text) { state.textContent = "answering …"; text.append(event.text); }
        if (event.error) { broken = true; failed(`${event.error}${text.textContent ? "; the answer is not whole" : ""}`); }
        for (const [name, value] of Object.entries(event.behind || {})) {
          const key = document.createElement("dt"), cell = document.createElement("dd");
          if (name === "answer") id = value;
          key.textContent = name;
          if (link[name]) { const anchor = document.createElement("a"); anchor.href = link[name](value); anchor.textContent = value; cell.append(anchor); } else cell.textContent = value;
          behind.append(key, cell);
          panel.querySelector(".behind").hidden = false;
        }
      }
    }
    if (broken) return;
    state.textContent = text.textContent ? "" : "the model answered nothing";
    if (id) thumbs(panel, id);
  } catch (error) { failed(`the console does not answer (${error.message})${text.textContent ? "; the answer is not whole" : ""}`); }
};
if (form) {
  const both = () => {
    const question = at("question").value;
    if (!form.reportValidity()) return;
    at("sides").replaceChildren();
    [at("model").value, at("other")?.value].filter(Boolean).forEach((model) => ask(model, question));
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); both(); });
  at("question").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) both(); });
  form.addEventListener("input", code);
  window.addEventListener("pageshow", code);  // the browser may have put an earlier text back
  document.querySelectorAll("[data-language]").forEach((button) => button.addEventListener("click", () => {
    language = button.dataset.language;
    document.querySelectorAll("[data-language]").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    code();
  }));
  at("copy").addEventListener("click", async () => { await navigator.clipboard.writeText(at("code").textContent).then(() => { at("copied").textContent = "copied"; }, () => { at("copied").textContent = "this browser does not let pages copy; select the text"; }); });
  code();
}
