// The map of a section's seats: it ticks and shows the boxes of the list below it, which works without it.
// What is free is asked every few seconds; the browser answers itself from its cache while nothing changed (ETag).
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const form = $("#choose"), map = $("#map"), sum = $("#sum"), elsewhere = $("#elsewhere");
  const word = (key) => $(`[data-say="${key}"]`, $("#words").content).textContent;
  const most = +form.dataset.most, boxes = new Map();
  for (const box of form.querySelectorAll("input[name=seat]")) boxes.set(+box.value, box);
  const said = (box) => box.parentElement.textContent.trim().replace(/\s+/g, " ");
  const chosen = () => [...boxes.values()].filter((box) => box.checked);
  const tell = (first = "") => {
    const mine = chosen();
    sum.textContent = `${first} ${mine.length ? `${word("chosen")} ${mine.map(said).join(", ")} (${mine.length}/${most})` : ""}`.trim();
  };

  let seats = [], places = new Map(), free = null;
  const isFree = (at) => !free || (free[at >> 3] >> (at & 7)) & 1;
  const draw = (at) => {
    const seat = seats[at];
    if (!seat) return;
    const box = boxes.get(at), shape = box?.checked ? "chosen" : !isFree(at) ? "taken" : seat.dataset.f & 3 ? "apart" : "free";
    if (seat.getAttribute("href") !== `#map-${shape}`) seat.setAttribute("href", `#map-${shape}`);
  };
  const named = (seat) => [`${seat.parentElement.dataset.row} ${seat.dataset.n}`, ...[1, 2, 4].filter((flag) => seat.dataset.f & flag).map(word)].join(", ");
  const spoken = (seat, at) => named(seat) + (isFree(at) ? "" : `, ${word("taken")}`);

  form.addEventListener("change", ({ target }) => {
    if (target.name !== "seat") return;
    const tooMany = target.checked && chosen().length > most;
    if (tooMany) target.checked = false;
    tell(tooMany ? word("most") : "");
    draw(+target.value);
  });

  // A seat of rows that this page doesn't list gets its box among "your seats in other rows".
  const boxOf = (at) => {
    if (boxes.has(at)) return boxes.get(at);
    const label = document.createElement("label"), box = document.createElement("input"), text = document.createElement("span");
    Object.assign(box, { type: "checkbox", name: "seat", value: at });
    text.textContent = named(seats[at]);
    label.append(box, text);
    $(".places", elsewhere).append(label);
    elsewhere.hidden = false;
    boxes.set(at, box);
    return box;
  };
  map.addEventListener("click", ({ target }) => {
    const seat = target.closest("use"), at = places.get(seat);
    if (at === undefined) return;
    if (isFree(at) && (form.dataset.accessible || !(seat.dataset.f & 3))) boxOf(at).click();
    else tell(`${spoken(seat, at)}.`);
  });
  map.addEventListener("mouseover", ({ target }) => {
    const seat = target.closest("use");
    map.title = seat ? spoken(seat, places.get(seat)) : "";
  });

  let last = "";
  const look = async () => {
    try {
      const answer = await fetch(map.dataset.free, { cache: "no-cache" });
      if (!answer.ok) return;
      const { plan, sections } = await answer.json();
      if (!map.dataset.map.includes(plan)) return location.reload(); // the hall was changed
      const section = sections.find((each) => each.id === map.dataset.section);
      if (section.free === last) return;
      last = section.free;
      free = Uint8Array.from(atob(section.free), (each) => each.charCodeAt(0));
    } catch { return; /* asked again */ }
    const gone = [];
    for (const [at, box] of boxes) {
      const had = box.checked && !isFree(at);
      if (had) { gone.push(said(box)); box.checked = false; }
      box.disabled = box.parentElement.hidden = !isFree(at);
    }
    if (gone.length) tell(`${word("gone")} ${gone.join(", ")}.`);
    seats.forEach((_, at) => draw(at));
  };
  const go = async () => {
    try {
      const answer = await fetch(map.dataset.map);
      if (!answer.ok) return;
      const drawing = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
      drawing.setAttribute("aria-hidden", "true");
      map.append(document.importNode(drawing, true));
    } catch { return; /* the list is enough */ }
    seats = [...map.querySelectorAll("use")];
    places = new Map(seats.map((seat, at) => [seat, at]));
    map.hidden = $("#map-words").hidden = false;
    seats.forEach((_, at) => draw(at));
    map.scrollLeft = (map.scrollWidth - map.clientWidth) / 2;
  };
  if (chosen().length) tell();
  go().then(look);
  setInterval(() => { if (document.visibilityState === "visible") look(); }, 4000 + Math.random() * 2000);
  addEventListener("pageshow", (event) => { if (event.persisted) look(); });
})();
