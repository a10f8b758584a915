// Which jobs are on show, and how that follows what the farm tells of them.

// A list that was made long, and has come back to its beginning since, is cut to its first page above that.
const MOST_ON_SHOW = 200;
const NOTHING = { items: [], next_cursor: null };

export function isPending({ status }) {
  return status === "queued" || status === "running";
}

/** The jobs on show, newest first. */
export class JobList {
  jobs = [];
  /** Where the list goes on after them; null at its end, and before the farm has told. */
  cursor = null;
  filter = { status: "", personality_id: "" };
  /** Whether the farm has told of any since the filter is as it is. */
  isTold = false;
  /** How many have come that are not on show yet. */
  newer = 0;
  #isLong = false;
  #head = NOTHING;

  get(id) {
    return this.jobs.find((job) => job.id === id);
  }

  /** Asks for others; of those on show the ones stay that are among them. */
  select(filter) {
    this.filter = filter;
    const jobs = this.jobs.filter((job) => this.#matches(job));
    Object.assign(this, { jobs, cursor: null, isTold: false, newer: 0 });
    this.#head = NOTHING;
    this.#isLong = false;
  }

  /** Whether more may have come than the farm's first page holds. */
  get isOutrun() {
    return this.newer > 0 && this.newer === this.#head.items.length && this.#head.next_cursor !== null;
  }

  /** Tells whether the farm's first page, as it told it last, has this one. */
  isInHead(id) {
    return this.#head.items.some((job) => job.id === id);
  }

  /** Takes what the farm tells of a job on show. */
  update(job) {
    this.jobs = this.jobs.map((present) => (present.id === job.id ? job : present));
  }

  /** Shows a job before all others, whatever is asked for. */
  prepend(job) {
    this.jobs = [job, ...this.jobs.filter(({ id }) => id !== job.id)];
  }

  drop(id) {
    this.jobs = this.jobs.filter((job) => job.id !== id);
  }

  /** Takes the farm's first page; if none `mayMove`, those on show stay where they are, and none is added. */
  take(head, { mayMove }) {
    this.#head = head;
    head.items.forEach((job) => this.update(job));
    if (mayMove || !this.isTold) this.reveal();
    else this.newer = this.#unseen().length;
  }

  /** Shows what the farm told last from its beginning. */
  reveal() {
    const { items, next_cursor } = this.#head;
    const older = this.#older();
    this.#isLong = older.length > 0;
    if (!this.#isLong) this.cursor = next_cursor;
    Object.assign(this, { jobs: [...items, ...older], isTold: true, newer: 0 });
  }

  /** Goes on with the page at the cursor. */
  append({ items, next_cursor }) {
    this.jobs = [...this.jobs, ...items.filter(({ id }) => !this.get(id))];
    this.cursor = next_cursor;
    this.#isLong = true;
  }

  #unseen() {
    const last = this.jobs.at(-1);
    const isBefore = (job) => last === undefined || job.created_at > last.created_at;
    return this.#head.items.filter((job) => !this.get(job.id) && isBefore(job));
  }

  /** Gives those on show that come after the first page, of a list that goes on so far without a gap. */
  #older() {
    const { items, next_cursor } = this.#head;
    const last = items.at(-1);
    if (!this.#isLong || next_cursor === null || !last || !this.get(last.id)) return [];
    const comesAfter = (job) => !this.isInHead(job.id) && job.created_at <= last.created_at;
    const older = this.jobs.filter((job) => comesAfter(job) && this.#matches(job));
    return items.length + older.length > MOST_ON_SHOW ? [] : older;
  }

  #matches({ status, request }) {
    const asked = this.filter;
    return (
      (!asked.status || asked.status === status) &&
      (!asked.personality_id || asked.personality_id === request.personality_id)
    );
  }
}
