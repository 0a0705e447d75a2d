// What every page needs besides htmx. Pages work without it; it makes them quicker and calmer.
"use strict";

// --- the beat: fragments that ask for news listen to `beat` and `slowbeat` of the body -------------
// One clock for the page: it rests while the tab is hidden, slows down while the server is away, and
// while events come, since these say when to ask.

const BEAT_MS = 1500;
const SLOW_EVERY = 4;
const BESIDE_EVENTS_MS = 15000; // what changes without an event, such as the time that is left
let wait = BEAT_MS;
let isOver = false; // there is nothing left to ask for
let beats = 0;
let askedAt = Date.now();
let asking = 0; // a timer

function ask(isNews) {
  clearTimeout(asking);
  asking = 0;
  if (document.hidden || isOver) return;
  askedAt = Date.now();
  beats += 1;
  document.body.dispatchEvent(new CustomEvent("beat"));
  if (isNews || isHeard() || beats % SLOW_EVERY === 0) {
    document.body.dispatchEvent(new CustomEvent("slowbeat"));
  }
}

function askSoon() {
  if (!asking) asking = setTimeout(ask, Math.max(0, askedAt + wait - Date.now()), true);
}

function beat() {
  listen();
  const pace = isHeard() ? Math.max(wait, BESIDE_EVENTS_MS) : wait;
  const left = askedAt + pace - Date.now();
  if (left <= 0) ask(false);
  setTimeout(beat, left > 0 ? Math.min(left, BEAT_MS) : BEAT_MS);
}
setTimeout(beat, 0);
document.addEventListener("visibilitychange", () => {
  listen();
  ask(true);
});

// --- events: a stream of them, which says when to ask ----------------------------------------------
// A fragment names its stream in `data-events`. Hidden tabs have none: browsers open few connections
// to a server. Where no events get through, the beat is as quick as without.

const SILENT_MS = 20000; // the server says something every 15 s: it is kept back on its way
const AGAIN_MS = 60000;
const KINDS = ["job", "jobs", "gone", "still"];
let stream = null;
let streamFrom = "";
let heardAt = 0;
let lastSign = 0; // when the stream was opened or heard last
let notBefore = 0;

function isHeard() {
  return stream !== null && Date.now() - heardAt < SILENT_MS;
}

function hush() {
  if (stream) stream.close();
  stream = null;
  streamFrom = "";
  heardAt = 0;
}

function listen() {
  const source = document.hidden || isOver ? null : document.querySelector("[data-events]");
  const from = source ? source.dataset.events : "";
  if (from !== streamFrom || Date.now() - lastSign > AGAIN_MS) hush();
  if (stream || !from || Date.now() < notBefore) return;
  stream = new EventSource(from);
  streamFrom = from;
  lastSign = Date.now();
  for (const kind of KINDS) stream.addEventListener(kind, hear);
  stream.onerror = lose;
}

function hear(event) {
  heardAt = lastSign = Date.now();
  if (event.type !== "still") askSoon();
}

// The browser opens a stream again that has ended, but not one that was refused.
function lose() {
  heardAt = 0;
  if (this.readyState !== EventSource.CLOSED) return;
  notBefore = Date.now() + AGAIN_MS;
  hush();
}
window.addEventListener("pagehide", hush);

// --- what went wrong in the background ------------------------------------------------------------

function tell(text, link) {
  const connection = document.getElementById("connection");
  connection.replaceChildren(text);
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link;
    anchor.textContent = "Sign in again";
    connection.append(" ", anchor);
  }
  connection.hidden = false;
}

function slowDown(seconds) {
  wait = Math.min(Math.max(wait * 2, seconds * 1000), 60000);
}

document.addEventListener("htmx:responseError", (event) => {
  const answer = event.detail.xhr;
  if (answer.status === 401) {
    wait = 60000;
    tell("You were signed out.", "/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
    return;
  }
  if (answer.status < 429) {
    isOver = true;
    tell(answer.status === 404
      ? "This is not there any more. Reload the page."
      : "You may no longer see this. Reload the page.");
    return;
  }
  slowDown(Number(answer.getResponseHeader("Retry-After")) || 0);
  tell("The server is busy. This page goes on by itself.");
});
for (const lost of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(lost, () => {
    slowDown(0);
    tell("No connection. This page goes on by itself.");
  });
}
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.xhr.status < 400 && (isOver || wait !== BEAT_MS)) {
    isOver = false;
    wait = BEAT_MS;
    document.getElementById("connection").hidden = true;
  }
});

// --- how long ago ---------------------------------------------------------------------------------

// By the server's clock: the browser's may be wrong.
const skew = document.body.dataset.now * 1000 - Date.now();

function ago(seconds) {
  if (seconds < 45) return "just now";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return Math.floor(seconds / size) + " " + unit + " ago";
  }
  return "1 min ago";
}
setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const told = ago((Date.now() + skew - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== told) time.textContent = told;
  }
}, 15000);

// --- sidebar, menus, dialogs, copying -------------------------------------------------------------

function remember(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = name + "=" + value + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
}

document.addEventListener("click", (event) => {
  const toggle = event.target.closest("[data-sidebar-toggle]");
  if (toggle) {
    event.preventDefault();
    const next = document.documentElement.dataset.sidebar === "collapsed" ? "expanded" : "collapsed";
    document.documentElement.dataset.sidebar = next;
    toggle.setAttribute("aria-expanded", String(next === "expanded"));
    toggle.value = next === "collapsed" ? "expanded" : "collapsed";
    remember("sidebar", next);
    return;
  }
  const theme = event.target.closest("button[name=theme]");
  if (theme) {
    event.preventDefault();
    document.documentElement.dataset.theme = theme.value;
    for (const each of theme.form.querySelectorAll("button[name=theme]")) {
      each.setAttribute("aria-pressed", String(each === theme));
    }
    remember("theme", theme.value);
    return;
  }
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-close]");
  if (closer && closer.closest("dialog")) {
    event.preventDefault();
    closer.closest("dialog").close();
    return;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copyFrom(copier);
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// For a screen reader. Emptied first: the same words twice are news twice.
function say(text) {
  const region = document.getElementById("said");
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 50);
}

const copied = new WeakMap(); // label -> {before, timer}

async function copyFrom(button) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("span") || button;
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch { // not allowed, or not there: only https has a clipboard
    getSelection().selectAllChildren(source);
    told = "Selected: press Ctrl+C";
  }
  const { before, timer } = copied.get(label) || { before: label.textContent };
  clearTimeout(timer);
  label.textContent = told;
  say(told);
  copied.set(label, {
    before,
    timer: setTimeout(() => {
      label.textContent = before;
      copied.delete(label);
    }, 3000),
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
  }
});

// Who goes on with Tab must see where they are, which is behind an open menu.
document.addEventListener("focusin", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target) && !event.target.contains(menu)) menu.open = false;
  }
});

// --- forms ------------------------------------------------------------------------------------------

// Whoever signs in anew gets another CSRF token, and with it the first page they see; the pages that
// are open in other tabs take it over from there.
let token = "";
const tabs = new BroadcastChannel("token");
tabs.onmessage = (event) => {
  token = event.data;
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  document.body.setAttribute("hx-headers", JSON.stringify({ ...headers, "X-CSRFToken": token }));
};
const own = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
if (own) tabs.postMessage(own);

function forget(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
}

// A second press while the first is under way must not send a form twice. The answer may also never
// come, or lead nowhere: after a while the form can be sent again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("data-upload")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (token && form.elements.csrfmiddlewaretoken) form.elements.csrfmiddlewaretoken.value = token;
  form.dataset.sent = "1";
  if (event.submitter) event.submitter.setAttribute("aria-disabled", "true");
  setTimeout(forget, 5000, form);
});
// What htmx sent is answered in place.
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest("form[data-sent]");
  if (form) forget(form);
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) forget(form);
});
