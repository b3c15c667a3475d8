// The review screen. The next items are here before they are needed; what is judged is kept in this browser until the
// service has it, so neither a network nor a browser that goes loses a judgement.
"use strict";
const root = document.getElementById("review");
if (root) {
  const at = (id) => document.getElementById(id);
  const name = root.dataset.review, adjudicate = root.dataset.adjudicate === "yes", task = root.dataset.task;
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const store = `posology-unsent-${name}-${root.dataset.reviewer}`;
  const AHEAD = 8, BACK = 10;
  const queue = [], past = [];      // items to come; the last ten judged, newest last
  const judged = new Set();         // judged since the page was opened, so that judging again counts once
  let current = null, shownAt = 0, times = [], sending = false, filling = null, total = 0, left = 0, closed = null;
  let changes = 0;                  // grows with every judgement that is made or stored

  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const pieces = (target, list) => target.replaceChildren(...list.map(([text, mark]) => (mark ? element("mark", text, mark) : document.createTextNode(text))));
  const unsent = () => JSON.parse(localStorage.getItem(store) || "[]");
  const keep = (list) => localStorage.setItem(store, JSON.stringify(list));
  const said = (text, tone) => { at("saving").textContent = text; at("saving").className = tone || ""; };

  const fetched = async (path, options) => {
    const answer = await fetch(path, { headers: { accept: "application/json", "x-csrf": csrf }, redirect: "manual", ...options });
    if (answer.ok) return answer.json();
    const refused = await answer.json().catch(() => ({ message: answer.statusText }));
    const away = answer.status === 401 || answer.status === 403 || answer.type === "opaqueredirect";
    throw Object.assign(new Error(refused.message), { final: answer.status >= 400 && answer.status < 500 && !away, away });
  };

  const show = (item) => {
    current = item;
    at("screen").hidden = !item;
    if (!item) return;
    at("about").textContent = [item.drug, item.title].filter(Boolean).join(": ");
    const cut = item.question.lastIndexOf("\nQuestion: ");  // an open-book pair brings its excerpt
    at("excerpt").textContent = cut < 0 ? "" : item.question.slice(0, cut);
    at("question").textContent = cut < 0 ? item.question : item.question.slice(cut + 11);
    const pair = item.answers.length > 1;
    at("answers").className = pair ? "pair" : "";
    at("answers").replaceChildren(...item.answers.map((answer) => {
      const box = element("div", "", pair ? "panel" : ""), text = element("p", "", "text answer");
      if (pair) box.append(element("strong", answer.role));
      pieces(text, answer.pieces);
      box.append(text);
      return box;
    }));
    for (const group of document.querySelectorAll("[data-set]")) group.hidden = group.dataset.set !== (pair ? "pair" : task);
    const against = at("against");
    against.hidden = !item.ratings.length;
    against.replaceChildren(element("strong", "Reviewers disagree. They said:"), ...item.ratings.map((one) => element("p", [one.judgement, one.comment, one.correction && `should read: ${one.correction}`].filter(Boolean).join(" · "))));
    at("section-panel").hidden = !item.section.length;
    pieces(at("section"), item.section);
    at("section").querySelector(".evidence")?.scrollIntoView({ block: "nearest" });
    at("back").disabled = past.length === 0;
    at("comment").value = "";
    at("correction").value = "";
    at("comment-box").hidden = at("correction-box").hidden = true;
    at("correct-button").hidden = !item.correctable;
    at("flag").setAttribute("aria-pressed", "false");
    shownAt = performance.now();
  };

  const count = () => {
    total = Math.max(total, left);
    at("progress").max = total || 1;
    at("progress").value = total - left;
    at("count").textContent = `${total - left} of ${total} ${adjudicate ? "decided" : "rated"}, ${left} left for you`;
    if (times.length > 2) {
      const middle = [...times].sort((a, b) => a - b)[times.length >> 1];
      at("pace").textContent = `· ${(middle / 1000).toFixed(1)} s an item`;
    }
  };
  const finished = (state) => {
    const open = state.state === "OPEN";
    Live.refresh();  // what the server wrote of the review's state is older than what it has just said
    at("done").hidden = false;
    at("done").className = `note ${state.state === "PASSED" ? "good" : state.state === "FAILED" ? "bad" : ""}`;
    const bound = state.bound === null || !state.bounded ? "" : ` The error rate is under ${(state.bound * 100).toFixed(2)}%; wanted: under ${(state.limit * 100).toFixed(2)}%.`;
    at("done").textContent = `Nothing is left for you here. The review is ${state.state.toLowerCase()}.${bound}`;
    at("confirm").hidden = !open || adjudicate;
    if (open) setTimeout(async () => {  // others may still rate, or it is being closed
      if (at("done").hidden) return;
      finished(await fetched(`/review/${name}/next?most=1`).catch(() => state));
    }, 3000);
  };

  // Has the next items sent; one request at a time.
  const fill = () => {
    filling ??= (async () => {
      const held = [...queue.map((item) => item.id), ...(current ? [current.id] : []), ...unsent().map((one) => one.item)];
      const query = new URLSearchParams([["most", AHEAD], ...held.map((id) => ["held", id]), ...(adjudicate ? [["adjudicate", ""]] : [])]);
      const before = changes, pending = unsent().filter((one) => one.fresh).length;
      const answer = await fetched(`/review/${name}/next?${query}`);
      const known = new Set(held);
      queue.push(...answer.items.filter((item) => !known.has(item.id)));
      total = Math.max(total, adjudicate ? answer.remaining : answer.planned);
      if (before === changes) left = Math.max(0, answer.remaining - pending);  // else it was counted before what happened meanwhile
      closed = answer;
      count();
    })().finally(() => { filling = null; });
    return filling;
  };
  const next = async () => {
    if (queue.length) { show(queue.shift()); if (queue.length < AHEAD / 2) fill().catch(() => {}); return; }
    show(null);
    for (let pause = 500; ; pause = Math.min(pause * 2, 10000)) {
      try {
        await fill();
        if (current) return;
        if (queue.length) return next();
        if (unsent().length) { await send(); continue; }
        return finished(closed);
      } catch (error) {
        said(error.message, "bad-text");
        if (error.final || error.away) return;
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  };

  // Sends what is kept, oldest first. What the service refuses is said and shown, never silently dropped.
  const send = async () => {
    if (sending) return;
    sending = true;
    for (let pause = 500; unsent().length;) {
      const [first] = unsent();
      said("saving …");
      try {
        await fetched(`/review/${name}/ratings`, { method: "POST", body: JSON.stringify(first), keepalive: true });
        keep(unsent().filter((one) => one.key !== first.key));
        changes++;
        pause = 500;
        said(unsent().length ? "saving …" : "saved");
      } catch (error) {
        if (error.final) {
          keep(unsent().filter((one) => one.key !== first.key));
          at("refused").hidden = false;
          at("refused").append(element("p", `Not taken (${first.judgement.replaceAll("_", " ").toLowerCase()}${first.comment ? `, “${first.comment}”` : ""}): ${error.message}`));
          continue;
        }
        if (error.away) { said(`${error.message}. Your judgements are kept in this browser: load the page again, and sign in.`, "bad-text"); break; }
        said("not saved yet; your judgement is kept in this browser and sent again", "bad-text");
        await new Promise((done) => setTimeout(done, pause));
        pause = Math.min(pause * 2, 10000);
      }
    }
    sending = false;
    if (!unsent().length) standing();
  };
  let due = null;
  const standing = () => { clearTimeout(due); due = setTimeout(Live.refresh, 700); };  // once nobody has rated for a moment
  const judge = (judgement) => {
    if (!current) return;
    const flagged = at("flag").getAttribute("aria-pressed") === "true", comment = at("comment").value.trim();
    const correction = at("correction-box").hidden ? "" : at("correction").value.trim();
    if (correction && judgement === "CORRECT") { said("You wrote how it should read, so it is not correct; choose 2, 3 or 4.", "bad-text"); return; }
    times.push(performance.now() - shownAt);
    const note = flagged ? ["flagged", comment].filter(Boolean).join(": ") : comment;
    const before = unsent().find((one) => one.item === current.id), fresh = before ? before.fresh : !judged.has(current.id);
    const entry = { key: `${Date.now()}-${Math.random()}`, item: current.id, judgement, comment: note, correction, adjudicate, fresh };
    keep([...unsent().filter((one) => one.item !== current.id), entry]);
    if (!judged.has(current.id)) { judged.add(current.id); left = Math.max(0, left - 1); }
    changes++;
    past.push(current);
    if (past.length > BACK) past.shift();
    count();
    current = null;
    send();
    next();
  };
  const back = () => {
    if (!past.length) return;
    at("done").hidden = at("confirm").hidden = true;
    if (current) queue.unshift(current);
    show(past.pop());
  };
  const open = (box, field, text) => { at(box).hidden = false; if (text && !at(field).value) at(field).value = text; at(field).focus(); };
  const comment = () => open("comment-box", "comment");
  const correct = () => { if (current?.correctable) open("correction-box", "correction", current.answers[0].text); };
  const flag = () => at("flag").setAttribute("aria-pressed", String(at("flag").getAttribute("aria-pressed") !== "true"));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("textarea")) { if (event.key === "Escape") { event.preventDefault(); event.target.blur(); } return; }
    if (event.target.matches("input, select") || at("help").open) return;
    const number = "12345".indexOf(event.key), keys = { c: comment, e: correct, f: flag, u: back, b: back, "?": () => at("help").showModal() };
    if (number >= 0) document.querySelectorAll("[data-set]:not([hidden]) [data-judgement]")[number]?.click();
    else if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  document.querySelectorAll("[data-judgement]").forEach((button) => button.addEventListener("click", () => { judge(button.dataset.judgement); button.blur(); }));
  for (const [id, act] of [["back", back], ["back-again", back], ["comment-button", comment], ["correct-button", correct], ["flag", flag], ["help-button", () => at("help").showModal()]]) at(id).addEventListener("click", act);
  window.addEventListener("online", send);
  at("sheet")?.addEventListener("change", async (event) => {
    const text = await event.target.files[0].text();
    try {
      const answer = await fetched(`/review/${name}/ratings.csv`, { method: "POST", body: text });
      at("sheet-said").textContent = `${answer.ratings} judgements taken`;
      setTimeout(() => location.reload(), 800);
    } catch (error) { at("sheet-said").textContent = error.message; }
    event.target.value = "";
  });
  send().then(next);
}
