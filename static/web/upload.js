// The page of a new job: chosen, dropped and pasted files, sent with progress: large ones in parts
// (parts.js), the others in one request. Without this script the same form sends its files by itself.
"use strict";

(() => {
  const form = document.getElementById("upload");
  const part = (id) => document.getElementById(id);
  const MAX_FILES = Number(form.dataset.maxFiles);
  const MAX_BYTES = Number(form.dataset.maxBytes);
  const LISTED_MAX = Math.max(1000, 2 * MAX_FILES); // of a folder; a list longer than this helps nobody
  const LARGE_BYTES = 8 * 1024 * 1024; // from this size on a file goes in parts,
  const SMALL_BYTES = 256 * 1024; // and over a line that broke from this one on
  const SLOW_LINES = ["slow-2g", "2g", "3g"];
  const CHANGED = "The file was changed, moved or deleted after it was chosen. Choose it again.";
  const JUNK = new Set(["thumbs.db", "desktop.ini", "__macosx"]);

  let entries = []; // {file, folder, row, refusal, id, stored}: refusal is what the server said of the
  // file, id that of its upload in parts once all is stored, stored how many bytes are
  let skipped = { hidden: 0, unreadable: 0, known: 0, cut: false };
  let upload = null; // what is being sent: {request, asking, isCancelled, hasSentAll}
  let isBadLine = Boolean(navigator.connection && SLOW_LINES.includes(navigator.connection.effectiveType));
  let key = ""; // one for each set of files and options, so that sending again makes no second job
  let hasFailed = false;
  let hasLeft = false;

  // --- words ------------------------------------------------------------------------------------

  const plural = (count, one, many) => count + " " + (count === 1 ? one : many || one + "s");

  function inBytes(bytes) {
    if (bytes < 1024) return plural(bytes, "byte");
    let size = bytes;
    for (const unit of ["kB", "MB", "GB"]) {
      size /= 1024;
      if (size < 999.5 || unit === "GB") return (size < 9.95 ? size.toFixed(1) : size.toFixed(0)) + " " + unit;
    }
  }

  function inTime(seconds) {
    const whole = Math.max(1, Math.round(seconds));
    if (whole < 60) return whole + " s";
    const [size, unit, smaller, small] = whole < 3600 ? [60, " min", 1, " s"] : [3600, " h", 60, " min"];
    const rest = Math.floor((whole % size) / smaller);
    return Math.floor(whole / size) + unit + (rest ? " " + rest + small : "");
  }

  function announce(text) {
    part("announcement").textContent = text;
  }

  // --- judging a file before it is sent -----------------------------------------------------------

  function extensionOf(name) {
    const dot = name.lastIndexOf(".");
    return dot > 0 ? name.slice(dot).toLowerCase() : "";
  }

  const extensionsOf = (radio) => radio.dataset.extensions.split(" ");
  const operations = () => [...form.querySelectorAll("input[name=operation]")];
  const operation = () => operations().find((each) => each.checked);

  function problemOf({ file, refusal }) {
    if (refusal) return refusal;
    if (file.size === 0) return "The file is empty.";
    if (file.size > MAX_BYTES) return "Larger than " + inBytes(MAX_BYTES) + ".";
    const extension = extensionOf(file.name);
    const wanted = operation();
    if (!wanted || extensionsOf(wanted).includes(extension)) return "";
    const other = operations().find((each) => extensionsOf(each).includes(extension));
    if (other) return wanted.dataset.label + " is not offered for this kind of file; " + other.dataset.label + " is.";
    return "This kind of file is not read here.";
  }

  const good = () => entries.filter((entry) => !problemOf(entry));

  // --- the list -------------------------------------------------------------------------------------

  function rowOf(entry) {
    const row = part("row").content.cloneNode(true).firstElementChild;
    row.querySelector(".name").textContent = entry.file.name;
    row.querySelector(".folder").textContent = entry.folder && "in " + entry.folder;
    row.querySelector(".size").textContent = inBytes(entry.file.size);
    row.querySelector("button .visually-hidden").textContent = "Remove " + entry.file.name;
    row.querySelector("progress").setAttribute("aria-label", entry.file.name);
    row.querySelector("button").addEventListener("click", () => removeOne(entry));
    return row;
  }

  function show(element, text) {
    element.textContent = text;
    element.hidden = !text;
  }

  function draw() {
    for (const entry of entries) show(entry.row.querySelector(".problem"), problemOf(entry));
    const sendable = good();
    const refused = entries.length - sendable.length;
    const bytes = entries.reduce((sum, entry) => sum + entry.file.size, 0);
    part("chosen").hidden = entries.length === 0;
    part("chosen-title").textContent = plural(entries.length, "file") + ", " + inBytes(bytes);
    part("remove-refused").hidden = refused === 0;
    part("remove-refused").textContent = "Remove " + refused + (refused === 1 ? " with a problem" : " with problems");
    const over = sendable.length - MAX_FILES;
    part("too-many").hidden = over <= 0;
    part("too-many").querySelector("p").textContent =
      "A job takes at most " + plural(MAX_FILES, "file") + ": " + over + (over === 1 ? " is" : " are") + " too many.";
    show(part("note"), noteWords());
    part("notes").hidden = part("too-many").hidden && part("note").hidden;
    part("send").querySelector("span").textContent = sendWords(sendable.length, refused);
  }

  function sendWords(count, refused) {
    const verb = hasFailed ? "Try again" : "Send";
    if (entries.length === 0) return verb;
    if (count === 0) return "Send";
    if (count > MAX_FILES) return verb;
    return verb + (hasFailed ? ": " : " ") + (refused ? count + " of " : "") + plural(entries.length, "file");
  }

  function noteWords() {
    const words = [];
    if (entries.some(problemOf)) words.push("Files with problems are not sent.");
    if (skipped.hidden) words.push(plural(skipped.hidden, "hidden or system file") + " left out.");
    if (skipped.known) words.push(plural(skipped.known, "file") + (skipped.known === 1 ? " was" : " were") + " in the list already.");
    if (skipped.unreadable) words.push(plural(skipped.unreadable, "file") + " could not be read from the disk.");
    if (skipped.cut) words.push("There were more files than can be listed here.");
    return words.join(" ");
  }

  // The next sending is another request, and what was said of the last one is over.
  function changed() {
    key = "";
    hasFailed = false;
    part("refusal").hidden = true;
    draw();
  }

  function isKnown({ file, folder }) {
    return entries.some((entry) => entry.folder === folder && entry.file.name === file.name &&
      entry.file.size === file.size && entry.file.lastModified === file.lastModified);
  }

  // `found` is [{file, folder}]. A better version of a file that had a problem takes its place.
  function add(found, left) {
    skipped = Object.assign({ hidden: 0, unreadable: 0, known: 0, cut: false }, left);
    for (const { file, folder } of found) {
      if (isKnown({ file, folder })) { skipped.known += 1; continue; }
      if (entries.length >= LISTED_MAX) { skipped.cut = true; break; }
      const old = entries.find((each) => each.folder === folder && each.file.name === file.name && problemOf(each));
      if (old) { old.row.remove(); entries.splice(entries.indexOf(old), 1); }
      const entry = { file, folder, refusal: "", id: "", stored: 0 };
      entry.row = rowOf(entry);
      entries.push(entry);
      part("rows").append(entry.row);
    }
    changed();
    const refused = entries.length - good().length;
    announce(plural(entries.length, "file") + " chosen." + (refused ? " " + refused + " with problems." : ""));
  }

  function remove(which) {
    for (const entry of entries.filter(which)) entry.row.remove();
    entries = entries.filter((entry) => !which(entry));
    if (entries.length === 0) skipped = { hidden: 0, unreadable: 0, known: 0, cut: false };
    changed();
    announce(plural(entries.length, "file") + " left.");
  }

  // The focus goes to the next file's button, so that several can be removed from the keyboard.
  function removeOne(entry) {
    const place = entries.indexOf(entry);
    remove((each) => each === entry);
    const next = entries[Math.min(place, entries.length - 1)];
    (next ? next.row.querySelector("button") : part("files")).focus();
  }

  function focusOnList() {
    (entries.length ? part("chosen-title") : part("files")).focus();
  }

  part("remove-all").addEventListener("click", () => { remove(() => true); focusOnList(); });
  part("remove-refused").addEventListener("click", () => { remove(problemOf); focusOnList(); });
  part("keep-first").addEventListener("click", () => {
    const kept = new Set(good().slice(0, MAX_FILES));
    remove((entry) => !problemOf(entry) && !kept.has(entry));
    focusOnList();
  });

  // --- choosing, dropping, pasting ------------------------------------------------------------------

  const isHidden = (name) => name.startsWith(".") || name.startsWith("~$") || JUNK.has(name.toLowerCase());
  const folderOf = (path) => path.split("/").slice(0, -1).filter(Boolean).join("/");

  const inOrder = new Intl.Collator(undefined, { numeric: true });
  const sorted = (found) => found.sort((one, two) =>
    inOrder.compare(one.folder, two.folder) || inOrder.compare(one.file.name, two.file.name));

  function addFolder(files) {
    const left = { hidden: 0 };
    const found = [];
    for (const file of files) {
      const below = file.webkitRelativePath.split("/").slice(1);
      if (below.some(isHidden)) left.hidden += 1;
      else found.push({ file, folder: folderOf(file.webkitRelativePath) });
    }
    add(sorted(found), left);
  }

  // A dropped file or folder, all that is in it put into `into`: {found, hidden, unreadable, cut}.
  async function walk(item, into) {
    if (into.found.length >= LISTED_MAX) { into.cut = true; return; }
    try {
      if (item.isFile) {
        const file = await new Promise((done, fail) => item.file(done, fail));
        into.found.push({ file, folder: folderOf(item.fullPath) });
        return;
      }
      for (const each of await contents(item)) {
        if (isHidden(each.name)) into.hidden += 1;
        else await walk(each, into);
      }
    } catch {
      into.unreadable += 1;
    }
  }

  // Browsers give a folder's contents in portions, the last one empty.
  async function contents(folder) {
    const reader = folder.createReader();
    const all = [];
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  async function addDropped(items) {
    // All at once: after the first wait the browser has forgotten what was dropped.
    const dropped = [...items].filter((item) => item.kind === "file").map((item) => {
      const entry = item.webkitGetAsEntry && item.webkitGetAsEntry();
      return entry || item.getAsFile();
    });
    const into = { found: [], hidden: 0, unreadable: 0, cut: false };
    for (const each of dropped.filter(Boolean)) {
      if (each instanceof File) into.found.push({ file: each, folder: "" });
      else await walk(each, into);
    }
    const { found, ...left } = into;
    if (!upload) add(sorted(found), left);
  }

  part("files").addEventListener("change", () => {
    add([...part("files").files].map((file) => ({ file, folder: "" })));
    part("files").value = ""; // so that the same file can be chosen again
  });
  part("folder").addEventListener("change", () => {
    addFolder([...part("folder").files]);
    part("folder").value = "";
  });
  part("choose-folder").addEventListener("click", () => part("folder").click());

  const carriesFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");

  // On the whole page, where a file dropped beside the zone would else open and the list be lost.
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = upload ? "none" : "copy";
    part("drop").classList.toggle("over", !upload);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) part("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    part("drop").classList.remove("over");
    if (!upload) addDropped(event.dataTransfer.items);
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData ? [...event.clipboardData.files] : [];
    if (files.length === 0 || upload) return;
    event.preventDefault();
    add(files.map((file) => ({ file, folder: "" })));
  });

  // --- what to send ---------------------------------------------------------------------------------

  const field = (name) => form.elements[name].value;

  function bodyOf(sent) {
    const languages = [...form.querySelectorAll("[data-language]:checked")].map((box) => box.dataset.language);
    const body = new FormData();
    body.append("operation", operation() ? operation().value : "");
    body.append("priority", field("priority"));
    body.append("name", field("name"));
    body.append("options", JSON.stringify({
      languages, pages: field("pages"), ocr: field("ocr"), password: field("password"),
    }));
    for (const { file } of sent.filter((entry) => !entry.id)) body.append("file", file, file.name);
    const ids = sent.map((entry) => entry.id).filter(Boolean);
    if (ids.length) body.append("upload_ids", ids.join(","));
    return body;
  }

  const owner = () => form.elements.organization.defaultValue;
  const goesInParts = ({ file }) => file.size >= (isBadLine ? SMALL_BYTES : LARGE_BYTES);

  function newKey() {
    if (crypto.randomUUID) return crypto.randomUUID();
    // Away from localhost, plain http has no randomUUID.
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  form.addEventListener("input", (event) => {
    event.target.removeAttribute("aria-invalid");
    if (event.target.type === "file") return;
    if (event.target.name === "operation") for (const entry of entries) entry.refusal = "";
    changed();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (upload) return;
    const sent = good();
    if (entries.length === 0) {
      refuse("Choose at least one file.");
      part("files").focus();
    } else if (sent.length === 0) {
      refuse("Every file in the list has a problem. Choose at least one that can be read.");
    } else if (sent.length > MAX_FILES) {
      part("keep-first").focus();
      announce(part("too-many").querySelector("p").textContent);
    } else {
      send(sent);
    }
  });

  // --- sending --------------------------------------------------------------------------------------

  async function send(sent) {
    key = key || newKey();
    const mine = upload = {
      request: new XMLHttpRequest(), asking: new AbortController(), isCancelled: false, hasSentAll: false,
    };
    begin(sent);
    const outcome = await attempt(mine, sent);
    if (outcome.job) {
      hasLeft = true;
      for (const { file } of sent) InParts.forget(file, owner());
      upload = null;
      announce("All files are submitted.");
      location.assign(form.dataset.jobs + "/" + outcome.job);
      return;
    }
    upload = null;
    end(sent);
    if (mine.isCancelled) {
      announce("Cancelled. Nothing was submitted.");
      part("send").focus();
      return;
    }
    hasFailed = true;
    draw();
    refuse(outcome.detail, outcome);
  }

  // {job}, or why there is none: {detail, title, reasons, link}.
  async function attempt(mine, sent) {
    const { token, ...reason } = await freshToken(mine.asking.signal);
    if (!token || mine.isCancelled) return reason;
    try {
      return await sendAll(mine, token, sent);
    } catch (error) {
      if (mine.isCancelled) return {};
      throw error;
    }
  }

  async function sendAll(mine, token, sent) {
    const progress = progressOf(sent);
    const failure = await sendLarge(mine, token, sent, progress);
    if (failure) return failure;
    // It may have taken long: who is signed in, and where, is asked again.
    const fresh = sent.some((entry) => entry.id) ? await freshToken(mine.asking.signal) : { token };
    if (!fresh.token || mine.isCancelled) return fresh;
    // The server takes those of the form first, and tells of the files in its order.
    const ordered = [...sent.filter((entry) => !entry.id), ...sent.filter((entry) => entry.id)];
    const answer = await post(mine, fresh.token, ordered, progress);
    if (answer.status === 202) return { job: answer.problem.id };
    if (answer.status === 0 && !mine.isCancelled) return lost(ordered, mine);
    if (answer.problem.code === "upload.gone") return gone(sent);
    return told(answer, ordered);
  }

  // Those that go in parts, one after the other; nothing once all are stored, or why they are not.
  async function sendLarge(mine, token, sent, progress) {
    const { signal } = mine.asking;
    for (const entry of sent.filter((each) => !each.id && goesInParts(each))) {
      const end = await InParts.send(entry.file, {
        api: form.dataset.uploads,
        owner: owner(),
        token,
        signal,
        renew: () => freshToken(signal),
        stored: (bytes) => { entry.stored = bytes; progress(); },
        waits: waitsWords,
      });
      if (end.id) entry.id = end.id;
      else if (!end.whole) return unsent(end, entry);
      else entry.stored = 0;
    }
    return null;
  }

  function waitsWords(seconds, { status, problem }) {
    const why = status ? (problem && problem.detail) || "The server could not answer (" + status + ")." : "The server does not answer.";
    part("speed").textContent = navigator.onLine
      ? why + " Trying again in " + inTime(seconds) + "; " + part("total").value + " % are stored."
      : "Paused at " + part("total").value + " %: there is no connection. It goes on by itself when there is one.";
    announce(part("speed").textContent);
  }

  function unsent(end, entry) {
    if (end.refusal) return end.refusal;
    if (end.answer) return told(end.answer, [entry]);
    if (end.changed) {
      entry.refusal = CHANGED;
      key = "";
      return { detail: "The upload stopped at a file that is no longer what was chosen; it is marked below." };
    }
    return {
      title: "The upload did not get through",
      detail: "The connection was lost. Try again: it goes on from what is stored, also after a reload.",
    };
  }

  // An upload was taken by another submission, or stood still for a day.
  function gone(sent) {
    for (const entry of sent.filter((each) => each.id)) {
      InParts.forget(entry.file, owner());
      Object.assign(entry, { id: "", stored: 0 });
    }
    key = "";
    return {
      detail: "What was stored of the large files is not there any more: it was submitted from elsewhere, or a day is over. Look at the jobs first; trying again sends them anew.",
    };
  }

  // Who signed in again meanwhile has another token than this page; who signed out, or switched to
  // another organization, should learn it before all the files were sent.
  async function freshToken(signal) {
    let answer, text;
    try {
      answer = await fetch(form.action, { redirect: "manual", cache: "no-store", signal });
      text = await answer.text();
    } catch {
      return { detail: offlineWords() };
    }
    if (answer.type === "opaqueredirect") return signedOut();
    if (answer.status === 403) return { detail: "You may not submit jobs in the organization that you now work in." };
    if (!answer.ok) return { detail: "The server cannot take files at the moment (" + answer.status + "). Try again later." };
    const page = new DOMParser().parseFromString(text, "text/html");
    const token = page.querySelector("#upload [name=csrfmiddlewaretoken]");
    if (!token) return signedOut();
    const now = page.querySelector("#upload [name=organization]");
    if (now.defaultValue !== form.elements.organization.defaultValue) {
      return { detail: "You now work in " + now.dataset.name + ". Reload this page to send there." };
    }
    return { token: token.value };
  }

  function post(mine, token, sent, progress) {
    const { request } = mine;
    return new Promise((done) => {
      request.open("POST", form.dataset.api);
      request.setRequestHeader("X-CSRFToken", token);
      request.setRequestHeader("Idempotency-Key", key);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
      request.upload.addEventListener("load", () => { mine.hasSentAll = true; allSent(); });
      for (const name of ["load", "error", "abort"]) {
        request.addEventListener(name, () => done({
          status: request.status,
          problem: decoded(request.responseText),
          retryAfter: Number(request.getResponseHeader("Retry-After")) || 0,
        }));
      }
      request.send(bodyOf(sent));
    });
  }

  function decoded(text) {
    try {
      return JSON.parse(text) || {};
    } catch {
      return {};
    }
  }

  // Draws how far the files are: of those in parts what the server has stored, of the others what was
  // sent. These go one after the other, and the form's own bytes are shared.
  function progressOf(sent) {
    const all = sent.reduce((sum, { file }) => sum + file.size, 0);
    const marks = [];
    let quarter = 0;
    return (loaded = 0, total = 0) => {
      const whole = sent.filter((entry) => !entry.id && !entry.stored);
      const bytes = total ? whole.reduce((sum, { file }) => sum + file.size, 0) : 0;
      const extra = Math.max(total - bytes, 0) / Math.max(whole.length, 1);
      let start = 0;
      for (const entry of sent) {
        let done = entry.stored;
        if (total && whole.includes(entry)) {
          done = Math.min(Math.max(loaded - start - extra, 0), entry.file.size);
          start += extra + entry.file.size;
        }
        entry.row.querySelector("progress").value = 100 * done / entry.file.size;
      }
      const stored = sent.reduce((sum, entry) => sum + entry.stored, 0);
      const reached = Math.min(stored + loaded, all);
      const percent = Math.floor(100 * reached / Math.max(all, 1));
      part("total").value = percent;
      part("speed").textContent = percent + " % of " + inBytes(all) + pace(marks, reached, all);
      if (Math.floor(percent / 25) > quarter) {
        quarter = Math.floor(percent / 25);
        if (quarter < 4) announce(quarter * 25 + " % sent.");
      }
    };
  }

  // Speed over the last five seconds, and how long the rest takes at it.
  function pace(marks, loaded, total) {
    const now = performance.now();
    marks.push([now, loaded]);
    while (marks.length > 2 && now - marks[0][0] > 5000) marks.shift();
    const seconds = (now - marks[0][0]) / 1000;
    const speed = (loaded - marks[0][1]) / Math.max(seconds, 0.001);
    if (seconds < 0.5 || speed <= 0) return "";
    return ", " + inBytes(speed) + "/s, " + inTime((total - loaded) / speed) + " left";
  }

  function begin(sent) {
    form.dataset.busy = "";
    part("refusal").hidden = true;
    part("drop").hidden = true;
    part("sending").hidden = false;
    part("options").inert = true;
    part("total").value = 0;
    part("cancel").hidden = false;
    part("sending-title").textContent = "Sending " + plural(sent.length, "file");
    part("speed").textContent = "Connecting";
    for (const entry of sent) {
      entry.stored = entry.id ? entry.file.size : 0;
      entry.row.querySelector("progress").value = entry.id ? 100 : 0;
      entry.row.querySelector("progress").hidden = false;
    }
    part("cancel").focus();
    announce("Sending " + plural(sent.length, "file") + ".");
  }

  function allSent() {
    part("total").value = 100;
    for (const { row } of entries) row.querySelector("progress").value = 100;
    part("cancel").hidden = true; // too late: the server has them all
    part("speed").textContent = "All sent. The server checks the files.";
    announce(part("speed").textContent);
  }

  function end() {
    delete form.dataset.busy;
    part("drop").hidden = false;
    part("sending").hidden = true;
    part("options").inert = false;
    for (const { row } of entries) row.querySelector("progress").hidden = true;
  }

  part("cancel").addEventListener("click", () => {
    upload.isCancelled = true;
    upload.asking.abort();
    upload.request.abort();
  });
  window.addEventListener("beforeunload", (event) => { if (upload) event.preventDefault(); });
  // Back from the job's page: the list was sent.
  window.addEventListener("pageshow", (event) => { if (event.persisted && hasLeft) location.reload(); });

  // --- what went wrong --------------------------------------------------------------------------------

  function refuse(detail, { title = "Nothing was submitted", reasons = [], link = "" } = {}) {
    const notice = part("refusal");
    notice.querySelector("[data-title]").textContent = title;
    const words = [detail];
    if (link) {
      const anchor = Object.assign(document.createElement("a"), { href: link, target: "_blank", textContent: "Sign in" });
      words.push(" ", anchor, " in another tab, then try again here: the list stays.");
    }
    notice.querySelector("[data-detail]").replaceChildren(...words);
    notice.querySelector("[data-reasons]").replaceChildren(...reasons.map((text) =>
      Object.assign(document.createElement("li"), { textContent: text })));
    notice.hidden = false;
    notice.focus();
    notice.scrollIntoView({ block: "nearest" });
  }

  const signedOut = () => ({
    detail: "You are signed out.",
    link: form.dataset.signIn + "?next=" + encodeURIComponent(new URL(form.action).pathname),
  });

  function offlineWords() {
    return navigator.onLine
      ? "The server does not answer. Try again in a moment."
      : "There is no connection. Try again when you are online.";
  }

  // The connection ended without an answer: because a file is no longer what was chosen, or else.
  async function lost(sent, mine) {
    const checks = await Promise.all(sent.map(async (entry) => {
      try {
        await entry.file.slice(0, 1).arrayBuffer();
        return false;
      } catch {
        entry.refusal = CHANGED;
        return true;
      }
    }));
    if (checks.some(Boolean)) {
      key = "";
      return { detail: "The upload stopped at a file that is no longer what was chosen; it is marked below." };
    }
    // What did not even arrive made no job: the next try may well send it in another way.
    if (!mine.hasSentAll) {
      isBadLine = true;
      key = "";
    }
    return {
      title: "The upload did not get through",
      detail: "The connection was lost. Try again: no file is submitted twice.",
    };
  }

  // The server's refusal in words, each file's reason put beside it.
  function told({ status, problem, retryAfter }, sent) {
    const errors = problem.errors || [];
    if (status === 401) return signedOut();
    if (problem.code === "batch.all_rejected") {
      mark(errors, sent);
      return { detail: "None of these files can be read. The reason is beside each; nothing was stored." };
    }
    if (problem.code === "idempotency.mismatch") {
      key = "";
      return { detail: "An earlier try did get through, and files were changed since: look at the jobs first. Trying again makes another job." };
    }
    if (status === 413 && !problem.code) {
      return { detail: "That is more than the server takes in one go. Send fewer files at once." };
    }
    if (!problem.code) {
      return {
        title: "The upload did not get through",
        detail: "The server could not answer (" + status + "). Try again: no file is submitted twice.",
      };
    }
    const later = retryAfter && !problem.limiter ? " It is worth another try in " + inTime(retryAfter) + "." : "";
    if (errors.length) return { detail: later.trim(), reasons: errors.map(fieldReason) };
    return { detail: (problem.detail || problem.title) + later };
  }

  // The server names every file in the order sent, so that two of one name are told apart.
  function mark(errors, sent) {
    sent.forEach((entry, place) => {
      entry.refusal = errors[place] ? errors[place].detail : "";
    });
  }

  function fieldReason({ field: name, detail }) {
    const control = form.elements[name.replace("options.", "")];
    if (!control || !control.labels) return name + ": " + detail;
    control.setAttribute("aria-invalid", "true");
    if (part("more").contains(control)) part("more").open = true;
    return control.labels[0].textContent + ": " + detail;
  }

  // --- the page is ready for its script -----------------------------------------------------------------

  form.classList.add("scripted");
  for (const each of form.querySelectorAll(".with-script")) each.hidden = false;
  part("files").required = false; // it is emptied after each choice
  part("choose-folder").hidden = !("webkitdirectory" in part("folder"));
  draw();
})();
