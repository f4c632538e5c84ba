/* The token: out of the address, kept for this tab, and sent along. There are no cookies. */

const KEY = "kmux-token";

/* Take the token out of the address, so that it is not in the history, nor on a screenshot. */
export function takeToken() {
  const url = new URL(location.href);
  const given = url.searchParams.get("token");
  if (given === null) return;
  if (given !== "") sessionStorage.setItem(KEY, given);
  url.searchParams.delete("token");
  history.replaceState(null, "", url.pathname + url.search + url.hash);
}

export function token() {
  return sessionStorage.getItem(KEY);
}

export function setToken(text) {
  if (text === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, text.trim());
}

/* Ask the daemon. Throws an error with the daemon's own words where it refuses. */
export async function ask(path, method = "GET") {
  const headers = { Authorization: `Bearer ${token()}` };
  const response = await fetch(path, { method, headers, cache: "no-store" });
  if (response.ok) return response;
  const failure = new Error(response.statusText);
  failure.status = response.status;
  try {
    failure.message = (await response.json()).message;
  } catch {
    // then the status has to do
  }
  throw failure;
}

/* Immutable things may come out of the browser's cache. */
export async function fetchBlob(path, type) {
  const headers = { Authorization: `Bearer ${token()}` };
  const response = await fetch(path, { headers });
  if (!response.ok) throw new Error(response.statusText);
  return new Blob([await response.arrayBuffer()], { type });
}

export function pathOf(session, ...rest) {
  return ["/kmux/sessions", session, ...rest].map((part, index) =>
    index ? encodeURIComponent(part) : part,
  ).join("/");
}
