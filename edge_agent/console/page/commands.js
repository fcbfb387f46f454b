// Sends commands to the REST API and returns their results.

const LATE_MS = 2000; // after this long without an acknowledgement the user is warned
const TIMEOUT_MS = 6000;

/** A random UUID (version 4); crypto.randomUUID exists only on pages from localhost or over TLS. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Send one command to a train. Resolves, never rejects, to `{status, ...}`: `accepted` or `refused` (by the train,
 * with `state`, `reason`, `ms`), `silent` (no acknowledgement), `locked` (a token is needed or wrong), `failed`
 * (`reason`, `remedy`), `unreachable`. `onLate()` is called if there is no result after two seconds.
 */
export async function send(train, command, options) {
  const { code, body } = await post(`/api/trains/${encodeURIComponent(train)}/commands`, command, options);
  return outcome(code, body);
}

/** Stop all trains with one request; resolves to the results as above, each with its `train`. */
export async function stopAll(trains, command, options) {
  const { code, body } = await post("/api/commands", command, options);
  const answers = new Map((body.answers ?? []).map(({ train_id, answer }) => [train_id, answer]));
  return trains.map((train) => ({ train, ...outcome(code, code === 200 ? (answers.get(train) ?? { answered: false }) : body) }));
}

async function post(path, command, { token, nowMs, onLate }) {
  const lateTimer = setTimeout(onLate, LATE_MS);
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ ...command, id: uuid(), issued_at: new Date(nowMs).toISOString() }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: "same-origin",
      cache: "no-store",
      priority: "high",
    });
    return { code: response.status, body: await response.json().catch(() => ({})) };
  } catch {
    return { code: 0, body: {} }; // no connection, or a timeout
  } finally {
    clearTimeout(lateTimer);
  }
}

function outcome(code, body) {
  if (code === 0) return { status: "unreachable" };
  if (body.answered === true) return { status: body.accepted ? "accepted" : "refused", ...body };
  if (body.answered === false || code === 504) return { status: "silent", reason: body.reason ?? "" };
  if (code === 401 || code === 403) return { status: "locked", reason: body.error ?? "", remedy: body.remedy ?? "" };
  return { status: "failed", reason: body.error ?? `HTTP ${code}`, remedy: body.remedy ?? "" };
}
