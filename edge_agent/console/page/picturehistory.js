// Reads stored pictures and items of a train from the REST API.

const REFRESH_MS = 5000;

/** The recent pictures and items of one train. */
export class PictureHistory {
  #train = null;
  #frames = [];
  #readMs = -Infinity;

  /** Switch to another train. */
  open(train) {
    this.#train = train;
    this.#frames = [];
    this.#readMs = -Infinity;
  }

  /** The stored items, oldest first; [] if the request fails. */
  async items() {
    const body = await read(`${this.#path}/timeline?limit=1000`);
    return body?.items ?? [];
  }

  /** The stored picture nearest to a time, or the one `step` pictures from it; null if none is stored. */
  async near(atMs, step = 0) {
    await this.#refresh();
    if (!this.#frames.length) return null;
    let best = 0;
    for (let index = 1; index < this.#frames.length; index += 1) {
      if (Math.abs(this.#frames[index].at_ms - atMs) < Math.abs(this.#frames[best].at_ms - atMs)) best = index;
    }
    return this.#frames[Math.max(0, Math.min(this.#frames.length - 1, best + step))];
  }

  /** A stored picture as `{detail, bitmap}`, with bitmap null if only its data are left; null if nothing is. */
  async load(frameId) {
    const path = `${this.#path}/frames/${encodeURIComponent(frameId)}`;
    const [detail, blob] = await Promise.all([read(path), read(`${path}.jpg`, "blob")]);
    if (!detail) return null;
    return { detail, bitmap: blob ? await createImageBitmap(blob).catch(() => null) : null };
  }

  /** The URL of an item's picture, or of the one nearest in time; null if none is stored. */
  async pictureUrl(item) {
    const frameId = item.frame_id ?? (await this.near(item.at_ms))?.frame_id;
    return frameId ? `${this.#path}/frames/${encodeURIComponent(frameId)}.jpg` : null;
  }

  get #path() {
    return `/api/trains/${encodeURIComponent(this.#train)}`;
  }

  async #refresh() {
    if (performance.now() - this.#readMs < REFRESH_MS) return;
    const train = this.#train;
    const body = await read(`${this.#path}/frames`);
    if (!body || train !== this.#train) return;
    this.#frames = body.frames;
    this.#readMs = performance.now();
  }
}

async function read(path, as = "json") {
  try {
    const response = await fetch(path, { credentials: "same-origin" });
    return response.ok ? await response[as]() : null;
  } catch {
    return null; // the state of the connection is shown elsewhere
  }
}
