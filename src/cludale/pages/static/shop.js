// What the shop's pages do by themselves where scripts run; without them each page works all the same.
// No library: availability by server-sent events, an order's state by asking, countdowns by the server's clock.
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = (text) => { const said = $("#said"); if (said) said.textContent = text.trim().replace(/\s+/g, " "); };

  // The server's clock: the browser's may be wrong. Of three answers the quickest counts.
  let ahead = 0, asked = null;
  const clock = () => (asked ??= (async () => {
    let best = Infinity;
    for (let i = 0; i < 3; i++) try {
      const began = performance.now(), at = Date.now();
      const { now } = await (await fetch("/shop/clock", { cache: "no-store" })).json();
      const took = performance.now() - began;
      if (took < best) { best = took; ahead = now - (at + took / 2); }
    } catch { break; }
  })());

  const two = (n) => String(n).padStart(2, "0");
  const left = (seconds) => {
    const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    if (!d) return h ? `${h}:${rest}` : rest;
    const unit = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "day", unitDisplay: "long" });
    return `${unit.format(d)} ${two(h)}:${rest}`;
  };
  const done = new Set();
  const tick = () => {
    for (const count of $$("[data-until]")) {
      const until = +count.dataset.until, seconds = Math.max(0, Math.ceil((until - Date.now() - ahead) / 1000));
      const shown = $(".left", count);
      count.hidden = shown.hidden = false;
      shown.textContent = left(seconds);
      const by = $(".by", count);
      if (by) by.hidden = true;
      count.classList.toggle("soon", seconds <= 60);
      if (!seconds && !done.has(until)) {
        done.add(until);
        if (count.dataset.atEnd === "reload") setTimeout(() => location.reload(), 300 + Math.random() * 700);
        else look();
      }
    }
  };
  if ($("[data-until]") || $("#state")) clock().then(() => { tick(); setInterval(tick, 250); });

  // A form that is sent once: a second press does nothing, and the button says that it works.
  const once = (within) => $$("form.once", within).forEach((form) => form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    const button = $("button", form);
    setTimeout(() => { button.disabled = true; button.setAttribute("aria-busy", "true"); });
  }));
  once(document);
  // Back from the page before: what was sent then may be sent again; it is the same order.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    if ($("form.once")) location.reload();
  });

  // What is wrong with a form is read first.
  const wrong = $("#refusal");
  if (wrong) { wrong.tabIndex = -1; wrong.focus(); }

  // A concert: each section's seats as they change.
  const concert = $("#concert");
  const show = (frame) => {
    if (frame.sale !== concert.dataset.sale) { location.reload(); return; }
    const changed = [];
    for (const [id, [level, n]] of Object.entries(frame.sections)) {
      const row = $$("label.section").find((each) => each.dataset.section === id), seats = row && $(".seats", row);
      if (!seats) continue;
      const word = $(`[data-level="${level}"]`, $("#words").content).firstElementChild.cloneNode(true);
      if (level === "few") word.textContent = word.textContent.replace("0", n);
      if (seats.textContent.trim() === word.textContent.trim()) continue;
      seats.replaceChildren(word);
      const choice = $("input", row);
      choice.disabled = frame.sale !== "open" || level === "held" || level === "none";
      if (choice.disabled) choice.checked = false;
      changed.push(`${$("strong", row).textContent}: ${word.textContent}`);
    }
    if (changed.length) say(changed.join(". "));
  };
  if (concert && concert.dataset.sale !== "over") {
    const at = `/shop/concerts/${concert.dataset.concert}`;
    let polling = null;
    const poll = async () => {
      try {
        const answer = await fetch(`${at}/seats`, { cache: "no-cache" });
        if (answer.ok) show(await answer.json());
      } catch { /* asked again */ }
    };
    const follow = () => {
      const events = new EventSource(`${at}/live`);
      events.onmessage = (event) => { clearInterval(polling); polling = null; show(JSON.parse(event.data)); };
      events.onerror = () => {
        // The browser tries again by itself, unless it was turned away: then we ask.
        if (events.readyState === EventSource.CLOSED) { polling ??= setInterval(poll, 3000 + Math.random() * 2000); }
      };
      addEventListener("pagehide", () => events.close(), { once: true });
    };
    follow();
  }

  // An order: how it stands, until it has come to an end.
  const state = $("#state");
  let tag = "", next = null, looking = false;
  const isOver = () => "settled" in $("section", state).dataset;
  async function look() {
    if (!state || looking) return;
    looking = true;
    clearTimeout(next);
    try {
      const answer = await fetch(`/shop/${state.dataset.kind || "orders"}/${state.dataset.order}/state${location.search}`, { headers: tag ? { "if-none-match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("etag") || "";
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
        const part = $("section", fresh), now = part.dataset.standing;
        if (now !== state.dataset.standing || "settled" in part.dataset) {
          const focused = state.contains(document.activeElement);
          state.dataset.standing = now;
          state.replaceChildren(...fresh.childNodes);
          once(state);
          tick();
          say($("h1", state).textContent);
          if (focused) { const title = $("h1", state); title.tabIndex = -1; title.focus(); }
        }
      } else if (answer.status === 404) { location.reload(); }
    } catch { /* asked again */ }
    looking = false;
    const count = $("[data-until]", state), isUp = count && +count.dataset.until <= Date.now() + ahead;
    const busy = isUp || ["asking", "paying", "confirming", "cancelled"].includes(state.dataset.standing);
    if (!isOver()) next = setTimeout(look, busy ? 700 : 5000);
  }
  if (state && !isOver()) next = setTimeout(look, 700);
})();
