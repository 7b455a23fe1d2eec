// The login page: sends the token, from the field or from the address (#token=…), and opens the editor.
const form = document.getElementById("login");
const problem = document.getElementById("problem");

/** @param {string} token */
async function logIn(token) {
  const response = await fetch("/nodeloom/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (response.ok) return location.replace(location.pathname + location.search);
  const answer = await response.json().catch(() => null);
  problem.textContent = answer?.error?.message ?? `The server answered ${response.status}.`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  problem.textContent = "";
  logIn(new FormData(form).get("token").toString().trim());
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", location.pathname + location.search);
  logIn(given);
}
