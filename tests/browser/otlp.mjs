// A trace as an OTLP message, written by hand: the console is shown ten thousand calls without a program that makes them.

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
