// The list of jobs: all of a page chosen at once, and how many are. What is chosen stays so while
// the list brings itself up to date; what leaves the page is not chosen any more.
"use strict";

const bulk = document.getElementById("bulk");
let chosen = 0; // how many were chosen when it was told last

function boxes() {
  return [...document.querySelectorAll("#list input[name=jobs]")];
}

function tellChosen() {
  const all = document.getElementById("choose-all");
  const found = boxes();
  const count = found.filter((box) => box.checked).length;
  if (all) {
    all.checked = count > 0 && count === found.length;
    all.indeterminate = count > 0 && count < found.length;
  }
  if (count === chosen) return;
  const where = chosen ? "" : ". What can be done with it is below the list";
  chosen = count;
  const told = count + (count === 1 ? " job" : " jobs") + " selected";
  document.getElementById("chosen").textContent = told;
  say(count ? told + where : "No job selected");
}

document.addEventListener("change", (event) => {
  if (event.target.id === "choose-all") {
    for (const box of boxes()) box.checked = event.target.checked;
  } else if (event.target.name !== "jobs") return;
  tellChosen();
});

// Enter would send the form without saying what is to be done.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("input[name=jobs]")) event.preventDefault();
});

// The boxes are emptied after the event; the bar goes then, and with it the button that has the focus.
bulk.addEventListener("reset", () => setTimeout(() => {
  tellChosen();
  document.getElementById("choose-all")?.focus();
}));

document.addEventListener("htmx:afterSwap", () => {
  const wasInside = bulk.contains(document.activeElement);
  tellChosen();
  if (wasInside && !chosen) document.getElementById("main").focus({ preventScroll: true });
});
window.addEventListener("pageshow", tellChosen);
