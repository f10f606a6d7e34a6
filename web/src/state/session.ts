// Who is signed in, where the server asks for it.
import { signal } from "@preact/signals";
import { signInNeeded } from "../api/http";
import { fetchSession, signOut } from "../api/session";

/** The role that one is signed in with; null where nobody is asked, or before. */
export const role = signal<string | null>(null);

/** A server that does not answer is told by the pages themselves. */
export async function readSession(): Promise<void> {
  const session = await fetchSession().catch(() => null);
  if (!session) return;
  role.value = session.role;
  signInNeeded.value = session.required && session.role === null;
}

export async function leave(): Promise<void> {
  await signOut();
  await readSession();
}
