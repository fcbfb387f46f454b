// The kept pictures of a train: which there are, and one with all that belongs to it. Knows the REST calls.

const REFRESH_MS = 5000;

/** Reads a train's recent past. */
export class Past {
  #train = null;
  #frames = [];
  #readMs = -Infinity;

  /** Turn to another train. */
  open(train) {
    this.#train = train;
    this.#frames = [];
    this.#readMs = -Infinity;
  }

  /** The items that are kept, oldest first; [] where the server cannot tell. */
  async items() {
    const body = await read(`${this.#path}/timeline?limit=1000`);
    return body?.items ?? [];
  }

  /** The kept picture nearest to a moment, or `step` places from it; null where none is kept. */
  async near(atMs, step = 0) {
    await this.#refresh();
    if (!this.#frames.length) return null;
    let best = 0;
    for (let place = 1; place < this.#frames.length; place += 1) {
      if (Math.abs(this.#frames[place].at_ms - atMs) < Math.abs(this.#frames[best].at_ms - atMs)) best = place;
    }
    return this.#frames[Math.max(0, Math.min(this.#frames.length - 1, best + step))];
  }

  /** One kept picture: `{detail, bitmap}`, the bitmap null where only its data are left; null where nothing is. */
  async load(frameId) {
    const path = `${this.#path}/frames/${encodeURIComponent(frameId)}`;
    const [detail, blob] = await Promise.all([read(path), read(`${path}.jpg`, "blob")]);
    if (!detail) return null;
    return { detail, bitmap: blob ? await createImageBitmap(blob).catch(() => null) : null };
  }

  /** Where the pixels of an item's picture are, or of the one nearest to it in time; null where none is kept. */
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
    return null; // the connection's own state tells of it
  }
}
