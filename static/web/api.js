// Sends the forms of the browsable API as programs do, and shows the answer in place of the page.
// A plain form knows neither DELETE nor the header that carries the CSRF token.
// A module: its names are its own.

function token() {
  return JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
}

// Fields left empty are not sent: they take what the server holds to be usual.
function filled(form) {
  const data = new FormData(form);
  for (const [name, value] of [...data]) if (value === "") data.delete(name);
  return [...data].length ? data : undefined;
}

async function answerTo(form) {
  return fetch(form.getAttribute("action"), {
    method: form.dataset.send,
    body: ["POST", "PATCH"].includes(form.dataset.send) ? filled(form) : undefined,
    headers: { "X-CSRFToken": token(), Accept: "text/html" },
  });
}

function tellUnsent(text) {
  const notice = document.getElementById("unsent");
  notice.textContent = text;
  notice.hidden = false;
  notice.scrollIntoView({ block: "nearest" });
}

async function show(answer) {
  const text = await answer.text();
  if (!(answer.headers.get("Content-Type") || "").startsWith("text/html")) {
    tellUnsent("The server answered " + answer.status + ": " + text.slice(0, 500));
    return;
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  document.title = page.title;
  document.body.replaceWith(document.adoptNode(page.body));
  window.scrollTo(0, 0);
  document.getElementById("main").focus();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.send) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  let answer;
  try {
    answer = await answerTo(form);
    await show(answer);
  } catch {
    tellUnsent(
      answer
        ? "It was sent, but the answer did not arrive. Reload the page to see what came of it."
        : "No answer came: the connection to the server is gone. Reload the page before you send it again.",
    );
  }
  button.disabled = false;
  const dialog = form.closest("dialog");
  if (dialog) dialog.close();
});
