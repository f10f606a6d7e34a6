// One way to the server: GET, JSON, a time limit, and errors that say what could not be read and why.
import { signal } from "@preact/signals";
import { ShapeError } from "./read";

/** `away`: nobody answers. `busy`: somebody does, but cannot now. Both are tried again. `unknown`: one must sign in. */
export type Trouble = "away" | "busy" | "unknown" | "refused" | "missing" | "unreadable" | "stopped";

/** When the server answered last, and when it last did not, in Unix seconds. */
export const answered = signal(0);
export const unanswered = signal(0);

/** True once the server has asked who is there: then the page to sign in stands in the place of all others. */
export const signInNeeded = signal(false);

export class ApiError extends Error {
  constructor(
    readonly trouble: Trouble,
    message: string,
  ) {
    super(message);
  }
}

const TIME_LIMIT_MS = 10_000;

export type Query = Record<string, string | number | null | undefined>;

export function address(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, query: Query, read: (body: unknown) => T, cancel: AbortSignal): Promise<T> {
  const limit = new AbortController();
  const stop = () => limit.abort(cancel.reason);
  cancel.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => limit.abort("time-out"), TIME_LIMIT_MS);
  try {
    const response = await fetch(address(path, query), { signal: limit.signal, headers: { accept: "application/json" } });
    answered.value = Date.now() / 1000;
    if (!response.ok) throw await refusal(response);
    return read(await response.json());
  } catch (error) {
    const said = explain(error, limit.signal.aborted);
    if (!cancel.aborted && said.trouble === "away") unanswered.value = Date.now() / 1000;
    throw cancel.aborted ? error : said;
  } finally {
    clearTimeout(timer);
    cancel.removeEventListener("abort", stop);
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const body = (await response.text()).slice(0, 2000);
  const said = messageIn(body) ?? `status ${response.status}`;
  if (response.status === 401) {
    signInNeeded.value = true;
    return new ApiError("unknown", said);
  }
  if (response.status === 404) return new ApiError("missing", said);
  return new ApiError(response.status >= 502 && response.status <= 504 ? "busy" : "refused", said);
}

export function messageIn(body: string): string | null {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null) return null;
    for (const key of ["error", "message", "detail"]) {
      const said = (value as Record<string, unknown>)[key];
      if (typeof said === "string" && said) return said.slice(0, 300);
    }
    return null;
  } catch {
    const plain = body.trim();
    return plain && !plain.startsWith("<") ? plain.slice(0, 300) : null;
  }
}

function explain(error: unknown, timedOut: boolean): ApiError {
  if (error instanceof ApiError) return error;
  if (timedOut) return new ApiError("away", `the server does not answer (time-out after ${TIME_LIMIT_MS / 1000} s)`);
  if (error instanceof ShapeError) return new ApiError("unreadable", `the answer is not understood: ${error.message}`);
  if (error instanceof SyntaxError) return new ApiError("unreadable", "the answer is no JSON");
  return new ApiError("away", "the server does not answer");
}
