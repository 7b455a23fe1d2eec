/** @import { Server } from "../client/server.js" */
/** Who works here, on a server that keeps workflows and settings by user. To choose a name is no login. */
import { dialog } from "./dialogs.js";
import { button, h } from "./dom.js";

/**
 * @param {Server} server
 * @param {Record<string, string>} users names by id
 * @param {boolean} [must] asks again until somebody is chosen
 */
export function chooseUser(server, users, must = false) {
  const trouble = h("p", { class: "bad", role: "alert", hidden: true });
  const field = h("input", {
    type: "text",
    class: "control",
    maxlength: "100",
    placeholder: "Your name",
    "aria-label": "Name of a new user",
    autocomplete: "off",
  });
  const make = async () => {
    try {
      if (field.value.trim()) server.become(await server.addUser(field.value.trim()));
      else field.focus();
    } catch (error) {
      trouble.textContent = String(/** @type {Error} */ (error).message);
      trouble.hidden = false;
      field.focus();
    }
  };
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the rest of the press must not reach what has the focus next
    make();
  });
  const names = Object.entries(users).sort(([, a], [, b]) => a.localeCompare(b));
  const row = (/** @type {[string, string]} */ [id, name]) =>
    h(
      "button",
      {
        type: "button",
        class: "user",
        "aria-current": id === server.user ? "true" : undefined,
        on: { click: () => server.become(id) },
      },
      h("span", { class: "user-initial", "aria-hidden": "true" }, [...name][0]?.toUpperCase()),
      h("span", { class: "user-name" }, name),
      id === server.user && h("small", {}, "now"),
    );
  const element = dialog(
    "Who is working?",
    [
      h(
        "p",
        { class: "quiet", style: { marginTop: "0" } },
        "Workflows and settings are kept for each user. There is no password: whoever reaches this server " +
          "can choose any name.",
      ),
      names.length > 0 && h("div", { class: "users", role: "group", "aria-label": "Users" }, names.map(row)),
      h("h3", {}, names.length ? "Somebody new" : "Make the first user"),
      h("div", { class: "user-new" }, field, button("Begin", make, { class: "button primary" })),
      trouble,
    ],
    [],
    "narrow",
  );
  /** @type {HTMLElement | null} */ const known = element.querySelector(".user[aria-current], .user");
  (known ?? field).focus();
  if (!must) return;
  element.querySelector(".dialog-head button")?.remove();
  element.addEventListener("close", () => chooseUser(server, users, must));
}
