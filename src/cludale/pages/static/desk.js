// What the desk's pages do by themselves where scripts run; without them each page works all the same.
"use strict";
(() => {
  // A form that is sent once: a second press does nothing.
  for (const form of document.querySelectorAll("form.once")) form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    for (const button of form.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
  });
  addEventListener("pageshow", (event) => { if (event.persisted && document.querySelector("form.once")) location.reload(); });

  // What is wrong with a form is read first.
  const wrong = document.getElementById("refusal");
  if (wrong) { wrong.tabIndex = -1; wrong.focus(); }

  // Sales as they happen: asked for while somebody looks, and the more slowly the longer an answer takes.
  const live = document.getElementById("live");
  if (!live) return;
  let wait = 5000;
  const look = async () => {
    if (document.hidden) return again();
    const began = performance.now();
    try {
      const answer = await fetch(live.dataset.live, { cache: "no-store", redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 403) return; // signed out: nothing moves any more
      if (answer.ok && !live.contains(document.activeElement)) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
        live.replaceChildren(...fresh.childNodes);
      }
    } catch { /* asked again */ }
    wait = Math.max(5000, 10 * (performance.now() - began));
    again();
  };
  const again = () => setTimeout(look, wait);
  again();
})();
