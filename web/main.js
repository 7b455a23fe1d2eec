/** Joins the parts: server, documents, editor, pointing, panels. */
import { Documents } from "./client/documents.js";
import { Drafts } from "./client/drafts.js";
import { Runs } from "./client/runs.js";
import { Server } from "./client/server.js";
import { Settings } from "./client/settings.js";
import { Socket } from "./client/socket.js";
import { createApp } from "./compat/app.js";
import { Library } from "./core/specs.js";
import { addEditing } from "./interaction/builtin_commands.js";
import {
  addFiles,
  addMedia,
  addRunning,
  chooseFiles,
  openFiles,
  uploadTo,
} from "./interaction/app_commands.js";
import { Commands, leaveComposing, listenToKeys } from "./interaction/commands.js";
import { Editor } from "./interaction/editor.js";
import { Fields } from "./interaction/fields.js";
import { Pointing } from "./interaction/pointer.js";
import { acceptDrops } from "./interaction/drops.js";
import { byId, Shell } from "./panels/shell.js";
import { reportRuns, Toasts } from "./panels/toasts.js";
import { Tree } from "./panels/tree.js";
import { missingTypes } from "./core/prompt.js";
import { parseJson } from "./core/text.js";
import { Images } from "./view/images.js";
import { Minimap } from "./view/minimap.js";

/** @template T @param {() => Promise<T>} make @returns {() => Promise<T>} made at the first call */
function once(make) {
  /** @type {Promise<T> | undefined} */ let made;
  return () => (made ??= make());
}

/** @param {Record<string, string>} users names by id @param {string} user an id or a name */
function knows(users, user) {
  return Object.hasOwn(users, user) || Object.values(users).includes(user);
}

/**
 * What `crypto.randomUUID` gives: browsers keep that one from pages that came over plain http from another
 * machine.
 */
function randomUUID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return /** @type {ReturnType<Crypto["randomUUID"]>} */ (
    digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
  );
}

const AUTOSAVE = 3000; // milliseconds of rest

/** Loaded when something is to be told or asked. */
const reports = () => import("./panels/reports.js");
/** @type {import("./interaction/app_commands.js").Dialogues["ask"]} */
const ask = async (...question) => (await import("./panels/dialogs.js")).ask(...question);
/** @type {import("./interaction/app_commands.js").Dialogues["confirm"]} */
const confirm = async (...question) => (await import("./panels/dialogs.js")).confirm(...question);
/** @type {import("./interaction/app_commands.js").Dialogues["choose"]} */
const choose = async (...question) => (await import("./panels/dialogs.js")).choose(...question);

/**
 * A panel whose module is loaded when it is opened.
 * @param {() => Promise<(body: HTMLElement, head: HTMLElement) => any>} load
 * @returns {(body: HTMLElement, head: HTMLElement) => () => void}
 */
function later(load) {
  return (body, head) => {
    let closed = false;
    /** @type {(() => void) | undefined} */ let close;
    load().then((open) => {
      if (!closed) close = open(body, head);
    });
    return () => {
      closed = true;
      close?.();
    };
  };
}

/** @returns {Promise<void>} */
async function start() {
  crypto.randomUUID ??= randomUUID;
  leaveComposing();
  const server = new Server();
  const layer = byId("layer");
  const toasts = new Toasts(layer, byId("live"));
  const settings = new Settings(server);
  settings.apply();
  const drafts = new Drafts(server.user);
  const [objectInfo, known] = await Promise.all([loadSpecs(server, toasts), settings.load(), drafts.open()]);
  if (!known) await settings.load(); // the server was not up yet
  const users = server.several ? await server.users().catch(() => undefined) : undefined;
  if (users && !knows(users, server.user))
    return (await import("./panels/users_dialog.js")).chooseUser(server, users, true);
  const library = new Library(objectInfo);
  const images = new Images();
  const serverDrafts = once(async () => new (await import("./client/server_drafts.js")).ServerDrafts(server));
  drafts.copies = serverDrafts;
  const documents = new Documents(server, drafts, images, () => editor?.library ?? library);
  /** @type {import("./client/examples.js").Examples | undefined} */ let listed;
  const examples = once(async () => {
    listed = new (await import("./client/examples.js")).Examples(server, documents);
    await listed.load();
    return listed;
  });
  /** @type {Editor} */ let editor;
  const first = await documents.restore();
  editor = new Editor(byId("stage"), library, first);
  documents.editor = editor;
  drafts.remember(documents.tabs, first);

  const socket = new Socket(
    server.url("api/ws"),
    sessionStorage.getItem("nodeloom-client") ?? crypto.randomUUID(),
  );
  sessionStorage.setItem("nodeloom-client", socket.clientId);
  const runs = new Runs(editor, server, socket);
  const commands = new Commands();
  /** @type {() => Promise<import("./interaction/lists.js").Lists>} */
  const lists = once(async () => {
    const made = (await import("./interaction/lists.js")).createLists(
      layer,
      editor,
      commands,
      fields,
      server,
    );
    made.palettes.firstNodes = () => settings.get("firstNodes");
    return made;
  });
  const palettes = async () => (await lists()).palettes;
  const fields = new Fields(editor, lists, (id, name) =>
    chooseFiles(
      ([file]) => commands.guarded(() => uploadTo(file, editor, server, id, name)),
      "image/*,video/*,audio/*",
    ),
  );
  const menu = once(async () => new (await import("./panels/menu.js")).Menu(layer));
  const showMenu = async (/** @type {any} */ entries, /** @type {number} */ x, /** @type {number} */ y) =>
    (await menu()).open(entries, x, y);
  const shell = new Shell(editor, commands, runs, documents, showMenu);
  const view = async (/** @type {any[]} */ files, /** @type {number} */ index) =>
    (await import("./panels/viewer.js")).viewPictures(server, files, index, { edit: paint });
  const paint = async (/** @type {any} */ file) =>
    (await import("./panels/mask_editor.js")).paintMask(server, editor, file);
  /** @type {import("./extensions.js").Extensions | undefined} */ let extensions;
  const register = async (/** @type {import("./extensions.js").Extension} */ extension) => {
    const { Extensions } = await import("./extensions.js");
    extensions ??= new Extensions({
      editor,
      commands,
      shell,
      fields,
      report: (name, error) =>
        toasts.show(`The extension “${name}” failed and is left out`, { kind: "bad", text: String(error) }),
    });
    await extensions.register(extension);
  };
  const onPage = (/** @type {[number, number]} */ [x, y]) =>
    /** @type {[number, number]} */ ([
      x + editor.host.getBoundingClientRect().left,
      y + editor.host.getBoundingClientRect().top,
    ]);

  const pointing = new Pointing(editor, {
    widget: (found, at) => fields.press(found, at),
    palette: async (at, screen) => (await palettes()).addNode(at, onPage(screen)),
    linkDropped: async (fixed, at) =>
      (await palettes()).addLinked(fixed, at, onPage(editor.camera.toScreen(at))),
    choosePair: async (pairs, at) => {
      const { pairMenu } = await import("./interaction/context_menu.js");
      await showMenu(pairMenu(pairs, editor), ...onPage(editor.camera.toScreen(at)));
    },
    rename: (id) => fields.rename(id),
    renameGroup: (id) => fields.renameGroup(id),
    openGroup: () => commands.run("open-group"),
    openPicture: async (id, at) => {
      const { pictureAt } = await import("./view/node_painter.js");
      const node = editor.scene.node(id);
      const [x, y] = editor.scene.box(id);
      const shown = editor.tab.results.pictures(editor.runId(id), node, editor.drawnPixels(id));
      view(
        editor.tab.results.files(editor.runId(id), node),
        pictureAt(editor.scene.layout(id), shown, at[0] - x, at[1] - y - editor.scene.layout(id).title),
      );
    },
    menu: async (found, at, screen) => {
      await examples();
      const { contextMenu } = await import("./interaction/context_menu.js");
      await showMenu(
        contextMenu(found, at, {
          editor,
          commands,
          palettes: await palettes(),
          fields,
          extensions,
          ask,
          view,
          paint,
        }),
        ...onPage(screen),
      );
    },
  });
  const captures = once(
    async () =>
      new (await import("./panels/capture.js")).Captures({
        layer,
        editor,
        server,
        runs,
        toast: (title, options) => toasts.show(title, options),
      }),
  );
  fields.capture = async (id, widget) => (await captures()).open(id, widget);
  fields.lastUsed = (id, name) => runs.lastUsed(editor.tab, `${editor.scopeId}/${id}/${name}`);
  const edit = (/** @type {any} */ id, /** @type {string | undefined} */ name) =>
    name ? fields.edit(id, name) : fields.rename(id);

  commands.failed = (error) =>
    toasts.show("That did not work", {
      kind: "bad",
      text: String(/** @type {Error} */ (error)?.message ?? error),
    });
  addEditing(commands, editor, () => pointing.at);
  /** @type {import("./interaction/app_commands.js").Dialogues} */
  const dialogues = {
    ask,
    confirm,
    choose,
    toast: (title, options) => toasts.show(title, options),
    conflict: async (tab, path) => (await reports()).settleConflict(documents, tab, path),
  };
  addFiles(commands, editor, documents, server, dialogues);
  addRunning(commands, editor, runs, server, {
    times: () => Math.max(1, Number(shell.times.value) || 1),
    toast: (title, options) => toasts.show(title, options),
  });
  const add = (
    /** @type {string} */ id,
    /** @type {string} */ title,
    /** @type {string[]} */ keys,
    /** @type {() => any} */ run,
    /** @type {() => boolean} */ when = () => true,
  ) => commands.add({ id, title, group: "General", keys, run, when });
  const only = () => editor.selected.size === 1;
  const chosen = () => [...editor.selected][0];
  add("palette", "Add a node", ["A"], async () =>
    only() ? (await palettes()).addAfter(chosen()) : (await palettes()).addNode(editor.middle),
  );
  add("palette-free", "Add a node without links", ["Shift+A"], async () =>
    (await palettes()).addNode(editor.middle),
  );
  add("commands", "All commands", ["Ctrl+K", "Ctrl+Shift+P"], async () => (await palettes()).showCommands());
  add("find", "Find in this graph", ["Ctrl+F"], async () => (await palettes()).find());
  add("find-next", "Go to the next one found", ["F3"], async () => (await palettes()).findNext(1));
  add("find-previous", "Go to the one found before", ["Shift+F3"], async () =>
    (await palettes()).findNext(-1),
  );
  add("replace-values", "Replace a value everywhere", ["Ctrl+H"], async () => {
    const old = await ask("Replace a value everywhere", "Value, or a part of a text", "", "Next");
    const value =
      old && (await ask("Replace a value everywhere", `What takes the place of “${old}”?`, old, "Replace"));
    if (!old || value === undefined) return;
    const count = (await palettes()).replaceValues(old, value);
    toasts.show(count ? `${count} ${count === 1 ? "value" : "values"} replaced` : "Nothing has this value", {
      kind: count ? "fine" : "",
    });
  });
  add("connect", "Connect to …", ["C"], async () => (await palettes()).connectFrom(chosen()), only);
  add(
    "edit-value",
    "Edit a value",
    ["Enter"],
    async () => (await palettes()).chooseWidget(chosen(), (name) => edit(chosen(), name)),
    only,
  );
  add("menu", "Menu of what is selected", ["ContextMenu", "Shift+F10"], () => pointing.openMenu());
  add("rename", "Rename the node", ["F2"], () => fields.rename(chosen()), only);
  add(
    "help",
    "What this node does",
    ["F1"],
    async () => (await import("./panels/help_dialog.js")).explainNode(editor, chosen(), await examples()),
    only,
  );
  const ofChosen = () =>
    only() ? (listed?.using(editor.scene.scope.nodes.get(chosen())?.type ?? "") ?? []) : [];
  add(
    "example",
    "Open an example",
    [],
    async () => (await examples()).open(ofChosen()[0]),
    () => ofChosen().length > 0,
  );
  add("times", "What the last run took", ["Alt+T"], async () => (await reports()).listTimes(editor));
  add(
    "problems",
    "What needs attention",
    ["Alt+E"],
    async () => (await reports()).listProblems(editor),
    () => editor.tab.results.errors.size > 0,
  );
  add(
    "swap",
    "Replace the node with another type",
    ["Ctrl+R"],
    async () => (await palettes()).swap(chosen()),
    only,
  );
  add("zoom-box", "Zoom to a box", ["Z"], () => pointing.armZoom());
  add("minimap", "Show or hide the minimap", [], () => {
    minimap.element.hidden = !minimap.element.hidden;
    minimap.refresh();
  });
  add("settings", "Settings", ["Ctrl+,"], async () =>
    (await import("./panels/settings_dialog.js")).showSettings(settings, commands, editor),
  );
  add("keys", "Keyboard shortcuts", ["?"], async () =>
    (await import("./panels/settings_dialog.js")).showKeys(commands, settings),
  );
  add("templates", "Templates", ["T"], async () =>
    (await import("./panels/templates_dialog.js")).showTemplates(editor, documents, await examples()),
  );
  if (users)
    add("change-user", "Change the user", [], async () =>
      (await import("./panels/users_dialog.js")).chooseUser(server, await server.users()),
    );
  add("theme", "Light or dark", [], () => settings.set("theme", editor.theme.dark ? "light" : "dark"));

  const minimap = new Minimap(shell.corner, editor.renderer, () =>
    [...editor.tab.results.errors.keys()].map((id) => (editor.scene.scope.nodes.has(id) ? id : Number(id))),
  );
  for (const topic of /** @type {const} */ (["change", "tab", "scope", "results"]))
    editor.on(topic, () => minimap.refresh());
  editor.on("camera", () => minimap.frame());
  minimap.element.addEventListener("moved", () => editor.tell("camera"));

  shell.addPanel({
    id: "nodes",
    title: "Nodes",
    icon: "plus",
    key: "N",
    open: later(async () => (await import("./panels/nodes_panel.js")).nodesPanel(editor)),
  });
  shell.addPanel({
    id: "workflows",
    title: "Workflows",
    icon: "folder",
    key: "W",
    open: later(async () =>
      (await import("./panels/workflows_panel.js")).workflowsPanel(
        documents,
        commands,
        settings,
        await serverDrafts(),
      ),
    ),
  });
  shell.addPanel({
    id: "queue",
    title: "Queue and history",
    icon: "queue",
    key: "Q",
    open: later(
      async () => new (await import("./panels/queue_panel.js")).QueuePanel(server, runs, commands, view).open,
    ),
  });
  shell.addRail("Templates", "template", "templates");
  shell.addRail("Settings", "settings", "settings", true);
  new Tree(byId("tree"), editor, edit, byId("live"));
  editor.host.addEventListener(
    "hover",
    async (event) =>
      new (await import("./panels/hints.js")).Hints(
        layer,
        editor,
        server,
        () => Boolean(pointing.gesture),
        /** @type {CustomEvent} */ (event).detail,
      ),
    { once: true },
  );
  reportRuns(runs, editor, toasts, reports);
  editor.host.addEventListener("group-opened", () =>
    toasts.show("The group is a subgraph now", {
      tab: editor.tab,
      key: "group",
      stay: false,
      text: "It runs as before; undo makes it a group again.",
      actions: [{ label: "Undo", act: () => commands.run("undo") }],
    }),
  );
  const keep = (/** @type {import("./interaction/editor.js").Tab} */ tab) => {
    if (documents.tabs.includes(tab)) drafts.keep(tab);
  };
  runs.addEventListener("started", (event) => {
    const tab = runs.jobs.get(/** @type {CustomEvent} */ (event).detail.id)?.tab;
    if (tab) keep(tab);
  });
  runs.addEventListener("output", (event) => keep(/** @type {CustomEvent} */ (event).detail.job.tab));
  editor.on("tab", () => {
    runs.recall(editor.tab);
  });
  documents.opened = (tab) => reports().then(({ reportMissing }) => reportMissing(tab, toasts, editor));
  drafts.savedElsewhere = (path, revision) => {
    const tab = documents.tabs.find((one) => one.file === path && one.revision !== revision);
    if (tab)
      toasts.show(`“${tab.name}” was saved in another window`, {
        key: "saved elsewhere",
        stay: true,
        tab,
        text: "Saving here will ask before it replaces that version.",
        actions: [
          {
            label: "Load that version",
            act: () => {
              documents.close(tab);
              documents.openSaved(path);
            },
          },
        ],
      });
  };
  documents.met = (tab) =>
    toasts.show(`“${tab.name}” is being edited in another window`, {
      key: "edited elsewhere",
      stay: true,
      tab,
      text: "Nothing is lost: whoever saves second is asked before anything is replaced.",
      actions: [
        {
          label: "Go on in a copy",
          act: () => {
            documents.duplicate(tab);
            documents.close(tab);
          },
        },
      ],
    });
  documents.parted = (tab) => toasts.dismiss("edited elsewhere", tab);
  toasts.follow(first, documents.tabs);
  editor.on("tab", () => toasts.follow(editor.tab, documents.tabs));
  editor.on("files", (moved) => {
    const favourites = settings.get("favourites");
    if (!moved || !favourites.includes(moved.from)) return;
    settings.set(
      "favourites",
      favourites.map((/** @type {string} */ path) => (path === moved.from ? moved.to : path)),
    );
  });
  images.listeners.add(() => editor.renderer.redraw());
  settings.addEventListener("change", () => {
    settings.apply();
    editor.theme.read(document.documentElement);
    pointing.navigation = settings.get("navigation");
    editor.snap = settings.get("snap");
    commands.rebind(settings.get("keys"));
    if (editor.scene.linkShape !== settings.get("linkShape")) {
      editor.scene.linkShape = settings.get("linkShape");
      editor.refreshAll();
    }
    editor.renderer.redraw();
    minimap.refresh();
  });
  settings.dispatchEvent(new Event("change"));

  const regions = once(async () => {
    const { Regions } = await import("./panels/regions.js");
    return new Regions(["bar", "rail", "side", "stage", "tree", "layer"].map(byId), editor);
  });
  add("next-part", "Go to the next part of the page", ["F6"], async () => (await regions()).go(1));
  add("previous-part", "Go to the part of the page before", ["Shift+F6"], async () =>
    (await regions()).go(-1),
  );
  add("leave", "Select nothing, leave the subgraph, leave the canvas", ["Escape"], async () =>
    (await regions()).leave(),
  );
  listenToKeys(commands, () =>
    Boolean(document.querySelector("dialog[open], .picker:not([hidden]), .menu:not([hidden])")),
  );
  addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Escape" && pointing.abort()) event.stopImmediatePropagation();
    },
    true,
  );
  addEventListener(
    "keydown",
    (event) => {
      if (["Tab", "F6", "Escape", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key))
        document.documentElement.dataset.keys = "true";
    },
    true,
  );
  addEventListener(
    "pointerdown",
    () => {
      delete document.documentElement.dataset.keys;
    },
    true,
  );
  acceptDrops(editor, {
    files: (files, at) => openFiles(files, documents, dialogues, editor, server, at),
    text: (text, links) => pasteText(text, links, commands, documents),
    picture: (file) => addMedia(file, editor, server, editor.middle),
  });
  editor.on("change", () => {
    documents.edited(editor.tab);
    if (runs.onChange) runs.runSoon();
  });
  let saving = 0;
  editor.on("change", () => {
    clearTimeout(saving);
    const { tab } = editor;
    if (settings.get("autosave") && tab.file)
      saving = window.setTimeout(() => {
        if (tab === editor.tab && tab.dirty) commands.run("save-quietly");
      }, AUTOSAVE);
  });
  addEventListener("beforeunload", (event) => {
    drafts.flush();
    if (!drafts.safe && documents.tabs.some((tab) => tab.dirty)) event.preventDefault();
  });

  socket.open();
  runs.recall(first);
  const app = createApp(editor, documents, runs, register);
  Object.assign(window, {
    app,
    nodeloom: Object.freeze({
      editor,
      commands,
      documents,
      runs,
      server,
      settings,
      registerExtension: register,
      version: 1,
    }),
  });
  editor.host.focus({ preventScroll: true });
  if (missingTypes(first.workflow, first.catalogue).size) documents.opened(first);
  editor.renderer.request();
  document.documentElement.dataset.ready = "true";
  const atFirst = once(async () => {
    if (documents.firstVisit) offerDrafts(await serverDrafts(), toasts, () => shell.open("workflows"));
    await examples();
  });
  for (const type of ["pointerdown", "keydown"])
    addEventListener(type, atFirst, { once: true, capture: true });
  await loadPacks(server, toasts);
}

/**
 * @param {Server} server
 * @param {Toasts} toasts
 * @returns {Promise<any>} node specs; waits for a server that is not up yet
 */
async function loadSpecs(server, toasts) {
  for (let wait = 300; ; wait = Math.min(5000, wait * 1.6)) {
    try {
      return await server.objectInfo();
    } catch (error) {
      const { status, message } = /** @type {import("./client/server.js").ServerError} */ (error);
      toasts.show("Waiting for the server", {
        key: "specs",
        text: status && status !== 503 ? message : "The node list is not there yet.",
        stay: true,
      });
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    toasts.dismiss("specs");
  }
}

/**
 * A browser that has kept nothing yet may find work that another one left.
 * @param {import("./client/server_drafts.js").ServerDrafts} drafts
 * @param {Toasts} toasts
 * @param {() => void} show
 */
async function offerDrafts(drafts, toasts, show) {
  const left = await drafts.list([]).catch(() => []);
  if (!left.length) return;
  toasts.show("There is unsaved work from another browser", {
    key: "drafts",
    text: left.map(({ name }) => `“${name}”`).join(", "),
    actions: [{ label: "Show", act: show }],
  });
}

/** @param {string} text @param {boolean} links @param {Commands} commands @param {Documents} documents */
async function pasteText(text, links, commands, documents) {
  if (await commands.run("paste-text", { text, links })) return;
  if (!text.trimStart().startsWith("{")) return;
  documents.openJson(parseJson(text), "Pasted");
}

/** Packs' own scripts, each on its own. @param {Server} server @param {Toasts} toasts */
async function loadPacks(server, toasts) {
  /** @type {string[]} */ let scripts = [];
  try {
    scripts = await server.json("api/extensions");
  } catch {
    /* a server without packs */
  }
  for (const script of scripts.filter((path) => /\.m?js$/.test(path) && path.includes("nodeloom"))) {
    import(server.url(script)).catch((error) =>
      toasts.show(`The script ${script} failed`, { kind: "bad", text: String(error) }),
    );
  }
}

start();
