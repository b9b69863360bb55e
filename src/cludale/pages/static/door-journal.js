// The journal of this device in IndexedDB: every scan, on disk before anything is said, and what it goes by.
"use strict";
const Journal = (() => {
  const KEPT_MS = 2 * 86400e3;
  let base = null;
  const done = (request) => new Promise((yes, no) => { request.onsuccess = () => yes(request.result); request.onerror = () => no(request.error); });
  const open = async () => {
    const request = indexedDB.open("door", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("kept");
      const scans = request.result.createObjectStore("scans", { keyPath: "sequence", autoIncrement: true });
      scans.createIndex("state", ["concert", "state", "sequence"]);
      scans.createIndex("ticket", "ticket");
    };
    base = await done(request);
    navigator.storage?.persist?.();
  };
  // One transaction, on disk when this ends. `work` may wait for nothing else.
  const within = (names, mode, work) => new Promise((yes, no) => {
    const all = base.transaction(names, mode, { durability: "strict" });
    let result;
    all.oncomplete = () => yes(result);
    all.onabort = all.onerror = () => no(all.error);
    Promise.resolve(work(...names.map((each) => all.objectStore(each)))).then((value) => { result = value; }, (error) => { no(error); try { all.abort(); } catch { /* over */ } });
  });
  const get = (name) => within(["kept"], "readonly", (kept) => done(kept.get(name)));
  const keep = (name, value) => within(["kept"], "readwrite", (kept) => { kept.put(value, name); });
  // The device's name: the same for ever, and no other's.
  const device = (door) => within(["kept"], "readwrite", async (kept) => {
    const known = await done(kept.get("device"));
    if (known) return known;
    const made = `${door}-${[...crypto.getRandomValues(new Uint8Array(6))].map((each) => each.toString(16).padStart(2, "0")).join("")}`;
    kept.put(made, "device");
    return made;
  });
  // A scan: its number, which no other gets.
  const begin = (scan) => within(["scans"], "readwrite", (scans) => done(scans.add({ ...scan, state: "asked" })));
  // What is said to it. `decide` gets this device's scans with the same ticket, and says what is changed of the scan.
  const decided = (sequence, ticket, decide) => within(["scans"], "readwrite", async (scans) => {
    const own = ticket ? await done(scans.index("ticket").getAll(ticket)) : [];
    const changed = { ...await done(scans.get(sequence)), ...decide(own) };
    scans.put(changed);
    return changed;
  });
  // `changes`: something by number; `change` says of a scan and that what is changed of the scan.
  const change = (changes, change) => within(["scans"], "readwrite", async (scans) => {
    for (const [sequence, by] of changes) {
      const scan = await done(scans.get(sequence));
      scans.put({ ...scan, ...change(scan, by) });
    }
  });
  const of = (concert, state) => IDBKeyRange.bound([concert, state], [concert, state, []]);
  const waiting = (concert, limit) => within(["scans"], "readonly", (scans) => done(scans.index("state").getAll(of(concert, "waiting"), limit)));
  const count = (concert, state) => within(["scans"], "readonly", (scans) => done(scans.index("state").count(of(concert, state))));
  // Forget what was told or turned away two days before `now`; what waits stays.
  const tidy = (now) => within(["scans"], "readwrite", async (scans) => {
    for (const each of await done(scans.getAll())) if (each.state !== "waiting" && each.clock < now - KEPT_MS) scans.delete(each.sequence);
  });
  return { open, get, keep, device, begin, decided, change, waiting, count, tidy };
})();
