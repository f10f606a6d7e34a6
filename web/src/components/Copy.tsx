// Copying: what happened is said on the button that was pressed.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

const ANSWER_MS = 3000;

export async function copyText(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    return "The browser does not allow copying";
  }
}

export function CopyButton({ text, what, children }: { text: () => string; what?: string; children: ComponentChildren }) {
  const [answer, setAnswer] = useState("");
  const copy = async () => {
    setAnswer(await copyText(text()));
    setTimeout(() => setAnswer(""), ANSWER_MS);
  };
  return (
    <>
      <button class="link" onClick={() => void copy()}>{answer || children}{what && <span class="vh">: {what}</span>}</button>
      <span class="vh" role="status">{answer}</span>
    </>
  );
}
