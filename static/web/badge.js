// Keeps the bell right: asks every 30 seconds, rests while the tab is hidden, and comes back later and
// later while the server is away. Of several open tabs, what one hears the others show as well.
"use strict";

(() => {
  const EVERY_MS = 30000;
  const STALE_MS = 5000;
  const LONGEST_MS = 600000;
  const link = () => document.querySelector("[data-badge-url]");
  const badge = () => document.getElementById("badge");
  const tabs = new BroadcastChannel("badge");
  let askedAt = Date.now(); // the page came with it
  let wait = EVERY_MS;
  let timer = 0;
  let isAsking = false;
  let shown = badge() && badge().dataset.newest;

  function entitle() {
    const label = badge() ? badge().dataset.label : "";
    const plain = document.title.replace(/^\(\d+\+?\) /, "");
    const title = (label ? "(" + label + ") " : "") + plain;
    if (document.title !== title) document.title = title;
  }

  // After the badge changed, whoever changed it.
  function settle() {
    entitle();
    const now = badge();
    if (!now || now.dataset.newest === shown) return;
    const isNews = Number(now.dataset.newest) > Number(shown);
    shown = now.dataset.newest;
    if (!isNews) return;
    now.dataset.new = "";
    say(now.dataset.label + " unread notification" + (now.dataset.label === "1" ? "" : "s"));
    document.body.dispatchEvent(new CustomEvent("notified"));
  }

  function show(text) {
    const old = badge();
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("badge");
    if (!old || !fresh || old.dataset.etag === fresh.dataset.etag) return;
    old.replaceWith(document.adoptNode(fresh));
    settle();
  }

  async function ask() {
    if (isAsking || document.hidden || !link()) return;
    isAsking = true;
    askedAt = Date.now();
    try {
      const answer = await fetch(link().dataset.badgeUrl, {
        headers: { "HX-Request": "true", "If-None-Match": badge().dataset.etag },
        signal: AbortSignal.timeout(20000),
      });
      if (answer.status === 401) {
        wait = LONGEST_MS;
        tell("You were signed out.", "/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
      } else if (answer.ok) {
        const text = await answer.text();
        show(text);
        tabs.postMessage(text);
        wait = EVERY_MS;
      } else if (answer.status === 304) {
        wait = EVERY_MS;
      } else {
        const later = Number(answer.headers.get("Retry-After")) * 1000 || 0;
        wait = Math.min(Math.max(wait * 2, later), LONGEST_MS);
      }
    } catch { // no connection
      wait = Math.min(wait * 2, LONGEST_MS);
    }
    isAsking = false;
    plan();
  }

  function plan() {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  tabs.onmessage = (event) => {
    askedAt = Date.now();
    show(event.data);
    plan();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (Date.now() - askedAt > (wait === EVERY_MS ? STALE_MS : wait)) ask();
    else plan();
  });
  window.addEventListener("online", ask);
  // The title is also written by the news of a job, and the badge by what is marked on the page.
  new MutationObserver(entitle).observe(document.querySelector("title"), { childList: true });
  document.addEventListener("htmx:afterSettle", settle);
  if (badge()) tabs.postMessage(badge().outerHTML);
  plan();
})();
