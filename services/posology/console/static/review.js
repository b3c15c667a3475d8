// The review screen: one key an item; what is judged is kept here until the service has it.
"use strict";
const root = document.getElementById("review");
if (root) {
  const at = (id) => document.getElementById(id);
  const name = root.dataset.review, adjudicate = root.dataset.adjudicate === "yes";
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const query = adjudicate ? "?adjudicate" : "";
  const store = `posology-unsent-${name}`;
  const past = [];                  // the last ten items, newest last
  let current = null, shownAt = 0, times = [], sending = false;

  const pieces = (target, list) => {
    target.replaceChildren(...list.map(([text, mark]) => {
      if (!mark) return document.createTextNode(text);
      const element = document.createElement("mark");
      element.className = mark;
      element.textContent = text;
      return element;
    }));
  };
  const show = (item) => {
    current = item;
    at("screen").hidden = !item;
    if (!item) return;
    at("about").textContent = [item.drug, item.title].filter(Boolean).join(": ");
    const cut = item.question.lastIndexOf("\nQuestion: ");  // an open-book pair brings its excerpt
    at("excerpt").textContent = cut < 0 ? "" : item.question.slice(0, cut);
    at("question").textContent = cut < 0 ? item.question : item.question.slice(cut + 11);
    at("answers").replaceChildren(...item.answers.map((answer) => {
      const box = document.createElement("p"), label = document.createElement("strong"), text = document.createElement("span");
      label.textContent = item.answers.length > 1 ? (answer.role === "answer" ? "Chosen: " : "Rejected: ") : "";
      text.className = "text";
      pieces(text, answer.pieces);
      box.append(label, text);
      return box;
    }));
    pieces(at("section"), item.section);
    at("section").querySelector(".evidence")?.scrollIntoView({ block: "nearest" });
    at("back").disabled = past.length === 0;
    at("comment").value = "";
    at("comment-box").hidden = true;
    shownAt = performance.now();
  };
  const progress = (answer) => {
    at("progress").value = answer.rated;
    at("count").textContent = `${answer.rated} of ${answer.planned} rated${answer.item ? `, ${answer.item.remaining} left for you` : ""}`;
    if (times.length > 2) {
      const middle = [...times].sort((a, b) => a - b)[times.length >> 1];
      at("pace").textContent = `${(middle / 1000).toFixed(1)} s an item`;
    }
    at("done").hidden = Boolean(answer.item);
    at("done").className = `note ${answer.state === "PASSED" ? "good" : answer.state === "FAILED" ? "bad" : ""}`;
    at("confirm").hidden = Boolean(answer.item) || answer.state !== "OPEN";
    if (!answer.item) {
      const bound = answer.bound === null ? "" : ` The error rate is under ${(answer.bound * 100).toFixed(2)}%; wanted: under ${(answer.limit * 100).toFixed(2)}%.`;
      at("done").textContent = `Nothing is left for you here. The review is ${answer.state.toLowerCase()}.${bound}`;
    }
  };
  const fetched = async (path, options) => {
    const answer = await fetch(path, { headers: { accept: "application/json", "x-csrf": csrf }, ...options });
    if (!answer.ok) {
      const refused = await answer.json().catch(() => ({ message: answer.statusText }));
      throw Object.assign(new Error(refused.message), { final: answer.status < 500 });
    }
    return answer.json();
  };
  const unsent = () => JSON.parse(localStorage.getItem(store) || "[]");
  const keep = (list) => localStorage.setItem(store, JSON.stringify(list));
  // Sends what is kept, oldest first; the answer to the last one carries the next item.
  const send = async () => {
    if (sending) return;
    sending = true;
    for (let pause = 500; unsent().length;) {
      const [first, ...rest] = unsent();
      at("saving").textContent = "saving …";
      try {
        const answer = await fetched(`/review/${name}/ratings${query}`, { method: "POST", body: JSON.stringify(first) });
        keep(rest);
        pause = 500;
        at("saving").textContent = "saved";
        progress(answer);
        if (!current || current.id === first.item) show(answer.item);
      } catch (error) {
        if (error.final) { keep(rest); at("saving").textContent = `not taken: ${error.message}`; continue; }
        at("saving").textContent = "not saved yet; your judgement is kept in this browser and sent again";
        await new Promise((done) => setTimeout(done, pause));
        pause = Math.min(pause * 2, 10000);
      }
    }
    sending = false;
  };
  const judge = (judgement) => {
    if (!current || sending) return;
    times.push(performance.now() - shownAt);
    past.push(current);
    if (past.length > 10) past.shift();
    keep([...unsent(), { item: current.id, judgement, comment: at("comment").value, adjudicate }]);
    send();
  };
  const back = () => { if (past.length) { at("done").hidden = at("confirm").hidden = true; show(past.pop()); } };
  const comment = () => { at("comment-box").hidden = false; at("comment").focus(); };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === at("comment")) { if (event.key === "Escape") { event.preventDefault(); at("comment").blur(); } return; }
    if (event.target.matches("input, select, textarea") || at("help").open) return;
    const number = "1234".indexOf(event.key);
    if (number >= 0) document.querySelectorAll("[data-judgement]")[number]?.click();
    else if (event.key === "c") { event.preventDefault(); comment(); }
    else if (event.key === "u" || event.key === "b") back();
    else if (event.key === "?") at("help").showModal();
  });
  document.querySelectorAll("[data-judgement]").forEach((button) => button.addEventListener("click", () => judge(button.dataset.judgement)));
  at("back").addEventListener("click", back);
  at("back-again").addEventListener("click", back);
  at("comment-button").addEventListener("click", comment);
  at("help-button").addEventListener("click", () => at("help").showModal());
  window.addEventListener("online", send);
  const begin = async () => {
    await send();
    for (let pause = 500; ; pause = Math.min(pause * 2, 10000)) {
      try {
        const answer = await fetched(`/review/${name}/next${query}`);
        progress(answer);
        return show(answer.item);
      } catch (error) {
        at("saving").textContent = error.message;
        if (error.final) return;
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  };
  begin();
}
