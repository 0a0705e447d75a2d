// Brings news into a page without disturbing whoever reads it: what stays the same stays in place, with
// its focus, selection and pressed button. For fragments with hx-ext="morph" hx-swap="morph".
"use strict";

const OURS = ["data-sent", "aria-disabled", "open"]; // set by app.js and whoever reads; the server does not know

// The node from `here` on that `fresh` is the news of. Things with an id are told apart by it.
function counterpart(here, fresh) {
  for (let node = here; node; node = node.nextSibling) {
    if (node.nodeName === fresh.nodeName && node.id === fresh.id) return node;
    if (node.id && !fresh.id) return null;
  }
  return null;
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!OURS.includes(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  let here = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = counterpart(here, child);
    if (!same) {
      old.insertBefore(child, here);
      continue;
    }
    while (here !== same) here = drop(here);
    here = same.nextSibling;
    morph(same, child);
  }
  while (here) here = drop(here);
}

htmx.defineExtension("morph", {
  handleSwap(style, target, fragment) {
    if (style !== "morph") return false;
    const focused = document.activeElement;
    morph(target, fragment.firstElementChild);
    // Whoever was on a button that is gone goes on from the start of the content.
    if (!focused.isConnected) document.getElementById("main").focus({ preventScroll: true });
    return [target];
  },
});
