// The door's page where scripts run: scanner, camera, sound; and without network by this phone alone, told later.
"use strict";
(async () => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const door = $("#door"), { concert, door: name, zone } = door.dataset, lang = document.documentElement.lang;
  const form = $("#scan"), code = $("#code"), words = $("#words").content, WAIT_MS = 3000, BATCH = 20, LOOK_MS = 5000, LOAD_MS = 30000;
  const word = (key, values = {}) => $(`[data-word="${key}"]`, words).textContent.trim().replace(/\s+/g, " ").replace(/\{(\w+)\}/g, (_, each) => values[each] ?? "");
  const section = (id) => [...words.querySelectorAll("[data-section]")].find((each) => id && each.dataset.section.startsWith(id))?.textContent ?? id ?? "";
  const when = (at) => {
    const today = (time) => new Date(time).toDateString(), day = today(at) === today(Date.now()) ? {} : { day: "numeric", month: "short" };
    return new Intl.DateTimeFormat(lang, { ...day, hour: "2-digit", minute: "2-digit", ...(zone && { timeZone: zone, timeZoneName: "short" }) }).format(at);
  };
  const show = (element, text) => { element.hidden = !text; if (element.textContent !== text) element.textContent = text; };

  // The server
  class Away extends Error {}
  let online = navigator.onLine, refused = "";
  const ask = async (path, fields, headers = {}) => {
    let answer;
    try {
      const body = fields && new URLSearchParams({ csrf: form.csrf.value, ...fields });
      answer = await fetch(path, { method: fields ? "POST" : "GET", body, cache: "no-store", headers: { accept: "application/json", ...headers }, signal: AbortSignal.timeout(WAIT_MS) });
    } catch { online = false; throw new Away(); }
    if (answer.status === 429 || answer.status >= 500) { online = false; throw new Away(); }
    online = true;
    refused = answer.status === 401 ? "unpaired" : answer.status === 403 ? "old" : "";
    if (refused || answer.status >= 400) throw new Error(refused || `status ${answer.status}`);
    return answer;
  };

  // What this phone goes by
  let stored = true, device, shot = null, loadedAt = 0, offset = 0, isRight = false;
  const able = await Ticket.can(), now = () => Date.now() + offset;
  const trust = async (kept) => { try { return await Ticket.snapshot(kept.snapshot, kept.keys, concert); } catch { return null; } };
  try {
    await Journal.open();
    device = await Journal.device(name);
    offset = await Journal.get("offset") ?? 0;
    const kept = await Journal.get(`snapshot ${concert}`);
    if (kept && able) shot = await trust(kept);
    loadedAt = kept?.at ?? 0;
  } catch { stored = false; device = `${name}-${Math.random().toString(36).slice(2)}`; }

  let tag = "", loaded = 0;
  const load = async () => {
    if (!stored || !able || performance.now() < loaded) return;
    const answer = await ask("/door/snapshot", null, shot && tag ? { "if-none-match": tag } : {});
    if (answer.status === 200) {
      const kept = { ...await answer.json(), at: now() }, fresh = await trust(kept);
      if (!fresh) return;
      await Journal.keep(`snapshot ${concert}`, kept);
      shot = fresh;
      tag = answer.headers.get("etag");
    }
    loadedAt = now();
    loaded = performance.now() + LOAD_MS;
  };

  // Telling what waits. A scan is known by device and sequence, so it may be told twice.
  const merge = async (scans) => {
    const began = Date.now(), answer = await ask("/door/merge", { device, clock: new Date(began).toISOString(), scans: JSON.stringify(scans) });
    const said = await answer.json();
    offset = Date.parse(said.serverTime) - (began + Date.now()) / 2;
    isRight = true;
    await Journal.keep("offset", offset);
    return said;
  };
  const found = new Map();
  const tell = async () => {
    let told = 0, waiting;
    if (!stored || !(await Journal.count(concert, "waiting") || !isRight)) return 0;
    await merge([]);
    while ((waiting = await Journal.waiting(concert, BATCH)).length) {
      let last = 0;
      const scans = waiting.map(({ sequence, code, door, direction, clock, undone }) => {
        last = Math.max(last, Math.min(clock + offset, now()));  // a clock may have been set back meanwhile
        return { sequence, code, door, direction, at: new Date(last).toISOString(), ...(undone && { undone }) };
      });
      const said = await merge(scans), become = new Map(said.scans.map((each) => [each.sequence, each.result]));
      // What was undone while it was under way waits on.
      const before = new Map(waiting.map((each) => [each.sequence, each.undone]));
      await Journal.change(become, (each, result) => each.undone === before.get(each.sequence) && { state: ["recorded", "known"].includes(result) ? "told" : "not-taken" });
      for (const each of said.conflicts) found.set(each.entered.scanId + each.kind, each);
      told += said.scans.length;
    }
    return told;
  };

  // What the page shows
  let counts = null, toldLast = 0, lost = 0;
  const row = (each) => {
    const at = (passage) => ({ at: when(Date.parse(passage.at)), door: passage.door }), item = document.createElement("li");
    item.textContent = word("entry", { kind: word(`kind-${each.kind}`), n: each.ticketId.split(".").pop(), ...at(each.entered) }) + (each.earlier ? `; ${word("earlier", at(each.earlier))}` : "") + (each.movedTo ? `; ${word("moved", { at: "", door: `${each.movedTo.row} ${each.movedTo.number}` })}` : "");
    return item;
  };
  const refresh = async () => {
    const waiting = stored ? await Journal.waiting(concert) : [], net = $("#net");
    const fresh = shot && now() < shot.expires;
    const state = refused || (online ? "online" : !stored ? "no-store" : !able ? "cannot" : fresh ? "offline" : "empty");
    show(net, word(state, { at: fresh ? when(shot.expires) : "" }) + (online && toldLast ? ` ${word("told", { n: toldLast })}` : ""));
    net.className = `note ${state === "online" ? "good" : state === "offline" ? "warn" : "bad"}`;
    lost = stored ? await Journal.count(concert, "not-taken") : 0;
    show($("#waits"), [waiting.length && word("waiting", { n: waiting.length, at: when(waiting[0].clock + offset) }), lost && word("not-taken", { n: lost })].filter(Boolean).join(" "));
    show($("#loaded"), fresh ? word("loaded", { at: when(loadedAt), until: when(shot.expires) }) : "");
    $("#merged").hidden = !found.size;
    $("#merged ul").replaceChildren(...[...found.values()].slice(-20).map(row));
    if (!counts) return;
    const news = (way) => waiting.filter((each) => each.direction === way && !each.undone).length, format = new Intl.NumberFormat(lang);
    const shown = { came: counts.came + news("in"), left: counts.left + news("out"), inside: counts.inside + news("in") - news("out") };
    for (const [each, n] of Object.entries(shown)) show($(`[data-count=${each}]`), format.format(Math.max(0, n)));
  };
  let looking = null;
  const look = () => looking ??= (async () => {
    try {
      await load();
      toldLast = await tell() || toldLast;
      counts = await (await ask("/door/counts")).json();
    } catch { /* `refresh` says so */ }
    looking = null;
    await refresh();
  })();

  // Answers
  let audio = null, until = 0;
  const sound = $("#sound");
  sound.checked = localStorage.getItem("door-sound") !== "off";
  sound.addEventListener("change", () => localStorage.setItem("door-sound", sound.checked ? "on" : "off"));
  const beep = (good) => {
    navigator.vibrate?.(good ? 80 : [200, 100, 200]);
    if (!sound.checked || !window.AudioContext) return;
    audio ??= new AudioContext();
    audio.resume();
    (good ? [880, 1320] : [220, 180, 220]).forEach((pitch, i) => {
      const tone = audio.createOscillator(), volume = audio.createGain(), at = audio.currentTime + i * 0.15;
      tone.type = good ? "sine" : "square";
      tone.frequency.value = pitch;
      volume.gain.value = 0.2;
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(until = at + 0.12);
      tone.onended = () => { if (audio.currentTime >= until) audio.suspend(); };
    });
  };
  let last = null;
  const undo = $("#undo");
  const say = (said, direction) => {
    const good = said.result === "valid", panel = document.createElement("div");
    const line = (text, kind = "") => { const p = document.createElement("p"); p.className = kind; p.textContent = text; panel.append(p); return p; };
    panel.className = `says ${good ? "good" : "bad"}`;
    const sign = document.createElement("span");
    sign.textContent = good ? "✓" : "✕";
    sign.ariaHidden = "true";
    line(` ${word(good ? direction : "stop")}`, "big").prepend(sign);
    const moved = said.movedTo ? `${said.movedTo.row} ${said.movedTo.number}` : "";
    line(word(moved ? "moved" : said.result, { at: said.at ? when(said.at) : "", door: moved || (said.door ?? "") }), "why");
    if (said.number) line(word("which", { n: said.number, of: said.quantity, section: section(said.section) }));
    if (said.alone) line(word("alone"));
    $("#answer").replaceChildren(panel);
    last = good && direction === "in" && stored ? said.sequence : null;
    undo.hidden = last === null;
    beep(good);
  };

  // One scan: in the journal, then asked, else decided here; and only then said.
  const scan = async (text, direction) => {
    const record = { code: text, concert, door: name, direction, clock: Date.now() };
    const sequence = stored ? await Journal.begin(record) : 0, id = `${device}.${sequence || Date.now().toString(36)}`;
    const written = (ticket, decide) => (stored ? Journal.decided(sequence, ticket, (own) => ({ ticket, id, ...decide(own) })) : decide([]));
    if (online) try {
      const said = await (await ask("/door/scan", { code: text, direction, scan: id })).json();
      const at = Date.parse(said.at) || null, good = said.result === "valid";
      await written(said.ticketId ?? "", () => ({ result: said.result, at, state: good ? "told" : "refused" }));
      if (good && counts) { const n = direction === "in" ? 1 : -1; counts[n > 0 ? "came" : "left"]++; counts.inside += n; }
      return { ...said, at, sequence };
    } catch (error) { if (!(error instanceof Away)) return { result: refused || "away", sequence }; }
    const at = now();
    if (!stored || !able || !shot || at >= shot.expires) {
      await written("", () => ({ result: "stale", state: "refused", at }));
      return { result: "stale", sequence, alone: true };
    }
    const claims = await Ticket.read(shot, text, at);
    let said = { result: "forged" };
    await written(claims?.ticket ?? "", (own) => {
      if (claims) said = Ticket.judge(shot, claims, own.filter((each) => each.result === "valid"), direction, at);
      return { result: said.result, at, state: said.result === "valid" ? "waiting" : "refused" };
    });
    return { ...claims, ...said, sequence, alone: true };
  };
  let turn = Promise.resolve();
  const next = (text) => turn = turn.then(async () => {
    const direction = form.direction.value;
    form.ariaBusy = "true";
    // The answer to the one before must not be taken for this one's.
    const wait = document.createElement("p");
    wait.className = "says wait big";
    wait.ariaHidden = "true";
    wait.textContent = "…";
    $("#answer").replaceChildren(wait);
    undo.hidden = true;
    last = null;
    try { say(await scan(text.trim().toUpperCase(), direction), direction); } catch { say({ result: "away" }, direction); }
    form.ariaBusy = "false";
    await refresh();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (code.value.trim()) next(code.value);
    code.value = "";
  });
  // A hand scanner types wherever the focus is, if that takes no text.
  addEventListener("keydown", (event) => {
    if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest?.("input[name=code], select")) code.focus();
  });
  undo.addEventListener("submit", (event) => {
    event.preventDefault();
    if (last === null) return;
    const sequence = last;
    last = null;
    turn = turn.then(async () => {
      await Journal.change(new Map([[sequence, undo.reason.value]]), (_, undone) => ({ undone, state: "waiting" }));
      undo.hidden = true;
      const said = document.createElement("p");
      said.className = "note good";
      said.textContent = word("undone");
      $("#answer").replaceChildren(said);
      $("#answer").focus();
      // Told before the next scan is asked about, which would be refused for what was undone.
      if (online) try { await tell(); } catch { /* `refresh` says so */ }
      await refresh();
      look();
    });
  });

  // The camera
  const camera = $("#camera"), view = $("#view");
  let stream = null, before = "", seen = 0;
  const stop = () => { stream?.getTracks().forEach((each) => each.stop()); stream = view.srcObject = null; $("#lens").hidden = true; camera.ariaPressed = "false"; };
  // The browser's own decoder; where it has none, one that is loaded when it is needed.
  const own = "BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats().catch(() => [])).includes("qr_code");
  const decoder = async () => (own ? BarcodeDetector : (await import(door.dataset.decoder)).BarcodeDetector);
  const watch = async (detector) => {
    while (stream) {
      const [read] = await detector.detect(view).catch(() => []), at = performance.now();
      // The same code in front of the camera is one scan.
      if (read && (read.rawValue !== before || at - seen > 3000)) next(before = read.rawValue);
      if (read) seen = at;
      await new Promise((yes) => setTimeout(yes, 120));
    }
  };
  camera.hidden = !navigator.mediaDevices;
  $("#no-camera").hidden = !camera.hidden;
  camera.addEventListener("click", async () => {
    if (stream) return stop();
    show($("#dark"), "");
    let Detector;
    try { Detector = await decoder(); } catch { return show($("#dark"), word("no-decoder")); }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      view.srcObject = stream;
      $("#lens").hidden = false;
      camera.ariaPressed = "true";
      await view.play();
      navigator.wakeLock?.request().catch(() => {});
      watch(new Detector({ formats: ["qr_code"] }));
    } catch { stop(); show($("#dark"), word("dark")); }
  });

  // The phone
  const unpair = $("#unpair");
  unpair.addEventListener("submit", async (event) => {
    if (unpair.dataset.sure) return;
    event.preventDefault();
    const waits = stored && await Journal.count(concert, "waiting"), warning = $(".wrong", unpair);
    if (waits && warning.hidden) { warning.hidden = false; return; }
    for (const each of await window.caches?.keys() ?? []) await caches.delete(each);
    if (stored) {
      await Journal.keep(`snapshot ${concert}`, null);
      await Journal.tidy(Infinity);
    }
    unpair.dataset.sure = "1";
    unpair.requestSubmit();
  });
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    const install = $("#install");
    install.hidden = false;
    install.onclick = () => { event.prompt(); install.hidden = true; };
  });
  addEventListener("offline", () => { online = false; refresh(); });
  addEventListener("online", look);
  $("#scripted").hidden = false;
  navigator.serviceWorker?.register("/door/worker.js", { scope: "/door" }).catch(() => {});
  // A camera that needs the decoder needs it without network, too: the worker keeps what was fetched.
  if (!own && !camera.hidden) navigator.serviceWorker?.ready.then(() => fetch(door.dataset.decoder, { priority: "low" })).catch(() => {});
  if (stored) Journal.tidy(now());
  await look();
  door.dataset.ready = "";
  setInterval(() => { if (!document.hidden || !online) look(); }, LOOK_MS);
})();
