// The door's page and its files, kept so that it opens without network. What it asks the server is never kept.
"use strict";
const CACHE = `door-${VERSION}`, PAGE = "/door", WAIT_MS = 3000;
const keep = async (answer) => {
  if (answer.ok && answer.headers.get("x-door") === "paired") await (await caches.open(CACHE)).put(PAGE, answer.clone());
  return answer;
};
const kept = (what) => caches.match(what, { ignoreVary: true });
addEventListener("install", (event) => event.waitUntil((async () => {
  await (await caches.open(CACHE)).addAll(FILES);
  await fetch(PAGE, { credentials: "same-origin" }).then(keep);
  await skipWaiting();
})()));
addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("door-") && name !== CACHE) await caches.delete(name);
  await clients.claim();
})()));
// Every page of the door; without network the one that scans.
const shown = async (request) => {
  const asked = fetch(request).then(keep);
  asked.catch(() => {});
  const late = new Promise((_, no) => setTimeout(no, WAIT_MS));
  try {
    const answer = await Promise.race([asked, late]);
    return answer.status < 500 ? answer : await kept(PAGE) || answer;
  } catch { return await kept(PAGE) || asked; }
};
const file = async (request) => {
  const found = await kept(request.url);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await (await caches.open(CACHE)).put(request.url, answer.clone());
  return answer;
};
addEventListener("fetch", (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && (pathname === PAGE || pathname.startsWith(`${PAGE}/`))) event.respondWith(shown(request));
  // Names of files say what is in them, so a kept one is right; those of a newer page come as it comes.
  else if (pathname.startsWith("/shop/static/")) event.respondWith(file(request));
});
