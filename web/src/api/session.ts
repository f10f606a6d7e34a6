// Signing in and out. The session's name is in a cookie that no script can read; the token is sent once, in a body.
import { messageIn } from "./http";
import { maybe, string } from "./read";

export interface Session {
  /** Whether this server asks who is there. */
  required: boolean;
  /** As what one is signed in; null when one is not. */
  role: string | null;
}

export async function fetchSession(): Promise<Session> {
  const response = await fetch("/api/session", { headers: { accept: "application/json" } });
  const body: unknown = response.ok ? await response.json() : null;
  return maybe(body, (value) => ({ required: value["required"] === true, role: string(value["role"]) })) ?? { required: false, role: null };
}

/** What went wrong, in a sentence; null when one is signed in. */
export async function signIn(token: string): Promise<string | null> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  try {
    const response = await fetch("/api/login", { method: "POST", headers, body: JSON.stringify({ token }) });
    if (response.ok) return null;
    return messageIn((await response.text()).slice(0, 2000)) ?? `The server answers with status ${response.status}.`;
  } catch {
    return "The server does not answer.";
  }
}

export async function signOut(): Promise<void> {
  await fetch("/api/logout", { method: "POST" }).catch(() => null);
}
