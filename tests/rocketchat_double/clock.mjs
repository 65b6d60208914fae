// The server's time, which heartbeats, limiter windows, login blocks and the age of tokens go by.
// Real by default. With a start it is virtual: it stands still but for advance(), and what waits for
// it comes in the same order in every run.
export class Clock {
  #time; // virtual: epoch ms; real: how far it has been moved beyond the machine's
  #virtual;
  #timers = new Set(); // virtual ones: {at, every, act}

  constructor(start) {
    this.#virtual = start !== undefined;
    this.#time = start ?? 0;
  }

  now() {
    return this.#virtual ? this.#time : Date.now() + this.#time;
  }

  /** Moves the time on. Virtual timers that come due act in their order; real ones keep their pace. */
  advance(ms) {
    const end = this.#time + ms;
    for (let timer = this.#nextDue(end); timer; timer = this.#nextDue(end)) {
      this.#time = Math.max(this.#time, timer.at);
      if (timer.every === undefined) this.#timers.delete(timer);
      else timer.at += timer.every;
      timer.act();
    }
    this.#time = end;
  }

  #nextDue(end) {
    let first;
    for (const timer of this.#timers) if (timer.at <= end && (!first || timer.at < first.at)) first = timer;
    return first;
  }

  after(ms, act) {
    return this.#virtual ? this.#add({ at: this.#time + ms, act }) : setTimeout(act, ms);
  }

  every(ms, act) {
    return this.#virtual ? this.#add({ at: this.#time + ms, every: ms, act }) : setInterval(act, ms);
  }

  #add(timer) {
    this.#timers.add(timer);
    return timer;
  }

  /** null: there is none. */
  cancel(timer) {
    if (timer === null) return;
    if (this.#virtual) this.#timers.delete(timer);
    else clearTimeout(timer); // ends an interval too
  }
}
