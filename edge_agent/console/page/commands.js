// Sends commands and tells what became of them. Knows the REST call; nothing of buttons.

const PATIENCE_MS = 2000; // after this long without an acknowledgement a person is told so
const GIVE_UP_MS = 6000;

/** A random UUID (version 4); crypto.randomUUID exists only where the page came over TLS or from this machine. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Send one command. Resolves, never rejects, to `{status, ...}`: `accepted` or `refused` (the train's word, with
 * `state`, `reason`, `ms`), `silent` (no acknowledgement), `locked` (a token is needed or wrong), `failed` (`reason`,
 * `remedy`). `onLate()` is called when two seconds are over and nothing is known yet.
 */
export async function send(train, order, { token, nowMs, onLate }) {
  const late = setTimeout(onLate, PATIENCE_MS);
  try {
    const response = await fetch(`/api/trains/${encodeURIComponent(train)}/commands`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ ...order, id: uuid(), issued_at: new Date(nowMs).toISOString() }),
      signal: AbortSignal.timeout(GIVE_UP_MS),
      credentials: "same-origin",
      cache: "no-store",
      priority: "high",
    });
    return outcome(response.status, await response.json().catch(() => ({})));
  } catch {
    return { status: "unreachable" }; // the fetch itself failed, or took too long
  } finally {
    clearTimeout(late);
  }
}

function outcome(code, body) {
  if (body.answered === true) return { status: body.accepted ? "accepted" : "refused", ...body };
  if (body.answered === false || code === 504) return { status: "silent", reason: body.reason ?? "" };
  if (code === 401 || code === 403) return { status: "locked", reason: body.error ?? "", remedy: body.remedy ?? "" };
  return { status: "failed", reason: body.error ?? `HTTP ${code}`, remedy: body.remedy ?? "" };
}
