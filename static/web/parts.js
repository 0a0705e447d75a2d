// Sends a file in parts, by the tus protocol: what the server has stored of it stays stored, through
// lines that break and a page that is reloaded.
"use strict";

const InParts = (() => {
  const PART_BYTES = 1024 * 1024;
  const SMALLEST_PART_BYTES = PART_BYTES / 4;
  const LARGEST_PART_BYTES = PART_BYTES * 16;
  const QUICK_MS = 2000; // a part that took less is followed by one twice as long
  const STALL_MS = 45000; // without a byte moving, the line is taken for broken
  const WAITS_SECONDS = [1, 2, 4, 8, 15, 30, 30, 30, 30, 30]; // between tries that came to nothing
  const LONGEST_WAIT_SECONDS = 120; // what is to be waited for longer is told
  const LATER = [0, 423, 429, 500, 502, 503, 504]; // 0: there was no answer
  const MEMORY = "docmill.uploads";

  // --- which upload a file has: remembered by what it looks like, without its name ----------------

  function hash(text) {
    let value = 0xcbf29ce484222325n; // FNV-1a, 64 bits
    for (const byte of new TextEncoder().encode(text)) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
    return value.toString(36);
  }

  const printOf = (file, owner) => [hash(owner + "/" + file.name), file.size, file.lastModified].join(".");

  function remembered() {
    try {
      return JSON.parse(localStorage.getItem(MEMORY)) || {};
    } catch {
      return {}; // nobody may store here, or it was something else
    }
  }

  function remember(print, id) {
    const known = remembered();
    if (id) known[print] = id;
    else delete known[print];
    try {
      if (Object.keys(known).length) localStorage.setItem(MEMORY, JSON.stringify(known));
      else localStorage.removeItem(MEMORY);
    } catch {
      // It goes on as long as the page is open.
    }
  }

  // --- one request ----------------------------------------------------------------------------------

  function ask(method, url, { headers = {}, body = null, token, signal }) {
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      let stall;
      const moved = () => {
        clearTimeout(stall);
        stall = setTimeout(() => request.abort(), STALL_MS);
      };
      const stop = () => request.abort();
      request.open(method, url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.setRequestHeader("Tus-Resumable", "1.0.0");
      request.setRequestHeader("X-CSRFToken", token);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", moved);
      request.addEventListener("loadend", () => {
        clearTimeout(stall);
        signal.removeEventListener("abort", stop);
        window.removeEventListener("offline", stop);
        if (signal.aborted) fail(signal.reason);
        else done(answerOf(request));
      });
      signal.addEventListener("abort", stop);
      window.addEventListener("offline", stop); // what is under way may hang for minutes
      moved();
      request.send(body);
    });
  }

  function answerOf(request) {
    const header = (name) => (request.status ? request.getResponseHeader(name) : null);
    let problem = {};
    try {
      problem = JSON.parse(request.responseText) || {};
    } catch {
      // A proxy's, or none.
    }
    const offset = header("Upload-Offset");
    return {
      status: request.status,
      problem,
      offset: offset === null ? null : Number(offset),
      isOurs: header("Tus-Resumable") !== null,
      retryAfter: Number(header("Retry-After")) || 0,
    };
  }

  // --- waiting --------------------------------------------------------------------------------------

  // Until that many seconds are over and there is a connection; at once when it comes back.
  function pause(seconds, signal) {
    return new Promise((done, fail) => {
      let timer;
      const stop = () => end(fail, signal.reason);
      const back = () => end(done);
      function end(how, value) {
        clearTimeout(timer);
        window.removeEventListener("online", back);
        signal.removeEventListener("abort", stop);
        how(value);
      }
      window.addEventListener("online", back);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      else if (navigator.onLine) timer = setTimeout(back, seconds * 1000);
    });
  }

  async function isReadable(file) {
    try {
      await file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }

  // --- a file ---------------------------------------------------------------------------------------

  // `how` is {api, owner, renew, signal, stored, waits}: `renew` gives a fresh {token}, or why there
  // is none; `stored` hears how many bytes the server has, `waits` how many seconds it is waited and
  // after which answer.
  // Comes to {id} once all is stored, to {whole} where the server takes no parts of it, or to why
  // not: {refusal}, {answer}, {lost} or {changed}. Throws when `signal` says stop.
  class Sending {
    constructor(file, how) {
      this.file = file;
      this.how = how;
      this.print = printOf(file, how.owner);
      this.token = how.token;
      this.part = PART_BYTES;
      this.tries = 0;
    }

    async run() {
      let id = remembered()[this.print];
      for (;;) {
        const begun = id ? await this.found(id) : await this.begun();
        if (begun.end) return begun.end;
        if (begun.id) {
          remember(this.print, begun.id);
          const end = await this.sent(begun);
          if (end) return end;
        }
        // It is gone from there. Whoever works in another organization now must not go on there.
        remember(this.print, null);
        id = null;
        const end = (begun.id && await this.failed({ status: 404, retryAfter: 0 })) || await this.renewed();
        if (end) return end;
      }
    }

    // {id, offset} of an upload from before, {} when it is no more, or {end}.
    async found(id) {
      const answer = await this.patiently("GET", "/" + id, {});
      if (answer.end) return answer;
      const { problem } = answer;
      const isSame = answer.status === 200 && problem.name === this.file.name && problem.size_bytes === this.file.size;
      return isSame ? { id, offset: problem.offset_bytes } : {};
    }

    async begun() {
      const name = btoa(String.fromCharCode(...new TextEncoder().encode(this.file.name)));
      const headers = { "Upload-Length": this.file.size, "Upload-Metadata": "filename " + name };
      const answer = await this.patiently("POST", "", { headers });
      if (answer.end) return answer;
      if (answer.status === 201) return { id: answer.problem.id, offset: 0 };
      return { end: answer.status === 401 || answer.status === 403 ? { answer } : { whole: true } };
    }

    // Nothing when the upload is gone, else how it ended.
    async sent({ id, offset }) {
      let at = offset;
      this.how.stored(at);
      while (at < this.file.size) {
        const length = Math.min(this.part, this.file.size - at);
        const started = performance.now();
        const answer = await this.ask("PATCH", "/" + id, {
          headers: { "Upload-Offset": at, "Content-Type": "application/offset+octet-stream" },
          body: this.file.slice(at, at + length),
        });
        if (answer.offset > at) {
          at = answer.offset;
          this.tries = 0;
          this.how.stored(at);
          if (performance.now() - started < QUICK_MS) this.part = Math.min(this.part * 2, LARGEST_PART_BYTES);
          continue;
        }
        if (answer.status === 404 || answer.status === 410) return null;
        const end = await this.halted(answer);
        if (end) return end;
        const now = await this.found(id);
        if (now.end) return now.end;
        if (!now.id) return null;
        at = now.offset;
        this.how.stored(at);
      }
      return { id };
    }

    // After a part that was not taken: nothing once it can go on, or why it cannot.
    async halted(answer) {
      const isShorterTaken = answer.status === 413 && !answer.isOurs;
      if (answer.status === 0 || isShorterTaken) this.part = Math.max(this.part / 2, SMALLEST_PART_BYTES);
      if (answer.status === 403 && this.tries === 0) {
        this.tries += 1;
        return this.renewed(); // who signed in again meanwhile has another token
      }
      if (LATER.includes(answer.status) || answer.status === 409 || isShorterTaken) return this.failed(answer);
      return { answer };
    }

    async patiently(method, path, more) {
      for (;;) {
        const answer = await this.ask(method, path, more);
        if (!LATER.includes(answer.status)) return answer;
        const end = await this.failed(answer);
        if (end) return { end };
      }
    }

    ask(method, path, more) {
      return ask(method, this.how.api + path, { ...more, token: this.token, signal: this.how.signal });
    }

    // Waits before the next try; why there is none.
    async failed(answer) {
      if (!answer.status && !(await isReadable(this.file))) return { changed: true };
      const isOver = this.tries >= WAITS_SECONDS.length || answer.retryAfter > LONGEST_WAIT_SECONDS;
      if (isOver) return answer.status ? { answer } : { lost: true };
      const seconds = Math.max(WAITS_SECONDS[this.tries], answer.retryAfter);
      if (navigator.onLine) this.tries += 1;
      this.how.waits(seconds, answer);
      await pause(seconds, this.how.signal);
      return null;
    }

    async renewed() {
      const { token, ...refusal } = await this.how.renew();
      if (!token) return { refusal };
      this.token = token;
      return null;
    }
  }

  return {
    send: (file, how) => new Sending(file, how).run(),
    forget: (file, owner) => remember(printOf(file, owner), null),
  };
})();
