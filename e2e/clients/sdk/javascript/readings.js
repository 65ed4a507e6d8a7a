// What the table holds: more than one page of 1 MB, in 4 partition keys.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

export const TableName = "readings.javascript";

// By celsius; it has the keys alone.
export const LOCAL_INDEX = "by-celsius";

const HOURS = [...Array(30).keys()];

// No two of a station's are alike, and their order is not that of its hours: an index by them has an order of its own.
const celsiusAt = (hour) => ((hour * 7) % HOURS.length) / 4 - 3;

export const READINGS = ["east", "north", "south", "west"].flatMap((station) =>
  HOURS.map((hour) => ({ station, hour, celsius: celsiusAt(hour), note: `${station} ${hour}, `.repeat(1200) })),
);

export function keyOf({ station, hour }) {
  return { station, hour };
}

// That these items are the readings, in whatever order.
export function assertReadings(items, wanted = READINGS) {
  const found = [...items].sort((a, b) => a.station.localeCompare(b.station) || a.hour - b.hour);
  assert.deepEqual(found, wanted);
}

// Sends until nothing is left unprocessed: `send` takes what is left and gives what is left then. Gives the number of calls.
export async function sendAll(all, send) {
  const attempts = 8;
  let left = all;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await sleep(50 * 2 ** attempt);
    left = await send(left);
    if (Object.keys(left ?? {}).length === 0) return attempt + 1;
  }
  assert.fail(`some requests are unprocessed after ${attempts} attempts`);
}
