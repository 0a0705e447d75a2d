// Swagger UI's own dark colours, for who chose them here or for their whole system.
"use strict";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour() {
  const chosen = root.dataset.theme;
  root.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && dark.matches));
}
colour();
dark.addEventListener("change", colour);
