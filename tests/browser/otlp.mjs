// Traces and metrics as OTLP messages, written by hand: the console is shown ten thousand calls, or what was yesterday,
// without a program that makes them.

const varint = (value) => {
  const bytes = [];
  let rest = BigInt(value);
  do {
    const byte = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? byte | 128 : byte);
  } while (rest > 0n);
  return Buffer.from(bytes);
};
const key = (field, type) => varint((field << 3) | type);
const bytes = (field, value) => Buffer.concat([key(field, 2), varint(value.length), value]);
const text = (field, value) => bytes(field, Buffer.from(value));
const number = (field, value) => Buffer.concat([key(field, 0), varint(value)]);
const fixed = (field, value) => {
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64LE(BigInt(value));
  return Buffer.concat([key(field, 1), eight]);
};
const attribute = (field, name, value) => bytes(field, Buffer.concat([text(1, name), bytes(2, text(1, value))]));
const id = (value) => {
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64BE(BigInt(value));
  return eight;
};

const KINDS = { internal: 1, server: 2, client: 3 };

/** `spans`: {id, parent, name, kind, start_ns, end_ns, failed, attributes}; numbers as ids, 0 is no parent. */
export function message(traceId, service, spans) {
  const span = (one) =>
    Buffer.concat([
      bytes(1, Buffer.from(traceId, "hex")),
      bytes(2, id(one.id)),
      ...(one.parent ? [bytes(4, id(one.parent))] : []),
      text(5, one.name),
      number(6, KINDS[one.kind]),
      fixed(7, one.start_ns),
      fixed(8, one.end_ns),
      ...Object.entries(one.attributes ?? {}).map(([name, value]) => attribute(9, name, value)),
      ...(one.failed ? [bytes(15, number(3, 2))] : []),
    ]);
  const scope = bytes(2, Buffer.concat(spans.map((one) => bytes(2, span(one)))));
  return bytes(1, Buffer.concat([bytes(1, attribute(1, "service.name", service)), scope]));
}

/** One request with `count` calls: half of them alike, one failed, all in order. */
export function largeTrace(traceId, count) {
  const start = BigInt(Date.now()) * 1_000_000n - 60_000_000_000n;
  const spans = [{ id: 1, parent: 0, name: "POST /report", kind: "server", start_ns: start, end_ns: start + BigInt(count) * 1_000_000n }];
  for (let at = 2; at <= count; at += 1) {
    const from = start + BigInt(at) * 900_000n;
    const alike = at % 2 === 0;
    spans.push({
      id: at, parent: 1, name: alike ? "SELECT prices" : `SELECT price_${at}`, kind: "client", start_ns: from, end_ns: from + BigInt(100_000 + (at % 7) * 90_000), failed: at === count - 1,
      attributes: { "db.system.name": "postgresql", "db.query.text": alike ? "SELECT * FROM prices WHERE id = ?" : `SELECT * FROM price_${at}` },
    });
  }
  return message(traceId, "reports", spans);
}

const double = (field, value) => {
  const eight = Buffer.alloc(8);
  eight.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), eight]);
};
const zigzag = (value) => (value < 0 ? -value * 2 - 1 : value * 2);
const SCALE = 3;
/** The exponential bucket that holds a value: (2^(i/2^scale), 2^((i+1)/2^scale)]. */
const bucketOf = (seconds) => Math.ceil(Math.log2(seconds) * 2 ** SCALE) - 1;
const CUMULATIVE = 2;
const NS = 1_000_000_000n;

/** Durations of requests as an agent tells them, both sides of each call, a point a minute: all take the same time.
 * `calls`: {source, target, operation, resource, rate, ms, failing} a second, from `start` to `end` in Unix seconds. */
export function requests(calls, start, end) {
  const points = calls.flatMap((call) => [["client", call.source, call.target], ["server", call.target, call.source]].flatMap(([side, service, peer]) => {
    const ways = [["ok", call.rate], ["error", call.failing ?? 0]].filter(([, rate]) => rate > 0);
    return ways.flatMap(([status, rate]) => pointsOf({ service, peer, protocol: "http", operation: call.operation ?? "GET", resource: call.resource ?? "/", side, status, host: "shop-1", instance: `process:shop-1/1-${service.length}` }, { ...call, rate }, start, end));
  }));
  const histogram = bytes(10, Buffer.concat([...points.map((point) => bytes(1, point)), number(2, CUMULATIVE)]));
  const metric = bytes(2, Buffer.concat([text(1, "limpid.request.duration"), text(3, "s"), histogram]));
  const resource = bytes(1, Buffer.concat([attribute(1, "service.name", "limpid-agent"), attribute(1, "limpid.schema", "1")]));
  return bytes(1, Buffer.concat([resource, bytes(2, metric)]));
}

function pointsOf(labels, { rate, ms }, start, end) {
  const named = Buffer.concat(Object.entries(labels).map(([name, value]) => attribute(1, name, value)));
  const out = [];
  for (let at = start; at <= end; at += 60) {
    const count = Math.round(rate * (at - start));
    const buckets = Buffer.concat([number(1, zigzag(bucketOf(ms / 1000))), bytes(2, varint(count))]);
    out.push(Buffer.concat([named, fixed(2, BigInt(start) * NS), fixed(3, BigInt(at) * NS), fixed(4, count), double(5, (count * ms) / 1000), number(6, zigzag(SCALE)), bytes(8, buckets)]));
  }
  return out;
}
