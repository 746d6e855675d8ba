// Who asks. `mida ui` opens the page with #token=…: a fragment never leaves the browser. It moves to this tab's
// sessionStorage, which no other port of this host can read (a cookie could be), and out of the address. A new tab asks
// the open ones of the same origin for it.

const KEY = "mida.authorization";
const channel = "BroadcastChannel" in window ? new BroadcastChannel("mida.authorization") : undefined;

function take(): void {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = hash.get("token");
  if (token === null) return;
  sessionStorage.setItem(KEY, `Bearer ${token}`);
  hash.delete("token");
  const rest = hash.toString();
  history.replaceState(history.state, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
}

take();
window.addEventListener("hashchange", () => {
  if (!location.hash.includes("token=")) return;
  take();
  location.reload();
});
channel?.addEventListener("message", (e: MessageEvent<unknown>) => {
  const known = authorization();
  if (e.data === "ask" && known) channel.postMessage({ authorization: known });
});

export function authorization(): string | null {
  return sessionStorage.getItem(KEY);
}

export function setAuthorization(value: string): void {
  sessionStorage.setItem(KEY, value);
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}

const MOMENT = 400; // milliseconds that other tabs have to answer before this page says that it has no token

// askOtherTabs resolves when another tab has told, or after a moment. A tab that tells later is heard too.
export function askOtherTabs(): Promise<void> {
  if (!channel || authorization()) return Promise.resolve();
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve();
    }, MOMENT);
    const hear = (e: MessageEvent<unknown>): void => {
      const told = e.data as { authorization?: unknown } | null;
      if (!told || typeof told !== "object" || typeof told.authorization !== "string" || authorization()) return;
      sessionStorage.setItem(KEY, told.authorization);
      channel.removeEventListener("message", hear);
      clearTimeout(timer);
      if (late) location.reload();
      resolve();
    };
    channel.addEventListener("message", hear);
    channel.postMessage("ask");
  });
}

// basic is the Authorization of a user and a password in UTF-8.
export function basic(user: string, password: string): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

// basicUser is the user of an Authorization that names one.
export function basicUser(): string | undefined {
  const encoded = /^Basic (.+)$/.exec(authorization() ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = new TextDecoder().decode(Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)));
  return text.slice(0, text.indexOf(":"));
}
