// Requests to the gateway. The token is kept for this tab only, and is sent in a header, never in an address.
import { ask } from "./dialog.js";
import { problemText, text } from "./i18n.js";

const base = "/api/v1";
let asking = null, declined = false;

// To be called when the user does something that needs the token: who declined to type it is asked anew.
export const askAgain = () => { declined = false; };
const kept = () => sessionStorage.getItem("token");

// Asks once, however many requests were refused; who cancels is left alone until askAgain.
async function askForToken(refused) {
  if (kept() !== refused) return true; // another request has asked meanwhile
  if (declined) return false;
  asking ??= ask({ title: text("token.title"), message: text(refused ? "token.wrong" : "token.text"), input: { type: "password" } });
  const token = await asking;
  asking = null;
  if (token) sessionStorage.setItem("token", token);
  declined = !token;
  return Boolean(token);
}

export class Failure extends Error {
  constructor(status, problem) {
    super(problemText(problem) || `HTTP ${status}`);
    this.status = status;
    this.reason = problem.reason || "";
  }
}

export async function call(path, options = {}) {
  const token = kept();
  const headers = token ? { ...options.headers, Authorization: `Bearer ${token}` } : options.headers;
  const response = await fetch(base + path, { ...options, headers });
  if (response.status === 401 && await askForToken(token)) return call(path, options);
  if (!response.ok) {
    const problem = await response.json().catch(() => ({ title: response.statusText }));
    throw new Failure(response.status, problem);
  }
  return response;
}

export const getJson = async (path) => (await call(path)).json();
export const postJson = async (path, body) =>
  (await call(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })).json();

// One photo; tried again where the gateway says that it is busy.
export async function parse(file, tries = 8) {
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  for (let left = tries; ; left -= 1) {
    try {
      return await (await call("/parse?include=masks", { method: "POST", body: file, headers: { "Content-Type": type } })).json();
    } catch (failure) {
      if (failure.status !== 429 || left === 0) throw failure;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

// Server-sent events by fetch, since EventSource can send no header. Comes back for as long as the page is open.
export async function listen(onEvent, onState) {
  for (;;) {
    try {
      const response = await call("/events");
      onState(true);
      await read(response.body.pipeThrough(new TextDecoderStream()).getReader(), onEvent);
    } catch { /* told below */ }
    onState(false);
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function read(reader, onEvent) {
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) deliver(block, onEvent);
  }
}

function deliver(block, onEvent) {
  const kind = /^event: (.*)$/m.exec(block);
  const data = /^data: (.*)$/m.exec(block);
  if (kind && data) onEvent(kind[1], JSON.parse(data[1]));
}

export async function imageAddress(path) {
  return URL.createObjectURL(await (await call(path)).blob());
}
