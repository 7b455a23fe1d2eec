/** How the page asks the server. */
import assert from "node:assert/strict";
import test from "node:test";
import { Server, ServerError } from "../../../web/client/server.js";

/**
 * What a page asks for with one call, answered with an empty object.
 * @param {Server} server
 * @param {(server: Server) => Promise<any>} call
 */
async function asked(server, call, status = 200) {
  /** @type {Request[]} */ const requests = [];
  const before = globalThis.fetch;
  globalThis.fetch = async (address, options) => {
    requests.push(new Request(address, options));
    return new Response("{}", { status });
  };
  try {
    await call(server);
  } finally {
    globalThis.fetch = before;
  }
  return requests[0];
}

test("a page of one user names nobody, one of several names its user", async () => {
  for (const user of ["", "anna_1"]) {
    const request = await asked(new Server("http://host/at/", user), (server) =>
      server.saveSettings({ a: 1 }),
    );
    assert.equal(request.url, "http://host/at/api/settings");
    assert.equal(request.headers.get("comfy-user"), user || null);
    assert.equal(await request.text(), '{"a":1}');
  }
});

test("a refusal carries its status", async () => {
  await assert.rejects(
    asked(new Server("http://host/", ""), (server) => server.queue(), 401),
    (error) => error instanceof ServerError && error.status === 401,
  );
});
