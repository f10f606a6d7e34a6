// Stands in the place of every page while the server asks who is there; the address stays, so that one comes to what
// was asked for.
import { useEffect, useState } from "preact/hooks";
import { signIn } from "../api/session";
import { Mark } from "../components/Mark";
import { Sign } from "../components/Sign";
import { readSession } from "../state/session";

export function LoginPage() {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Sign in · limpid";
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || token.trim() === "") return;
    setBusy(true);
    const said = await signIn(token.trim());
    setTrouble(said);
    if (said === null) await readSession();
    setBusy(false);
  };
  return (
    <main id="main" class="login">
      <form onSubmit={(event) => void submit(event)}>
        <p class="brand"><Mark /><span>limpid</span></p>
        <h1>Sign in</h1>
        <p class="mid">This server asks who is there. A token with the role read or admin opens the console.</p>
        {/* For the browser's store of passwords, which wants a name beside the secret. */}
        <input class="vh" type="text" name="username" autocomplete="username" value="limpid" readOnly tabIndex={-1} aria-hidden="true" />
        <label class="b" for="token">Token</label>
        <input
          id="token" class="field" type="password" name="password" autocomplete="current-password" autofocus spellcheck={false} maxLength={512}
          value={token} onInput={(event) => setToken(event.currentTarget.value)} aria-invalid={trouble !== null} aria-describedby={trouble ? "trouble" : undefined}
        />
        {trouble && <p id="trouble" class="crit" role="alert"><Sign status="warning" size={13} /> {trouble}</p>}
        <button class="btn" type="submit" disabled={busy || token.trim() === ""}>Sign in</button>
        <p class="sub">Who runs the server makes a token with <code>limpid token read</code>.</p>
      </form>
    </main>
  );
}
