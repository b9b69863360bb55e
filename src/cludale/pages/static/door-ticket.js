// What a ticket's code and a snapshot say, and what a door says to them: as codes.py, offline.py and door.py do.
// No page, no storage, no network.
"use strict";
const Ticket = (() => {
  const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", utf8 = new TextEncoder(), SIGN1 = 18, LONGEST = 400;
  const not = (what) => { throw new TypeError(what); };
  const hex = (bytes) => [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
  const unbase64 = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));

  const unbase45 = (text) => {
    const bytes = [];
    for (let at = 0; at < text.length; at += 3) {
      const [low, middle, high] = [...text.slice(at, at + 3)].map((each) => LETTERS.indexOf(each));
      if (low < 0 || !(middle >= 0) || high < 0) not("Base45");
      const value = low + middle * 45 + (high ?? 0) * 2025;
      if (value > (high === undefined ? 255 : 65535)) not("Base45");
      if (high !== undefined) bytes.push(value >> 8);
      bytes.push(value & 255);
    }
    return Uint8Array.from(bytes);
  };

  // As much of CBOR as a code has: whole numbers, bytes, text, lists, maps and tags, of known length.
  const cbor = (bytes) => {
    let at = 0;
    const take = (size) => (at + size > bytes.length ? not("CBOR") : bytes.subarray(at, at += size));
    const read = (depth) => {
      const [head] = take(1), kind = head >> 5, info = head & 31;
      if (depth > 8 || info > 27) not("CBOR");
      const n = info < 24 ? info : take(1 << info - 24).reduce((sum, each) => sum * 256 + each, 0);
      const several = () => { const found = []; for (let i = 0; i < n; i++) found.push(read(depth + 1)); return found; };
      switch (kind) {
        case 0: return n;
        case 1: return -1 - n;
        case 2: return take(n);
        case 3: return new TextDecoder("utf-8", { fatal: true }).decode(take(n));
        case 4: return several();
        case 5: { const map = new Map(); for (let i = 0; i < n; i++) map.set(read(depth + 1), read(depth + 1)); return map; }
        case 6: return { tag: n, value: read(depth + 1) };
        default: return not("CBOR");
      }
    };
    const value = read(0);
    return at === bytes.length ? value : not("CBOR");
  };

  const headed = (bytes) => [...(bytes.length < 24 ? [0x40 | bytes.length] : bytes.length < 256 ? [0x58, bytes.length] : [0x59, bytes.length >> 8, bytes.length & 255]), ...bytes];
  const verifies = async (x, signature, signed) => {
    const key = await crypto.subtle.importKey("raw", unbase64(x), "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, signature, signed);
  };

  // Can this browser check an Ed25519 signature?
  const can = async () => {
    try { await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]); return true; } catch { return false; }
  };

  // What a code says that one of the snapshot's keys signed and that is good at `now`; null for any other.
  const read = async (shot, code, now) => {
    try {
      if (code.length > LONGEST) return null;
      const { tag, value } = cbor(unbase45(code)), [head, , payload, signature] = value;
      if (tag !== SIGN1) return null;
      const kid = hex(cbor(head).get(4));
      const key = shot.keys.find((each) => each.kid === kid && (each.exp == null || now / 1000 < each.exp));
      const signed = Uint8Array.from([0x84, 0x6a, ...utf8.encode("Signature1"), ...headed(head), 0x40, ...headed(payload)]);
      if (!key || !await verifies(key.x, signature, signed)) return null;
      const said = cbor(payload), id = said.get(7), [number, quantity, generation] = said.get("n");
      const packed = typeof id === "string" ? id : `order-${hex(id.slice(0, 16))}${id.length > 16 ? `.${hex(id.slice(16))}` : ""}`;
      const ticket = `ticket-${packed.slice(packed.indexOf("-") + 1) || packed}.${number}`;
      return { concert: said.get(3), order: packed, ticket, number, quantity, generation, section: said.get("s") };
    } catch { return null; }
  };

  // How a code names a concert.
  const claimOf = async (concert) => {
    if (concert.length <= 20) return concert;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(concert))).slice(0, 9);
    return `~${btoa(String.fromCharCode(...hash)).replace(/\+/g, "-").replace(/\//g, "_")}`;
  };

  // A snapshot of this concert that one of the keys signed, with times in milliseconds. Throws for any other.
  const snapshot = async (jws, keys, concert) => {
    const [head, payload, signature] = jws.split("."), text = (part) => JSON.parse(new TextDecoder().decode(unbase64(part)));
    const { alg, kid, typ } = text(head), key = keys.find((each) => each.kid === kid);
    if (alg !== "EdDSA" || typ !== "door-snapshot+jwt" || !key) not("snapshot");
    if (!await verifies(key.x, unbase64(signature), utf8.encode(`${head}.${payload}`))) not("snapshot");
    const shot = text(payload);
    if (shot.format !== 1 || shot.concertId !== concert) not("snapshot");
    for (const name of ["expires", "opens", "closes"]) shot[name] = Date.parse(shot[name]);
    return { ...shot, claim: await claimOf(concert) };
  };

  // What is said to a code that says `claims`; `own`: this device's scans with the ticket. door.judged is the same.
  const judge = (shot, claims, own, direction, now) => {
    if (claims.concert !== shot.claim) return { result: "wrong-concert" };
    const [, generation = 1, revoked = null, seen = [], since = 0, seat = null] = (shot.orders[claims.order] || []).find(([number]) => number === claims.number) || [];
    const undone = new Set(own.filter((each) => each.undone).map((each) => each.id));
    const known = seen.map(([us, door, id, way]) => ({ at: us / 1000, door, id, direction: way })).filter((each) => !undone.has(each.id));
    const ids = new Set([...undone, ...known.map((each) => each.id)]);
    const moves = [...known, ...own.filter((each) => !ids.has(each.id))].sort((a, b) => a.at - b.at);
    let inside = 0;
    for (const each of moves) inside = each.direction === "in" ? inside + 1 : Math.max(0, inside - 1);
    const theirs = claims.generation >= generation || (since && since <= claims.generation);
    if (direction === "out" && theirs && inside) return { result: "valid" };
    if (revoked || claims.generation < generation) {
      const moved = !revoked && seat && since && since <= claims.generation;
      return { result: revoked ? "revoked" : "replaced", ...(moved ? { movedTo: { row: seat[0], number: seat[1] } } : {}) };
    }
    if (direction === "out") return { result: "not-inside" };
    if (moves.length && (inside || !shot.reentry)) {
      const entered = moves.findLast((each) => each.direction === "in") || moves.at(-1);
      return { result: "used", at: entered.at, door: entered.door };
    }
    if (now < shot.opens) return { result: "not-yet", at: shot.opens };
    return { result: now < shot.closes ? "valid" : "over" };
  };

  return { can, read, snapshot, judge };
})();
