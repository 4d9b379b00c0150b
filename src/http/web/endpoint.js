// Where the WebSocket is: as GET /v1/config says, seen from where the page was loaded.

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;
const WILDCARD = /^(?:0\.0\.0\.0|\[::\])$/;

// A server that listens everywhere names no host, and one on loopback is somebody else's loopback
// when the page came from another machine: then the host is the page's.
export function endpoint(ws, page_host) {
  const url = new URL(ws);
  const elsewhere = LOOPBACK.test(url.hostname) && !LOOPBACK.test(page_host);
  if (WILDCARD.test(url.hostname) || elsewhere)
    url.hostname = page_host;
  return url.href;
}

// Final: to ask again would not help.
export class NoClients extends Error {
  constructor() {
    super("This process serves no clients");
    this.final = true;
  }
}

export async function readConfig(fetch, timeout_ms) {
  const response = await fetch("v1/config", {
    cache: "no-store",
    signal: AbortSignal.timeout(timeout_ms),
  });
  if (!response.ok)
    throw new Error(`GET /v1/config: status ${response.status}`);
  const config = await response.json();
  if (config.ws === null)
    throw new NoClients();
  if (typeof config.ws !== "string")
    throw new Error("GET /v1/config names no WebSocket");
  return config;
}
