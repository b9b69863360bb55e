// What the console's pages do by themselves where scripts run; without them each page works all the same.
"use strict";
(() => {
  // What changes comes as server-sent events, each the whole of what changes, until somebody pauses it.
  const stream = document.getElementById("stream");
  const pause = document.getElementById("pause");
  const put = (html) => {
    const active = document.activeElement;
    const read = stream.contains(active) ? active : null;
    // Whoever reads within it by keyboard is not thrown out; who is at something that opens stays there.
    const at = read?.tagName === "SUMMARY" ? read.parentElement.id : "";
    if (read && !at) return;
    const open = [...stream.querySelectorAll("details[open][id]")].map((each) => each.id);
    const scrolled = [...stream.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    stream.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    stream.querySelectorAll(".scroll").forEach((each, at) => { each.scrollLeft = scrolled[at] || 0; });
    if (at) document.getElementById(at)?.querySelector("summary").focus({ preventScroll: true });
    if (stream.querySelector("[data-over]")) for (const id of ["end", "pause"]) document.getElementById(id)?.setAttribute("hidden", "");
  };
  if (stream?.dataset.stream) {
    let source;
    const listen = () => {
      source = new EventSource(stream.dataset.stream);
      source.onmessage = (message) => put(JSON.parse(message.data));
      source.onerror = () => {
        if (source?.readyState === EventSource.CLOSED) document.getElementById("stopped").hidden = false; // signed out
      };
    };
    const stop = () => { source?.close(); source = null; };
    const label = pause?.textContent;
    if (pause) {
      pause.hidden = false;
      pause.addEventListener("click", () => {
        if (source) stop(); else listen();
        pause.textContent = source ? label : pause.dataset.go;
      });
    }
    addEventListener("pagehide", stop);
    addEventListener("pageshow", (event) => { if (event.persisted && pause?.textContent === label) listen(); });
    listen();
  }

  // A check of the chain goes on by itself, part by part, until it is over or somebody leaves.
  const check = document.getElementById("check");
  const go = async (form) => {
    const answer = await fetch(form.dataset.part, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    if (!answer.ok) return form.submit();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    const had = check.contains(document.activeElement);
    check.replaceChildren(...fresh.childNodes);
    const next = check.querySelector("form");
    if (next.elements.after) { next.hidden = true; return go(next); }
    if (had) next.querySelector("button").focus();
  };
  check?.addEventListener("submit", (event) => {
    event.preventDefault();
    event.target.querySelector("button").disabled = true;
    go(event.target).catch(() => event.target.submit());
  });

  // Time travel: the sale follows the slider; what comes late for another moment is passed over.
  const travel = document.getElementById("travel");
  const then = document.getElementById("then");
  if (travel) {
    let asked = 0, timer;
    const look = async () => {
      const mine = ++asked;
      const query = new URLSearchParams(new FormData(travel));
      try {
        const answer = await fetch(`${travel.dataset.then}?${query}`, { cache: "no-store", redirect: "manual" });
        if (!answer.ok || mine !== asked) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
        then.replaceChildren(...fresh.childNodes);
        history.replaceState(null, "", `?${query}`);
      } catch { /* the button asks again */ }
    };
    travel.querySelector("input[type=range]").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 60); });
  }
})();
