"use strict";
// Exchanges the token for a cookie, and comes back with the same address.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.getElementById("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = document.getElementById("said");
    said.textContent = "Asking \u2026";
    const body = JSON.stringify({ token: document.getElementById("token").value });
    const answer = await fetch("login", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (answer.ok) location.reload();
    else said.textContent = "This is not the token.";
  });
})();
