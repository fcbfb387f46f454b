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
 * Send one command to a train. Resolves, never rejects, to `{status, ...}`: `accepted` or `refused` (the train's word,
 * with `state`, `reason`, `ms`), `silent` (no acknowledgement), `locked` (a token is needed or wrong), `failed`
 * (`reason`, `remedy`), `unreachable`. `onLate()` is called when two seconds are over and nothing is known yet.
 */
export async function send(train, order, how) {
  const { code, body } = await post(`/api/trains/${encodeURIComponent(train)}/commands`, order, how);
  return outcome(code, body);
}

/** Stop all trains by one request; resolves to what became of it, as above, at each train (`train`). */
export async function stopAll(trains, order, how) {
  const { code, body } = await post("/api/commands", order, how);
  const answers = new Map((body.answers ?? []).map((one) => [one.train_id, one.answer]));
  return trains.map((train) => ({ train, ...outcome(code, code === 200 ? (answers.get(train) ?? { answered: false }) : body) }));
}

async function post(path, order, { token, nowMs, onLate }) {
  const late = setTimeout(onLate, PATIENCE_MS);
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ ...order, id: uuid(), issued_at: new Date(nowMs).toISOString() }),
      signal: AbortSignal.timeout(GIVE_UP_MS),
      credentials: "same-origin",
      cache: "no-store",
      priority: "high",
    });
    return { code: response.status, body: await response.json().catch(() => ({})) };
  } catch {
    return { code: 0, body: {} }; // the fetch itself failed, or took too long
  } finally {
    clearTimeout(late);
  }
}

function outcome(code, body) {
  if (code === 0) return { status: "unreachable" };
  if (body.answered === true) return { status: body.accepted ? "accepted" : "refused", ...body };
  if (body.answered === false || code === 504) return { status: "silent", reason: body.reason ?? "" };
  if (code === 401 || code === 403) return { status: "locked", reason: body.error ?? "", remedy: body.remedy ?? "" };
  return { status: "failed", reason: body.error ?? `HTTP ${code}`, remedy: body.remedy ?? "" };
}
