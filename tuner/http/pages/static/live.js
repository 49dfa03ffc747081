// Keeps a page true: it asks for the page again when something has happened, and takes over what carries data-live.
// Elements stay the same ones, so that scroll, focus, open details and half-filled forms survive.
(() => {
  "use strict";
  const FASTEST = 1000, AGAIN = 5000, CALM = 30000;
  const banner = document.getElementById("banner");
  const events = document.body.dataset.events;
  const every = Number(document.querySelector("[data-every]")?.dataset.every) * 1000;

  const say = (text) => {
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = !text;
  };

  // One element becomes like another of its kind.
  const become = (old, fresh) => {
    const names = new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()]);
    for (const name of names) {
      if (name === "open" && old.localName === "details") continue;
      // What charts.js has added to a chart's place stays.
      if (old.hasAttribute("data-keep") && ["class", "style"].includes(name)) continue;
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
      else if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    if (!old.hasAttribute("data-keep") && old.localName !== "select") becomeWithin(old, fresh);
  };
  const isLike = (one, other) =>
    one?.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
  const becomeWithin = (old, fresh) => {
    const wanted = [...fresh.childNodes];
    wanted.forEach((node, index) => {
      const there = old.childNodes[index];
      if (!isLike(there, node)) old.insertBefore(document.importNode(node, true), there ?? null);
      else if (node.nodeType === Node.ELEMENT_NODE) become(there, node);
      else if (there.data !== node.data) there.data = node.data;
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  };

  const taken = (page) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) become(old, fresh);
    }
    const csrf = page.querySelector("input[name=csrf]")?.value;
    if (csrf) for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf;
  };
  const loaded = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected) location.reload();
    return { answer, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
  };

  let running = false, wanted = false;
  const refresh = async () => {
    if (running) { wanted = true; return; }
    running = true;
    wanted = false;
    let wait = FASTEST;
    try {
      const { answer, page } = await loaded(location.href);
      if (answer.ok) {
        say("");
        taken(page);
        document.dispatchEvent(new Event("tuner:refreshed"));
      } else if (answer.status === 404) {
        location.reload();
      } else {
        say(page.querySelector(".said")?.textContent ?? "The service cannot answer now.");
        wanted = true;
        wait = AGAIN;
      }
    } catch {
      say("The service cannot be reached. This page updates again as soon as it can.");
      wanted = true;
      wait = AGAIN;
    }
    setTimeout(() => { running = false; if (wanted && !document.hidden) refresh(); }, wait);
  };

  let source = null, timer = 0;
  const close = () => { source?.close(); source = null; clearTimeout(timer); };
  const later = (wait) => { close(); timer = setTimeout(open, wait); };
  const open = () => {
    close();
    // A hidden page would hold one of the few connections that a browser has to a server.
    if (document.hidden) return;
    source = new EventSource(events);
    source.addEventListener("status", refresh);
    source.addEventListener("trial", () => { refresh(); document.dispatchEvent(new Event("tuner:trial")); });
    // The page says why, until it can be had again.
    source.addEventListener("away", refresh);
    source.addEventListener("end", () => { refresh(); later(CALM); });
    source.onerror = () => { refresh(); later(AGAIN); };
  };
  if (events) {
    open();
    document.addEventListener("visibilitychange", open);
    addEventListener("pagehide", close);
  } else if (every) {
    setInterval(() => { if (!document.hidden) refresh(); }, every);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  }

  // Parts that take long are another page's, and come after this one.
  for (const place of document.querySelectorAll("[data-from]")) {
    loaded(place.dataset.from).then(({ answer, page }) => {
      const part = answer.ok && page.getElementById(place.id);
      if (part) place.replaceChildren(...part.childNodes);
      else place.append(page.querySelector(".said") ?? "");
    }).catch(() => {});
  }
})();
