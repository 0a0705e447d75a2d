// What every page needs besides htmx. Pages work without it; it makes them quicker and calmer.
"use strict";

// --- the beat: fragments that ask for news listen to `beat` and `slowbeat` of the body -------------
// One clock for the page: it rests while the tab is hidden and slows down while the server is away.

const BEAT_MS = 1500;
const SLOW_EVERY = 4;
let wait = BEAT_MS;
let isOver = false; // there is nothing left to ask for
let beats = 0;

function beat() {
  if (!document.hidden && !isOver) {
    beats += 1;
    document.body.dispatchEvent(new CustomEvent("beat"));
    if (beats % SLOW_EVERY === 0) document.body.dispatchEvent(new CustomEvent("slowbeat"));
  }
  setTimeout(beat, wait);
}
setTimeout(beat, BEAT_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isOver) document.body.dispatchEvent(new CustomEvent("beat"));
});

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
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) forget(form);
});
