"use strict";
(() => {
  const SECONDS = 15, PARTS = ["header", "main", "footer"];
  const notice = document.getElementById("notice");
  let answered = Date.now(), running = false, timer;

  const matches = (node, next) => Boolean(node) && node.nodeName === next.nodeName && node.dataset?.key === next.dataset?.key;

  // Makes `node` equal to `next` in place, so that opened evidence, selected text, focus and scroll positions stay.
  const merge = (node, next) => {
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== next.data) node.data = next.data;
      return;
    }
    for (const { name } of [...node.attributes]) if (name !== "open" && !next.hasAttribute(name)) node.removeAttribute(name);
    for (const { name, value } of next.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    const keyed = new Map([...node.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
    let at = node.firstChild;
    for (const child of [...next.childNodes]) {
      const found = child.dataset?.key ? keyed.get(child.dataset.key) : at;
      keyed.delete(child.dataset?.key);
      if (!matches(found, child)) node.insertBefore(document.importNode(child, true), at);
      else {
        if (found === at) at = at.nextSibling;
        else node.insertBefore(found, at);
        merge(found, child);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const show = (text) => {
    notice.textContent = text;
    notice.hidden = !text;
    document.documentElement.classList.toggle("outdated", Boolean(text));
  };

  const load = async () => {
    const abort = new AbortController(), limit = setTimeout(() => abort.abort(), 10000);
    try {
      const response = await fetch(location.href.split("#")[0], { cache: "no-store", signal: abort.signal });
      if (!response.ok) throw new Error(`vitald answered ${response.status} ${response.statusText}`);
      return new DOMParser().parseFromString(await response.text(), "text/html");
    } finally {
      clearTimeout(limit);
    }
  };

  const refresh = async () => {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    try {
      const next = await load();
      if (!PARTS.every((part) => next.querySelector(part))) throw new Error("the answer is not the status page");
      if (["style", "script"].some((part) => document.querySelector(part).textContent !== next.querySelector(part)?.textContent)) location.reload();
      const focused = document.activeElement;
      for (const part of PARTS) merge(document.querySelector(part), next.querySelector(part));
      if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
      document.title = next.title;
      answered = Date.now();
      show("");
    } catch (error) {
      const silent = error.name === "AbortError" || error instanceof TypeError; // of fetch(): too late, or no connection
      const reason = silent ? "No answer from vitald" : error.message;
      document.title = `No answer: ${document.querySelector("h1").textContent}`;
      show(`Not current: this is the state of ${new Date(answered).toISOString().slice(0, 19).replace("T", " ")} UTC by this browser's clock. ${reason}.`);
    } finally {
      running = false;
      timer = setTimeout(refresh, SECONDS * 1000);
    }
  };

  document.documentElement.classList.add("live");
  document.addEventListener("visibilitychange", refresh);
  timer = setTimeout(refresh, SECONDS * 1000);
})();
