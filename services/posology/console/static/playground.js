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
  return { text: made.querySelector(".answer"), behind: made.querySelector("dl") };
};
const ask = async (model) => {
  const { text, behind } = side(model);
  const answer = await fetch("/playground/ask", { method: "POST", headers: { accept: "application/json", "x-csrf": csrf }, body: JSON.stringify({ model, question: at("question").value }) });
  if (!answer.ok) { text.textContent = (await answer.json().catch(() => ({}))).message || answer.statusText; return; }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const event of lines.map((line) => JSON.parse(line))) {
      if (event.text) text.append(event.text);
      if (event.error) text.append(event.error);
      for (const [name, id] of Object.entries(event.behind || {})) {
        const key = document.createElement("dt"), cell = document.createElement("dd");
        key.textContent = name;
        if (link[name]) { const anchor = document.createElement("a"); anchor.href = link[name](id); anchor.textContent = id; cell.append(anchor); } else cell.textContent = id;
        behind.append(key, cell);
      }
    }
  }
};
if (form) {
  const both = () => { at("sides").replaceChildren(); [at("model").value, at("other")?.value].filter(Boolean).forEach(ask); };
  form.addEventListener("submit", (event) => { event.preventDefault(); both(); });
  at("question").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) both(); });
  form.addEventListener("input", code);
  document.querySelectorAll("[data-language]").forEach((button) => button.addEventListener("click", () => {
    language = button.dataset.language;
    document.querySelectorAll("[data-language]").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    code();
  }));
  at("copy").addEventListener("click", async () => { await navigator.clipboard.writeText(at("code").textContent).then(() => { at("copied").textContent = "copied"; }, () => { at("copied").textContent = "this browser does not let pages copy; select the text"; }); });
  code();
}
