// Starts Swagger UI, in its own dark colours for who chose them here or for their whole system.
"use strict";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour() {
  const chosen = root.dataset.theme;
  root.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && dark.matches));
}
colour();
dark.addEventListener("change", colour);

document.addEventListener("DOMContentLoaded", () => {
  const { schema, token } = document.getElementById("swagger-ui").dataset;
  SwaggerUIBundle({
    url: schema,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    docExpansion: "list",
    displayOperationId: false,
    requestInterceptor(request) {
      // A session is taken with this token only; other servers need not know it.
      const isHere = new URL(request.url, location.href).origin === location.origin;
      if (isHere && !["GET", undefined].includes(request.method)) request.headers["X-CSRFToken"] = token;
      return request;
    },
  });
});
