// Choices from a seed: the same seed gives the same schedule.
import { Ids } from '../rocketchat_double/codec.mjs';

export class Random extends Ids {
  /** An integer in low..high. */
  between(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick(list) {
    return list[Math.floor(this.next() * list.length)];
  }

  sample(list, count) {
    const rest = [...list];
    return Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(Math.floor(this.next() * rest.length), 1)[0]);
  }
}
